"""An evaluation's result: a folder with a line for each trial and, once all are over, the figures.

`trials.jsonl` grows while the trials run; `result.json` is written last and whole.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, JsonValue, ValidationError

from trajectories.evaluation.passes import Estimate, TaskFigures, TrialLine, estimate, runs, task_figures
from trajectories.evaluation.tasks import FoundTask
from trajectories.evaluation.triage import unproven
from trajectories.record import write_text

RESULT, TRIALS = "result.json", "trials.jsonl"

Ended = Literal["done", "short", "interrupted", "budget"]


class EvaluationError(ValueError):
    """A file that holds no evaluation that can be read: one line that says where and what."""


class EvaluationResult(BaseModel):
    """How often a model passed, over all tasks and task by task."""

    schema_version: Literal[1] = 1
    kind: Literal["evaluation"] = "evaluation"
    """Tells it from the result of a replay."""
    model: str
    """As it was asked for."""
    served_by: str
    """`upstream:model`."""
    k: int
    repeats: int
    """Trials of each task."""
    ended: Ended
    """`short` where trials are left without a reward."""
    pass_at_1: Estimate
    pass_at_k: Estimate
    runs: dict[int, float]
    """pass@1 of each run over all tasks, by repeat."""
    trials: int
    """Graded ones."""
    failed: int
    """Trials without a reward, for reasons outside the model; they are in no figure."""
    broken: int
    """Tries that broke and were made again."""
    unusable: dict[str, str]
    """Task folders that were left out, with the reason."""
    tasks: list[TaskFigures]
    cost_usd: float | None
    """None when any call's price is unknown."""
    settings: dict[str, JsonValue]
    """Of the rollouts."""
    versions: dict[str, str]


def result_of(tasks: Sequence[FoundTask], lines: Sequence[TrialLine], k: int, **about: object) -> EvaluationResult:
    """Count the trials.

    Args:
        tasks: all that were asked for.
        lines: one for each trial that is over, broken ones included.
        k: of pass@k.
        about: the other fields of `EvaluationResult`.
    """
    by_task: dict[str, list[TrialLine]] = {task.task_id: [] for task in tasks}
    for line in lines:
        by_task[line.task_id].append(line)
    graded = [line for line in lines if line.reward is not None]
    figures: dict[str, object] = {
        "k": k,
        "pass_at_1": estimate(lines, 1),
        "pass_at_k": estimate(lines, k),
        "runs": runs(lines),
        "trials": len(graded),
        "failed": len(lines) - len(graded),
        "broken": sum(line.broken for line in lines),
        "tasks": [_figures(task, by_task[task.task_id], k) for task in tasks],
    }
    return EvaluationResult.model_validate({**figures, **about})


def _figures(task: FoundTask, lines: Sequence[TrialLine], k: int) -> TaskFigures:
    return task_figures(task.task_id, lines, k, task.domain, task.digest, unproven(task.folder, task.digest))


def write_lines(lines: Sequence[TrialLine], folder: Path) -> None:
    """Write `trials.jsonl` anew, sorted by task and repeat."""
    ordered = sorted(lines, key=lambda line: (line.task_id, line.repeat))
    write_text(folder / TRIALS, "".join(f"{line.model_dump_json()}\n" for line in ordered))


def save(result: EvaluationResult, folder: Path) -> None:
    """Write `result.json`, whole or not at all."""
    write_text(folder / RESULT, json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n")


def load(path: Path) -> EvaluationResult:
    """Read a result; its folder will do.

    Raises:
        EvaluationError: it is missing, or is no result of this version.
    """
    file = path / RESULT if path.is_dir() else path
    try:
        return EvaluationResult.model_validate_json(file.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{file}: holds no evaluation ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise EvaluationError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
