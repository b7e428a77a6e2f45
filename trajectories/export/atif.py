"""A trajectory in Harbor's interchange format, ATIF (RFC 0001 of Harbor).

The first prompt is the user's step; each answer is a step of the agent, with its commands as tool calls, by the names
that Terminus-2 gives them, and with what the terminal then showed as its observation. Nothing is shortened: a record's
messages are the prompt, and the message and the observation of each step, in order.
"""

from typing import Any

from trajectories.record import Trajectory, Turn

VERSION = "ATIF-v1.7"
_SOURCES = {"user": "user", "system": "system", "assistant": "agent"}


def atif(trajectory: Trajectory) -> dict[str, Any]:
    """The document, ready for JSON; keys without a value are left out."""
    steps: list[dict[str, Any]] = []
    turn = 0
    for message in trajectory.messages:
        if message.role == "assistant":
            steps.append(_answer(trajectory.turns[turn], turn))
            turn += 1
        elif message.role == "user" and turn and steps[-1]["source"] == "agent" and "observation" not in steps[-1]:
            steps[-1]["observation"] = {"results": [{"content": message.content}]}
        else:
            steps.append({"source": _SOURCES[message.role], "message": message.content})
    last = trajectory.turns[-1].screen if trajectory.turns else None
    if last is not None and "observation" not in steps[-1]:
        steps[-1]["observation"] = {"results": [{"content": last}]}
    document: dict[str, Any] = _without_none(
        {
            "schema_version": VERSION,
            "session_id": trajectory.id,
            "trajectory_id": trajectory.id,
            "agent": {
                "name": trajectory.scaffold.name,
                "version": trajectory.scaffold.version,
                "model_name": trajectory.model or trajectory.teacher,
            },
            "steps": [{"step_id": number, **step} for number, step in enumerate(steps, start=1)],
            "final_metrics": {
                "total_prompt_tokens": trajectory.tokens.prompt,
                "total_completion_tokens": trajectory.tokens.completion,
                "total_cached_tokens": trajectory.tokens.cached,
                "total_cost_usd": trajectory.cost_usd,
                "total_steps": len(steps),
            },
            "extra": {
                "task_id": trajectory.task_id,
                "domain": trajectory.domain,
                "topic": trajectory.topic,
                "teacher": trajectory.teacher,
                "seed": trajectory.seed,
                "reward": trajectory.reward,
                "checks": trajectory.checks,
                "ended": trajectory.ended,
                "labels": trajectory.labels.model_dump(exclude={"evidence"}) if trajectory.labels else None,
                "digests": trajectory.digests,
            },
        }
    )
    return document


def _answer(turn: Turn, number: int) -> dict[str, Any]:
    calls: list[dict[str, Any]] = [
        {
            "tool_call_id": f"call_{number}_{place}",
            "function_name": "bash_command",
            "arguments": {"keystrokes": command.keystrokes, "duration": command.seconds},
        }
        for place, command in enumerate(turn.commands, start=1)
    ]
    if turn.declared:
        calls.append({"tool_call_id": f"call_{number}_done", "function_name": "mark_task_complete", "arguments": {}})
    return {
        "source": "agent",
        "message": turn.emitted,
        "reasoning_content": turn.reasoning,
        "tool_calls": calls or None,
        "metrics": {
            "prompt_tokens": turn.tokens.prompt,
            "completion_tokens": turn.tokens.completion,
            "cached_tokens": turn.tokens.cached,
        },
        "llm_call_count": 1,
        "extra": {
            "seconds": turn.seconds,
            "parse_ok": turn.parse_ok,
            "truncated": turn.truncated,
            "remark": turn.remark,
        },
    }


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value
