"""Students compared over one step set: who stands where, by how much, and where they differ most.

Results over different step sets are not comparable and are refused. Ranked are those whose prompts can be audited; the
others are listed apart with the reason. Differences are paired: the same step of the same task, one model's score less
the other's, with a 95 % interval by bootstrap over tasks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from trajectories.evaluation.result import EvaluationResult
from trajectories.replay.correlation import LEAST, Correlation, correlate
from trajectories.replay.result import ReplayResult, load, load_scores
from trajectories.replay.score import StepScore, aggregate, interval

TEACHER = "teacher"
"""The name of the reference itself among the compared: its score is 100 by construction."""
MOST = 10
"""Steps shown where two differ most."""

BUCKETS = ("early", "mid", "late")

Key = tuple[str, int, int]


class ComparisonError(ValueError):
    """Results that cannot be compared: one line that says which and why."""


@dataclass(frozen=True)
class Contender:
    """One of the compared."""

    name: str
    result: ReplayResult | None
    """None for the teacher."""
    scores: Mapping[Key, StepScore]
    """By step."""
    folder: Path | None = None
    equivalence: Mapping[str, Any] | None = None
    """The figures of `synth replay equivalence`, where the folder has them."""
    live: EvaluationResult | None = None
    """Executed trials of the same model, where they are given."""


class Standing(BaseModel):
    """One line of the table."""

    name: str
    rank: int | None
    """From 1; None for who is not ranked."""
    rank_reasons: list[str]
    """Why it is not."""
    score: float
    """100 x mean command F1."""
    score_interval: tuple[float, float]
    f1: float
    precision: float
    recall: float
    first_exact_pct: float
    valid_json_pct: float
    premature_complete_pct: float
    complete_recall_pct: float | None
    """None where the teacher says at no step that the task is complete."""
    steps: int
    tasks: int
    missing: int
    """Steps without an answer; they score 0."""
    skipped: dict[str, int]
    by_bucket: dict[str, float]
    """Mean F1 of early, mid and late steps."""
    template: str
    """Where the chat template comes from; see `trajectories.template.Audit`."""
    thinking: str
    backend: str
    seconds_per_step: float | None
    load_seconds: float | None
    equivalent_pct: float | None
    """Steps whose command, executed, left the teacher's end state."""
    pass_at_1: float | None
    """Share of executed trials that passed."""


class Gap(BaseModel):
    """A step at which two differ."""

    task_id: str
    sample_idx: int
    step_idx: int
    reference: list[str]
    a: list[str]
    b: list[str]
    a_f1: float
    b_f1: float


class Difference(BaseModel):
    """A mean of paired differences, a less b."""

    value: float
    interval: tuple[float, float]
    """95 %, by bootstrap over tasks."""
    clear: bool
    """The interval leaves out 0."""


class Pair(BaseModel):
    """Two of the compared, step by step."""

    a: str
    b: str
    f1: Difference
    first_exact: Difference
    """As a share, 0 to 1."""
    a_better: int
    """Steps at which a's F1 is the higher one."""
    b_better: int
    same: int
    most: list[Gap]
    """Where F1 differs most, the largest first."""


class Comparison(BaseModel):
    """All that `synth compare` finds."""

    schema_version: Literal[1] = 1
    steps_sha256: list[str]
    """Of the step sets; several where only what they share is compared."""
    steps: int
    tasks: int
    standings: list[Standing]
    """The ranked ones by rank, then the others by score."""
    pairs: list[Pair]
    across_models: Correlation | None
    """Replay F1 with executed pass@1, over models; None where fewer than three have both."""
    within_models: dict[str, Correlation]
    """Mean F1 of a task with its pass@1, over the tasks that have both, by model."""


class _Paired(BaseModel):
    task_id: str
    value: float


@dataclass
class _Names:
    """Gives every contender a name of its own."""

    taken: set[str] = field(default_factory=set)

    def take(self, wanted: str, place: str) -> str:
        name = wanted if wanted not in self.taken else f"{wanted} ({place})"
        if name in self.taken:
            raise ComparisonError(f"{name} is given twice")
        self.taken.add(name)
        return name


def contenders(
    places: Sequence[str], equivalence: Callable[[Path], Mapping[str, Any] | None], common: bool = False
) -> list[Contender]:
    """Read what is to be compared.

    Args:
        places: folders of replay results; `teacher` stands for the reference itself.
        equivalence: finds the figures of a folder's state-equivalence.
        common: compare over the steps that all share, where the step sets differ.

    Raises:
        ComparisonError: fewer than two, the teacher alone, one twice, or the step sets differ.
        ResultError: a folder holds no result.
    """
    folders = [Path(place) for place in places if place != TEACHER]
    if len(places) < 2 or not folders or len(places) - len(folders) > 1:
        raise ComparisonError("two are needed to compare: folders of replay results, one of them may be `teacher`")
    names = _Names()
    found: dict[str, Contender] = {}
    for folder in folders:
        result = load(folder)
        scores = {_key(score): score for score in load_scores(folder)}
        name = names.take(result.student, folder.name)
        found[str(folder)] = Contender(name, result, scores, folder, equivalence(folder))
    _same_steps(list(found.values()), common)
    shared = _shared(list(found.values()))
    students = [
        Contender(one.name, one.result, {key: one.scores[key] for key in shared}, one.folder, one.equivalence)
        for one in found.values()
    ]
    if TEACHER not in places:
        return students
    perfect = {key: _perfect(score) for key, score in students[0].scores.items()}
    return [Contender(names.take(TEACHER, "reference"), None, perfect), *students]


def with_live(compared: Sequence[Contender], given: Sequence[tuple[str | None, EvaluationResult]]) -> list[Contender]:
    """Lay executed results beside the compared.

    Args:
        compared: who is compared.
        given: evaluations, each with the name that it is meant for; None is found by the model's name.

    Raises:
        ComparisonError: nobody has the name, or two have.
    """
    live: dict[str, EvaluationResult] = {}
    for name, evaluation in given:
        called = {evaluation.model, evaluation.served_by.partition(":")[2]} if name is None else {name}
        fitting = [one.name for one in compared if one.name in called]
        if len(fitting) != 1 or fitting[0] in live:
            wanted = name or evaluation.model
            why = "nobody among the compared is" if not fitting else "more than one evaluation or result is"
            known = ", ".join(one.name for one in compared)
            raise ComparisonError(f"{why} named {wanted} (there are: {known}); give --against-eval NAME=FILE")
        live[fitting[0]] = evaluation
    return [
        Contender(one.name, one.result, one.scores, one.folder, one.equivalence, live.get(one.name)) for one in compared
    ]


def compare(compared: Sequence[Contender], most: int = MOST) -> Comparison:
    """Put them in order and hold them against each other, two by two."""
    figures = {one.name: aggregate(list(one.scores.values())) for one in compared}
    ordered = sorted(compared, key=lambda one: (not _eligible(one), -figures[one.name]["avg_command_f1"], one.name))
    standings = [
        _standing(one, figures[one.name], place if _eligible(one) else None)
        for place, one in enumerate(ordered, start=1)
    ]
    first = figures[compared[0].name]
    return Comparison(
        steps_sha256=sorted({one.result.steps_sha256 for one in compared if one.result is not None}),
        steps=first["steps"],
        tasks=first["tasks"],
        standings=standings,
        pairs=[_pair(a, b, most) for a, b in combinations(ordered, 2)],
        across_models=_across(compared, figures),
        within_models={one.name: _within(one) for one in compared if one.result is not None and one.live is not None},
    )


def _same_steps(found: Sequence[Contender], common: bool) -> None:
    sets = {one.result.steps_sha256: one for one in found if one.result is not None}
    if len(sets) > 1 and not common:
        named = ", ".join(f"{one.folder}: {digest[:12]}" for digest, one in sets.items())
        raise ComparisonError(f"the results are over different step sets ({named}); --common compares what they share")


def _shared(found: Sequence[Contender]) -> list[Key]:
    """The steps that all have, with the same reference, in the first one's order."""
    shared = [
        key
        for key, score in found[0].scores.items()
        if all(key in one.scores and one.scores[key].ref_command_units == score.ref_command_units for one in found[1:])
    ]
    if not shared:
        raise ComparisonError("the results share no step")
    return shared


def _key(score: StepScore) -> Key:
    return score.task_id, score.sample_idx, score.step_idx


def _perfect(score: StepScore) -> StepScore:
    """The reference held against itself."""
    usable = float(bool(score.ref_command_units))
    return score.model_copy(
        update={
            "valid_json": True,
            "has_analysis": True,
            "has_plan": True,
            "pred_task_complete": score.ref_task_complete,
            "pred_task_complete_true": score.ref_task_complete,
            "pred_command_units": score.ref_command_units,
            "first_cmd_exact": usable,
            "command_precision": usable,
            "command_recall": usable,
            "command_f1": usable,
            "missing": False,
        }
    )


def _eligible(one: Contender) -> bool:
    return one.result is not None and one.result.rank_eligible


def _standing(one: Contender, figures: Mapping[str, Any], rank: int | None) -> Standing:
    result = one.result
    reasons = ["the reference itself"] if result is None else result.rank_reasons
    return Standing(
        name=one.name,
        rank=rank,
        rank_reasons=[] if rank is not None else reasons or ["not eligible"],
        score=figures["score"],
        score_interval=figures["score_interval"],
        f1=figures["avg_command_f1"],
        precision=figures["avg_command_precision"],
        recall=figures["avg_command_recall"],
        first_exact_pct=figures["first_cmd_exact_pct"],
        valid_json_pct=figures["valid_json_pct"],
        premature_complete_pct=figures["premature_complete_rate_pct"],
        complete_recall_pct=figures["complete_true_recall_pct"] if figures["complete_steps"] else None,
        steps=figures["steps"],
        tasks=figures["tasks"],
        missing=figures["missing"],
        skipped=result.skipped if result else {},
        by_bucket={
            name: figures["by_bucket"][name]["avg_command_f1"] for name in BUCKETS if name in figures["by_bucket"]
        },
        template=result.audit.source if result else "-",
        thinking=result.audit.thinking if result else "-",
        backend=result.backend if result else "-",
        seconds_per_step=result.seconds_per_step if result else None,
        load_seconds=result.load_seconds if result else None,
        equivalent_pct=one.equivalence.get("equivalent_pct") if one.equivalence else None,
        pass_at_1=one.live.pass_at_1.value if one.live else None,
    )


def _pair(a: Contender, b: Contender, most: int) -> Pair:
    both = [(score, b.scores[key]) for key, score in a.scores.items()]
    gaps = sorted(both, key=lambda pair: (-abs(pair[0].command_f1 - pair[1].command_f1), _key(pair[0])))
    return Pair(
        a=a.name,
        b=b.name,
        f1=_difference(both, lambda score: score.command_f1),
        first_exact=_difference(both, lambda score: score.first_cmd_exact),
        a_better=sum(left.command_f1 > right.command_f1 for left, right in both),
        b_better=sum(left.command_f1 < right.command_f1 for left, right in both),
        same=sum(left.command_f1 == right.command_f1 for left, right in both),
        most=[
            Gap(
                task_id=left.task_id,
                sample_idx=left.sample_idx,
                step_idx=left.step_idx,
                reference=left.ref_command_units,
                a=left.pred_command_units,
                b=right.pred_command_units,
                a_f1=left.command_f1,
                b_f1=right.command_f1,
            )
            for left, right in gaps[:most]
            if left.command_f1 != right.command_f1
        ],
    )


def _difference(both: Sequence[tuple[StepScore, StepScore]], value: Callable[[StepScore], float]) -> Difference:
    paired = [_Paired(task_id=left.task_id, value=value(left) - value(right)) for left, right in both]
    low, high = interval(paired, lambda one: one.value)
    mean = sum(one.value for one in paired) / len(paired)
    return Difference(value=round(mean, 4), interval=(round(low, 4), round(high, 4)), clear=low > 0 or high < 0)


def _across(compared: Sequence[Contender], figures: Mapping[str, Mapping[str, Any]]) -> Correlation | None:
    both = [
        (float(figures[one.name]["avg_command_f1"]), one.live.pass_at_1.value)
        for one in compared
        if one.result is not None and one.live is not None and one.live.pass_at_1.value is not None
    ]
    return correlate([f1 for f1, _ in both], [passed for _, passed in both]) if len(both) >= LEAST else None


def _within(one: Contender) -> Correlation:
    by_task: dict[str, list[float]] = {}
    for score in one.scores.values():
        by_task.setdefault(score.task_id, []).append(score.command_f1)
    live = one.live.tasks if one.live else []
    passed = {task.task_id: task.pass_at_1 for task in live if task.pass_at_1 is not None and task.task_id in by_task}
    return correlate([sum(by_task[task]) / len(by_task[task]) for task in passed], list(passed.values()))
