"""A replay from its steps to its result: ask the student what is owed, score, and say under which conditions."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from trajectories.replay.progress import FAILED, Progress
from trajectories.replay.result import ReplayResult, save
from trajectories.replay.score import aggregate, score_step
from trajectories.replay.step import Step
from trajectories.template import Audit, Mismatch, check_match

SAMPLING: Mapping[str, JsonValue] = {"temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0}
"""As the published figures were made; sent with every request, since servers take other values from the model's files
where they are told nothing."""
NEUTRAL: Mapping[str, JsonValue] = {"top_k": -1, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""What else a model's files may set, set to do nothing."""
MAX_TOKENS = 1024
"""Of an answer, as published."""
ACTION: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "analysis": {"type": "string"},
        "plan": {"type": "string"},
        "commands": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"keystrokes": {"type": "string"}, "duration": {"type": "number"}},
                "required": ["keystrokes", "duration"],
                "additionalProperties": False,
            },
        },
        "task_complete": {"type": "boolean"},
    },
    "required": ["analysis", "plan", "commands", "task_complete"],
    "additionalProperties": False,
}
"""JSON schema of an answer, for structured output."""
_TRAINED = "synth-sft.json"


class Student(Protocol):
    """A model that steps are asked of."""

    backend: Literal["vllm", "endpoint"]
    audit: Audit
    settings: Mapping[str, JsonValue]
    """What bears on its answers, by name: sampling, structured output, lengths, numbers."""
    identity: str | None
    """Changes with the weights, where they are at hand."""

    def ask(self, steps: Sequence[Step], progress: Progress) -> None:
        """Ask every step and tell the progress of each answer; what it raises ends the replay, and it can go on."""


def replay(
    steps: Sequence[Step],
    steps_sha256: str,
    student: Student,
    name: str,
    folder: Path,
    notes: Sequence[str] = (),
    training: Mapping[str, JsonValue] | None = None,
    watch: Callable[[int], None] = lambda _: None,
) -> ReplayResult:
    """Ask a student every step that has no answer yet, score the whole set and write the result.

    Args:
        steps: of one set.
        steps_sha256: its digest.
        student: is not asked where every step has its answer.
        name: the student's.
        folder: see `result` and `progress`.
        notes: further reasons for which it is not ranked.
        training: what the student's checkpoint says of its training; see `trained_as`.
        watch: told how many steps are settled, each time one more is.

    Raises:
        ReplayMismatch: the folder holds another replay.
    """
    asked: dict[str, JsonValue] = {
        "student": name,
        "weights": student.identity,
        "backend": student.backend,
        "steps": steps_sha256,
        **{f"audit.{key}": value for key, value in student.audit.model_dump(mode="json").items()},
        **{f"sampling.{key}": value for key, value in student.settings.items()},
    }
    progress = Progress(folder, asked, steps, watch)
    if progress.owed:
        with progress:
            student.ask(progress.owed, progress)
    texts = [progress.predictions.get(step.key) for step in steps]
    scores = [score_step(step, None if said is None else said.text) for step, said in zip(steps, texts, strict=True)]
    sessions = progress.sessions()
    last: Mapping[str, Any] = sessions[-1] if sessions else {}
    reasons = [*_reasons(student, progress.skipped), *notes]
    result = ReplayResult(
        student=name,
        backend=student.backend,
        versions={key: said for session in sessions for key, said in session["versions"].items()},
        steps_sha256=steps_sha256,
        audit=student.audit,
        sampling={**student.settings, "max_model_len": last.get("max_model_len", student.settings["max_model_len"])},
        skipped=progress.skipped,
        load_seconds=last.get("load_seconds"),
        seconds_per_step=_per_step(sessions),
        cache_hit_rate=_hit_rate(progress),
        rank_eligible=not reasons,
        rank_reasons=reasons,
        training=dict(training or {}),
        aggregate=aggregate(scores),
    )
    save(result, scores, folder)
    return result


def trained_as(model: str) -> Mapping[str, Any]:
    """What a checkpoint of ours says of its training; nothing for any other model.

    Raises:
        Mismatch: the checkpoint's own account of it cannot be read.
    """
    path = Path(model).expanduser() / _TRAINED
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        Audit.model_validate(told["audit"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Mismatch(f"{path}: does not say how the student was trained ({type(error).__name__})") from None
    return {name: told[name] for name in ("audit", "base", "data") if name in told}


def held_against(trained: Audit | None, asked: Audit, *, allow: bool) -> list[str]:
    """Hold what a student was trained with against what it is asked with.

    Returns:
        The reason for which the replay is not ranked, where a mismatch is allowed and there is one.

    Raises:
        Mismatch: there is one and it is not allowed.
    """
    if trained is None:
        return []
    try:
        check_match(trained, asked)
    except Mismatch as error:
        if not allow:
            raise
        return [str(error)]
    return []


def weights_of(folder: Path) -> str:
    """Changes when a model's files do: SHA-256 of their names, sizes and times. Reading them all would take minutes."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin"), *folder.glob("config.json")])
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()


def _reasons(student: Student, skipped: Mapping[str, int]) -> list[str]:
    reasons = []
    if student.audit.source == "raw":
        reasons.append("raw prompt: no chat template")
    if student.audit.source == "server":
        reasons.append("the server rendered the prompts, unseen")
    if student.settings["structured"]:
        reasons.append("structured output")
    if FAILED in skipped:
        reasons.append(f"{skipped[FAILED]} steps were not answered")
    return reasons


def _per_step(sessions: Sequence[Mapping[str, Any]]) -> float | None:
    answered = sum(session["answered"] for session in sessions)
    return round(sum(session["seconds"] for session in sessions) / answered, 4) if answered else None


def _hit_rate(progress: Progress) -> float | None:
    counted = [
        (said.cached_tokens, said.prompt_tokens)
        for said in progress.predictions.values()
        if said.cached_tokens is not None and said.prompt_tokens is not None
    ]
    total = sum(prompt for _, prompt in counted)
    return round(sum(cached for cached, _ in counted) / total, 4) if total else None
