"""From trajectories to a fixed set of steps: every answer of the teacher that can be scored against becomes a question.

The set is written once and hashed; what was left out is counted by reason, so that two tables are of the same set or
visibly are not. The fields are those of the published step files (LLM-OS-Models/Terminal, `tb2_lite`).
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from trajectories.record import write_text
from trajectories.replay.answer import payload_of, read_answer
from trajectories.replay.conversations import Conversation
from trajectories.replay.step import Step, StepsError, digest, usable


class StepSet(BaseModel):
    """What is known of a set of steps; lies beside it as `NAME.json`."""

    schema_version: Literal[1] = 1
    steps_sha256: str
    """`step.digest` of the file."""
    steps: int
    tasks: int
    trajectories: int
    """That gave at least one step."""
    steps_dropped: dict[str, int]
    """Answers that are no step, by reason: see `step.usable`; `no-question` for one that nothing was said before."""
    trajectories_dropped: dict[str, int]
    """By reason: `no-messages`, `unknown-speaker`, `duplicate`, `trained-on`."""
    steps_by_domain: dict[str, int]
    """Empty name for steps whose domain is not known."""


def write_steps(
    conversations: Iterable[Conversation],
    out: Path,
    dropped: Counter[str],
    without: Collection[Conversation] = (),
) -> StepSet:
    """Write a set of steps and, beside it, what is known of it.

    Conversations are put in order by task and id, and numbered within a task (`sample_idx`), so that the set does not
    depend on the order in which they were found.

    Args:
        conversations: of teachers.
        out: the `.jsonl` file; its folder is made if it is missing.
        dropped: rows that were left out before, by reason.
        without: what a student was trained on: trajectories of the same tasks, or with the same first message, are
            left out (`trained-on`).

    Returns:
        The counts and the digest.

    Raises:
        StepsError: no step is left, and it says why; or the file is to be called otherwise. Nothing is written then.
    """
    if out.suffix != ".jsonl":
        raise StepsError(f"{out}: a set of steps is a .jsonl file")
    kept = list(_chosen(conversations, dropped, without))
    counts: Counter[str] = Counter()
    domains: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    number = 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StepsError(f"{out}: cannot be written: {error.strerror}") from None
    temporary = out.with_name(out.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:

            def written() -> Iterator[Step]:
                nonlocal number
                for conversation, sample_idx in kept:
                    for step in _usable(conversation, sample_idx, counts):
                        file.write(json.dumps(step.model_dump(), ensure_ascii=False) + "\n")
                        number += 1
                        domains[step.domain] += 1
                        seen.add((step.task_id, step.trajectory))
                        yield step

            sha256 = digest(written())
        if not number:
            raise StepsError(f"no step is left to ask; {_said(dropped + counts)}")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    made = StepSet(
        steps_sha256=sha256,
        steps=number,
        tasks=len({task for task, _ in seen}),
        trajectories=len(seen),
        steps_dropped=dict(sorted(counts.items())),
        trajectories_dropped=dict(sorted(dropped.items())),
        steps_by_domain=dict(sorted(domains.items())),
    )
    write_text(card_of(out), made.model_dump_json(indent=1) + "\n")
    return made


def card_of(steps_file: Path) -> Path:
    """Where what is known of a file of steps lies."""
    return steps_file.with_suffix(".json")


def check_fixed(steps_file: Path, steps: Sequence[Step]) -> str:
    """The digest of a set that was read, held against the one that was written down when it was built, if it was.

    Raises:
        StepsError: they differ, or what was written down cannot be read.
    """
    sha256, card = digest(steps), card_of(steps_file)
    if card != steps_file and card.exists():
        try:
            built = StepSet.model_validate_json(card.read_bytes())
        except (OSError, ValidationError):
            raise StepsError(f"{card}: does not describe the set of steps beside it, {steps_file.name}") from None
        if built.steps_sha256 != sha256:
            raise StepsError(
                f"{steps_file}: was changed after it was built: its hash is {sha256[:12]}, {card.name} has"
                f" {built.steps_sha256[:12]}"
            )
    return sha256


def _chosen(
    conversations: Iterable[Conversation], dropped: Counter[str], without: Collection[Conversation]
) -> Iterator[tuple[Conversation, int]]:
    """Every conversation once, with its number within the task, but for those of tasks that were trained on."""
    tasks = {one.task_id for one in without} | {one.id for one in without}
    openings = {_opening(one) for one in without}
    best: dict[str, Conversation] = {}
    for one in conversations:
        before = best.setdefault(one.said, one)
        if before is not one:
            # The same conversation in two files: the one that more is known of.
            dropped["duplicate"] += 1
            best[one.said] = max(before, one, key=lambda each: (sum(map(bool, each)), each.task_id, each.id))
    samples: Counter[str] = Counter()
    for one in sorted(best.values(), key=lambda one: (one.task_id, one.id)):
        if one.task_id in tasks or one.id in tasks or _opening(one) in openings:
            dropped["trained-on"] += 1
        else:
            yield one, samples[one.task_id]
            samples[one.task_id] += 1


def _opening(conversation: Conversation) -> str:
    """What the first user's turn says: the task."""
    return next((each["content"] for each in conversation.messages if each["role"] == "user"), "")


def _usable(conversation: Conversation, sample_idx: int, counts: Counter[str]) -> list[Step]:
    steps, dropped = usable(list(_steps(conversation, sample_idx, counts)))
    counts.update(dropped)
    return steps


def _steps(conversation: Conversation, sample_idx: int, counts: Counter[str]) -> Iterator[Step]:
    """A step for each answer, scored or not; an answer keeps its number when others are left out."""
    total = sum(message["role"] == "assistant" for message in conversation.messages)
    step_idx = 0
    for place, message in enumerate(conversation.messages):
        if message["role"] != "assistant":
            continue
        before = list(conversation.messages[:place])
        if any(each["role"] == "user" for each in before):
            yield _step(conversation, sample_idx, step_idx, total, before, message["content"])
        else:
            counts["no-question"] += 1
        step_idx += 1


def _step(
    conversation: Conversation, sample_idx: int, step_idx: int, total: int, before: list[dict[str, str]], answer: str
) -> Step:
    said = payload_of(answer)
    read = read_answer(answer)
    commands = (said or {}).get("commands")
    return Step.model_validate(
        {
            "task_id": conversation.task_id,
            "sample_idx": sample_idx,
            "step_idx": step_idx,
            "total_steps": total,
            "is_final_step": step_idx == total - 1,
            "source": conversation.source,
            "source_group": conversation.source.rpartition("/")[2] or "unknown",
            "prompt": "\n\n".join(f"{each['role'].upper()}:\n{each['content']}" for each in before),
            "messages": before,
            "ref_raw": answer,
            "ref_parse_ok": said is not None,
            "ref_analysis": str((said or {}).get("analysis") or ""),
            "ref_plan": str((said or {}).get("plan") or ""),
            "ref_task_complete": bool(read.task_complete),
            "ref_commands": commands if isinstance(commands, list) else [],
            "ref_command_units": read.units,
            "domain": conversation.domain,
            "topic": conversation.topic,
            "scaffold": conversation.scaffold,
            "trajectory": conversation.id,
            "run": conversation.run,
        }
    )


def _said(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "there was no answer"
