"""Replay results for tests: a step set, and folders of answers to it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trajectories.replay.result import PREDICTIONS, ReplayResult, save
from trajectories.replay.score import aggregate, score_step
from trajectories.replay.step import Step, digest
from trajectories.template import Audit

AUDIT = Audit(tokenizer="aa" * 32, template="bb" * 32, source="own", thinking="stripped")


def said(*keystrokes: str, complete: bool = False) -> str:
    """An answer that types something."""
    commands = [{"keystrokes": f"{keys}\n", "duration": 0.1} for keys in keystrokes]
    return json.dumps({"analysis": "a", "plan": "p", "commands": commands, "task_complete": complete})


def steps_of(*tasks: Sequence[str]) -> list[Step]:
    """Steps of tasks `t0`, `t1`, ...: one for each reference command."""
    return [
        Step(task_id=f"t{task}", step_idx=place, ref_raw=said(command), domain="version_control", messages=[])
        for task, commands in enumerate(tasks)
        for place, command in enumerate(commands)
    ]


def write_steps(steps: Sequence[Step], path: Path) -> Path:
    """Write the step file."""
    path.write_text("".join(f"{step.model_dump_json()}\n" for step in steps))
    return path


def write_result(
    folder: Path, student: str, steps: Sequence[Step], answer: Callable[[Step], str | None], **more: Any
) -> Path:
    """Write a replay result as `synth replay run` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [answer(step) for step in steps]
    rows = [
        {"task_id": step.task_id, "sample_idx": step.sample_idx, "step_idx": step.step_idx, "text": text}
        for step, text in zip(steps, texts, strict=True)
        if text is not None
    ]
    (folder / PREDICTIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = [score_step(step, text) for step, text in zip(steps, texts, strict=True)]
    values: dict[str, Any] = {
        "student": student,
        "backend": "vllm",
        "versions": {"vllm": "1"},
        "steps_sha256": digest(steps),
        "audit": AUDIT,
        "sampling": {"temperature": 0.0, "max_tokens": 64, "structured": True},
        "skipped": {},
        "load_seconds": 12.5,
        "seconds_per_step": 0.25,
        "cache_hit_rate": 0.5,
        "rank_eligible": True,
        "rank_reasons": [],
        "aggregate": aggregate(scores),
    }
    save(ReplayResult(**{**values, **more}), scores, folder)
    return folder
