"""Rows from one trajectory. Pure functions; the message texts are the record's own strings.

Names that differ from row to row (checks, digests) are lists of pairs, so that all rows of a format have one schema;
`trajectories.export.schemas` has them.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trajectories.export.instruction import screen_of
from trajectories.record import Message, Trajectory

_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}

Row = dict[str, Any]


def chat(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as trainers take them: `role` and `content`."""
    return [{"role": message.role, "content": message.content} for message in messages]


def messages_rows(trajectory: Trajectory) -> Iterator[Row]:
    """One chat row: `id`, `messages`, `tools`, `metadata`.

    `tools` is empty: the scaffold has the model write its commands as JSON text.
    """
    labels = trajectory.labels.model_dump(exclude={"evidence"}) if trajectory.labels is not None else None
    yield {
        "id": trajectory.id,
        "messages": chat(trajectory.messages),
        "tools": [],
        "metadata": {
            "task_id": trajectory.task_id,
            "domain": trajectory.domain,
            "topic": trajectory.topic,
            "teacher": trajectory.teacher,
            "model": trajectory.model,
            "scaffold": scaffold(trajectory),
            "seed": trajectory.seed,
            "reward": trajectory.reward,
            "checks": [{"name": name, "result": result} for name, result in sorted(trajectory.checks.items())],
            "ended": trajectory.ended,
            "turns": len(trajectory.turns),
            "tokens": trajectory.tokens.model_dump(),
            "cost_usd": trajectory.cost_usd,
            "seconds": trajectory.seconds,
            "labels": labels,
            "digests": [{"name": name, "digest": digest} for name, digest in sorted(trajectory.digests.items())],
        },
    }


def sharegpt_rows(trajectory: Trajectory) -> Iterator[Row]:
    """One row of LiteCoder's published shape: `id` and `conversations` of `from` (human, gpt) and `value`."""
    yield {
        "id": trajectory.id,
        "conversations": [
            {"from": _SPEAKERS[message.role], "value": message.content} for message in trajectory.messages
        ],
    }


def completion_rows(trajectory: Trajectory) -> Iterator[Row]:
    """A row for each answer: `prompt` is everything before it, `completion` the answer alone.

    So a trainer that knows no turns sees each answer under the prompt that it was given to, and every template does
    with the history what it does when the model is served. Unreadable and cut-off answers are there too; `metadata`
    says which they are.
    """
    for turn, place in enumerate(answers(trajectory)):
        yield {
            "id": f"{trajectory.id}-{turn}",
            "prompt": chat(trajectory.messages[:place]),
            "completion": chat(trajectory.messages[place : place + 1]),
            "metadata": {
                **where(trajectory),
                "trajectory": trajectory.id,
                "turn": turn,
                "turns": len(trajectory.turns),
                "reward": trajectory.reward,
                "parse_ok": trajectory.turns[turn].parse_ok,
                "truncated": trajectory.turns[turn].truncated,
            },
        }


def world_rows(trajectory: Trajectory) -> Iterator[Row]:
    """A row for each answer that typed something and saw its result: screen and commands, and the next screen.

    `prompt` and `completion` say the same as a chat in which the terminal answers, for a trainer to load as it is.
    """
    screen = screen_of(trajectory.messages)
    for number, turn in enumerate(trajectory.turns):
        commands = [command.model_dump() for command in turn.commands]
        if commands and turn.screen is not None:
            typed = "\n".join(json.dumps(command, ensure_ascii=False) for command in commands)
            yield {
                "id": f"{trajectory.id}-{number}",
                "screen": screen,
                "commands": commands,
                "next_screen": turn.screen,
                "prompt": [{"role": "user", "content": f"Screen:\n{screen}\n\nCommands:\n{typed}"}],
                "completion": [{"role": "assistant", "content": turn.screen}],
                "metadata": {**where(trajectory), "trajectory": trajectory.id, "turn": number},
            }
        if turn.screen is not None:
            screen = turn.screen


def answers(trajectory: Trajectory) -> list[int]:
    """Places of the assistant's messages, by turn."""
    return [place for place, message in enumerate(trajectory.messages) if message.role == "assistant"]


def where(trajectory: Trajectory) -> Row:
    """What a row tells of its task."""
    return {
        "task_id": trajectory.task_id,
        "domain": trajectory.domain,
        "topic": trajectory.topic,
        "teacher": trajectory.teacher,
        "model": trajectory.model,
        "scaffold": scaffold(trajectory),
    }


def scaffold(trajectory: Trajectory) -> str:
    """Name and version of the agent program."""
    return f"{trajectory.scaffold.name} {trajectory.scaffold.version}"
