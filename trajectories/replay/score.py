"""The replay score: a row a step and one aggregate, under the published names and rounded as published.

Each step's precision, recall and F1 are rounded to 4 places before they are averaged, because the published figures are
made that way. The rank is 100 x mean command F1; first-command-exact stands beside it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from trajectories.replay.answer import read_answer
from trajectories.replay.commands import score_commands
from trajectories.replay.step import Step, StepsError, bucket, position, read_lines

RESAMPLES = 2000
"""Bootstrap samples behind an interval."""


class StepScore(BaseModel):
    """How one prediction compares with its reference."""

    task_id: str
    sample_idx: int
    step_idx: int
    bucket: str
    source_group: str
    valid_json: bool
    has_analysis: bool
    has_plan: bool
    ref_task_complete: bool
    pred_task_complete: bool | None
    pred_task_complete_true: bool
    """Whether both say that the task is complete."""
    ref_command_units: list[str]
    pred_command_units: list[str]
    first_cmd_exact: float
    command_precision: float
    command_recall: float
    command_f1: float
    missing: bool = False
    """No prediction was there for this step; it scores as an empty text."""
    position: str = ""
    """See `step.position`."""
    domain: str = ""
    """Empty where the step does not say, as the next one."""
    scaffold: str = ""


def score_step(step: Step, text: str | None) -> StepScore:
    """Score the text that was predicted for a step; None where there is none."""
    said, wanted = read_answer(text or ""), read_answer(step.ref_raw)
    first, precision, recall, f1 = score_commands(said.units, wanted.units)
    return StepScore(
        task_id=step.task_id,
        sample_idx=step.sample_idx,
        step_idx=step.step_idx,
        bucket=bucket(step.step_idx),
        source_group=step.source_group,
        valid_json=said.valid_json,
        has_analysis=said.has_analysis,
        has_plan=said.has_plan,
        ref_task_complete=bool(wanted.task_complete),
        pred_task_complete=said.task_complete,
        pred_task_complete_true=bool(said.task_complete) and bool(wanted.task_complete),
        ref_command_units=wanted.units,
        pred_command_units=said.units,
        first_cmd_exact=first,
        command_precision=round(precision, 4),
        command_recall=round(recall, 4),
        command_f1=round(f1, 4),
        missing=text is None,
        position=position(step.step_idx),
        domain=step.domain,
        scaffold=step.scaffold,
    )


def read_predictions(path: Path, steps: Sequence[Step]) -> list[str | None]:
    """The predicted text of each step, None where the file has none.

    Args:
        path: JSONL with `task_id`, `step_idx`, `text`, and `sample_idx` where a task has several trajectories.
        steps: in the order in which the texts are wanted.

    Raises:
        StepsError: the file cannot be read, a line lacks a field or has one of another kind, names a step that is
            not asked, or is there twice.
    """
    asked = {step.key for step in steps}
    found: dict[tuple[str, int, int], str] = {}
    for number, row in read_lines(path):
        missing = next((name for name in ("task_id", "step_idx", "text") if name not in row), None)
        if missing is not None:
            raise StepsError(f"{path}: line {number}: has no {missing}")
        place = (row.get("sample_idx") or 0, row["step_idx"])
        if not all(isinstance(one, int) for one in place):
            raise StepsError(f"{path}: line {number}: step_idx and sample_idx must be whole numbers")
        key = (str(row["task_id"]), *place)
        if key not in asked:
            raise StepsError(f"{path}: line {number}: step {key} is not among the steps")
        if key in found:
            raise StepsError(f"{path}: line {number}: step {key} is there twice")
        found[key] = str(row["text"])
    return [found.get(step.key) for step in steps]


def aggregate(scores: Sequence[StepScore], seed: int = 0) -> dict[str, Any]:
    """The figures over all steps, by bucket and by source; percentages with one decimal, means with four.

    Beyond the published figures: `score` (100 x mean F1), 95 % intervals by bootstrap over tasks (`*_interval`), how
    many predictions were missing, and the groups by position, domain and scaffold; steps whose domain or scaffold is
    not known are in no such group. `complete_steps` counts those at which the teacher says that the task is complete;
    where there is none, the published recall of them is 0 and says nothing.

    Args:
        scores: of every step of a set.
        seed: of the bootstrap.
    """
    ended = [score for score in scores if score.ref_task_complete]
    going = [score for score in scores if not score.ref_task_complete]
    f1 = _mean(scores, lambda score: score.command_f1, 4)
    exact = _percent(scores, lambda score: score.first_cmd_exact)
    low, high = interval(scores, lambda score: score.command_f1, seed)
    positions = _groups(scores, lambda score: score.position, seed)
    return {
        "steps": len(scores),
        "tasks": len({score.task_id for score in scores}),
        "missing": sum(score.missing for score in scores),
        "avg_ref_cmds": _mean(scores, lambda score: len(score.ref_command_units), 2),
        "avg_pred_cmds": _mean(scores, lambda score: len(score.pred_command_units), 2),
        "valid_json_pct": _percent(scores, lambda score: score.valid_json),
        "has_analysis_pct": _percent(scores, lambda score: score.has_analysis),
        "has_plan_pct": _percent(scores, lambda score: score.has_plan),
        "first_cmd_exact_pct": exact,
        "avg_command_precision": _mean(scores, lambda score: score.command_precision, 4),
        "avg_command_recall": _mean(scores, lambda score: score.command_recall, 4),
        "avg_command_f1": f1,
        "avg_command_f1_interval": [round(low, 4), round(high, 4)],
        "complete_steps": len(ended),
        "complete_true_recall_pct": _percent(ended, lambda score: score.pred_task_complete_true),
        "premature_complete_rate_pct": _percent(going, lambda score: bool(score.pred_task_complete)),
        "by_bucket": _groups(scores, lambda score: score.bucket, seed),
        "by_source_group": _groups(scores, lambda score: score.source_group, seed),
        "by_position": dict(sorted(positions.items(), key=lambda group: int(group[0].partition("-")[0]))),
        "by_domain": _groups([score for score in scores if score.domain], lambda score: score.domain, seed),
        "by_scaffold": _groups([score for score in scores if score.scaffold], lambda score: score.scaffold, seed),
        "score": round(100 * f1, 2),
        "score_interval": [round(100 * low, 2), round(100 * high, 2)],
        # An older mix that hid differences; kept under its published name, never for ranking.
        "next_action_score": round(100.0 * (0.7 * f1 + 0.3 * (exact / 100.0)), 2),
    }


class OfTask(Protocol):
    """Something that was found out in a task."""

    task_id: str


def interval[T: OfTask](scores: Sequence[T], value: Callable[[T], float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of a mean over steps, by bootstrap over tasks: steps of one task are no independent draws.

    (0, 0) where there is no step; the mean twice where there is one task alone, which says nothing of the spread.
    """
    import numpy as np

    by_task: dict[str, list[float]] = {}
    for score in scores:
        by_task.setdefault(score.task_id, []).append(value(score))
    if not by_task:
        return 0.0, 0.0
    sums = np.array([math.fsum(values) for values in by_task.values()])
    counts = np.array([len(values) for values in by_task.values()])
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(sums), size=len(sums))
        means.append(float(sums[drawn].sum() / counts[drawn].sum()))
    means.sort()
    return means[round(0.025 * (RESAMPLES - 1))], means[round(0.975 * (RESAMPLES - 1))]


def _groups(scores: Sequence[StepScore], name: Callable[[StepScore], str], seed: int) -> dict[str, Mapping[str, Any]]:
    """Figures by group, in the order of the groups' names."""
    groups: dict[str, list[StepScore]] = {}
    for score in scores:
        groups.setdefault(name(score), []).append(score)
    found: dict[str, Mapping[str, Any]] = {}
    for key in sorted(groups):
        low, high = interval(groups[key], lambda score: score.command_f1, seed)
        found[key] = {
            "steps": len(groups[key]),
            "avg_command_f1": _mean(groups[key], lambda score: score.command_f1, 4),
            "avg_command_f1_interval": [round(low, 4), round(high, 4)],
            "first_cmd_exact_pct": _percent(groups[key], lambda score: score.first_cmd_exact),
        }
    return found


def _mean(scores: Sequence[StepScore], value: Callable[[StepScore], float], places: int) -> float:
    return round(sum(map(value, scores)) / max(len(scores), 1), places)


def _percent(scores: Sequence[StepScore], value: Callable[[StepScore], float]) -> float:
    return round(sum(map(value, scores)) / max(len(scores), 1) * 100, 1)
