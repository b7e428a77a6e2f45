"""How good judges are: their verdicts on gold tasks, counted against what the gold set says.

"Feasible" is the positive answer. The share of feasible tasks that a judge finds is its recall of `feasible`; the
share of infeasible ones that it turns away, which is its specificity, stands as the recall of `infeasible`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, get_args

from pydantic import BaseModel

from judges.agreement import Agreement, Share, kappa, share
from judges.feasibility import JudgeSettings, combined
from judges.gold import Gold, Kind
from judges.rubric import Rubric
from judges.verdict import Judgement, Opinion
from taxonomy.task import Rejection


class Answer(NamedTuple):
    """What a judge, or all of them together, say of a task."""

    feasible: bool
    failed: tuple[str, ...]
    """Criteria; empty where only the difficulty speaks against it."""
    difficulty: str | None
    """None where no one judge's stands for all."""
    reason: str


class Seat(NamedTuple):
    """One place on the panel, and the answers that came from it."""

    name: str
    model: str
    """What serves it, as `upstream:model`."""
    answers: Mapping[str, Opinion | None]
    """By gold task; None where no answer was valid."""


class ClassFigures(BaseModel):
    """One of the two answers, as a class to be found."""

    precision: Share
    """Of the tasks of which the judge says so, those of which the gold set says so."""
    recall: Share
    """The other way round."""
    f1: float | None
    """Harmonic mean of the two; None where either cannot be known, 0 where both are 0."""


class CriterionFigures(BaseModel):
    """One criterion: does the judge fail it where the gold set does?"""

    hit: int
    missed: int
    """Failed by the gold set alone."""
    extra: int
    """Failed by the judge alone."""


class Disagreement(BaseModel):
    """A gold task of which the judge says something else."""

    id: str
    domain: str
    kind: Kind
    feasible: bool
    """What the gold set says; the judge says the opposite."""
    fails: tuple[str, ...]
    """Of the gold set."""
    failed: tuple[str, ...]
    """Of the judge."""
    because: str
    """The gold set's reason."""
    reason: str
    """The judge's."""


class JudgeFigures(BaseModel):
    """A judge against the gold set."""

    name: str
    model: str
    answered: int
    """Tasks with a valid answer; the figures are over them."""
    invalid: list[str]
    """Tasks on which every answer was invalid. The factory turns such a task away."""
    accuracy: Share
    feasible: ClassFigures
    infeasible: ClassFigures
    agreement: Agreement
    """With the gold set."""
    by_kind: dict[Kind, Share]
    """Accuracy."""
    by_domain: dict[str, Share]
    """Accuracy."""
    criteria: dict[str, CriterionFigures]
    right_criterion: Share
    """Of the infeasible tasks that were turned away, those of which a criterion was failed that the gold set names."""
    difficulty: Share
    """Of the feasible tasks that were let through, those of the gold set's difficulty."""
    disagreements: list[Disagreement]


class Pair(BaseModel):
    """How far two judges agree."""

    one: str
    other: str
    agreement: Agreement


class Calibration(BaseModel):
    """All judges against the gold set, and against one another."""

    rubric: str
    """Id of the rubric."""
    rule: str
    """By which the verdicts were combined."""
    gold: dict[Kind, int]
    """Gold tasks by kind."""
    feasible: int
    """How many of them are."""
    judges: list[JudgeFigures]
    combined: JudgeFigures
    """What the factory would have decided."""
    pairs: list[Pair]
    drifted: list[str]
    """Tasks that the factory turns away before a judge is asked; here the judges were asked all the same."""


def calibrate(
    gold: Sequence[Gold], seats: Sequence[Seat], drifted: Sequence[str], rubric: Rubric, settings: JudgeSettings
) -> Calibration:
    """Count the panel's answers.

    Args:
        gold: the tasks that were judged.
        seats: the panel, each with its answers to all of them.
        drifted: ids of the tasks that need no judge to be turned away.
        rubric: that they answered.
        settings: has the rule that combines verdicts.
    """
    settings = settings.model_copy(update={"audit": 0.0})
    of_each = [
        figures(seat.name, seat.model, gold, {key: _said(one) for key, one in seat.answers.items()}, rubric)
        for seat in seats
    ]
    together: dict[str, Answer | None] = {}
    for one in gold:
        found = combined(one.task, [_given(seat, one.id) for seat in seats], rubric, settings)
        together[one.id] = _decided(found, [seat.answers[one.id] for seat in seats], one.id in drifted)
    pairs = []
    for first, second in combinations(seats, 2):
        both = [(a, b) for one in gold if (a := first.answers[one.id]) and (b := second.answers[one.id])]
        votes = [(a.verdict.feasible, b.verdict.feasible) for a, b in both]
        pairs.append(Pair(one=first.name, other=second.name, agreement=kappa(votes)))
    kinds = Counter(one.label.kind for one in gold)
    return Calibration(
        rubric=rubric.id,
        rule=settings.rule,
        gold={kind: kinds[kind] for kind in get_args(Kind)},
        feasible=sum(one.label.feasible for one in gold),
        judges=of_each,
        combined=figures("combined", ", ".join(dict.fromkeys(seat.model for seat in seats)), gold, together, rubric),
        pairs=pairs,
        drifted=[*drifted],
    )


def figures(
    name: str, model: str, gold: Sequence[Gold], answers: Mapping[str, Answer | None], rubric: Rubric
) -> JudgeFigures:
    """One judge's answers, counted."""
    judged = [(one, answer) for one in gold if (answer := answers[one.id]) is not None]
    counts = Counter((one.label.feasible, answer.feasible) for one, answer in judged)
    wrong = [(one, answer) for one, answer in judged if one.label.feasible != answer.feasible]
    away = [(one, answer) for one, answer in judged if not one.label.feasible and not answer.feasible]
    through = [(one, answer) for one, answer in judged if one.label.feasible and answer.feasible]
    through = [(one, answer) for one, answer in through if answer.difficulty is not None]
    criteria = {}
    for key in rubric.criteria:
        of = Counter((key in one.label.fails, key in answer.failed) for one, answer in judged)
        criteria[key] = CriterionFigures(hit=of[True, True], missed=of[True, False], extra=of[False, True])

    def right(group: Sequence[tuple[Gold, Answer]]) -> Share:
        return share(sum(one.label.feasible == answer.feasible for one, answer in group), len(group))

    domains = sorted({one.task.draw.domain for one, _ in judged})
    return JudgeFigures(
        name=name,
        model=model,
        answered=len(judged),
        invalid=[one.id for one in gold if answers[one.id] is None],
        accuracy=right(judged),
        feasible=_class(counts[True, True], counts[False, True], counts[True, False]),
        infeasible=_class(counts[False, False], counts[True, False], counts[False, True]),
        agreement=kappa([(one.label.feasible, answer.feasible) for one, answer in judged]),
        by_kind={kind: right([pair for pair in judged if pair[0].label.kind == kind]) for kind in get_args(Kind)},
        by_domain={key: right([pair for pair in judged if pair[0].task.draw.domain == key]) for key in domains},
        criteria=criteria,
        right_criterion=share(sum(bool({*one.label.fails} & {*answer.failed}) for one, answer in away), len(away)),
        difficulty=share(sum(one.label.difficulty == answer.difficulty for one, answer in through), len(through)),
        disagreements=[
            Disagreement(
                id=one.id,
                domain=one.task.draw.domain,
                kind=one.label.kind,
                feasible=one.label.feasible,
                fails=one.label.fails,
                failed=answer.failed,
                because=one.label.because,
                reason=answer.reason,
            )
            for one, answer in wrong
        ],
    )


def _class(hit: int, extra: int, missed: int) -> ClassFigures:
    precision, recall = share(hit, hit + extra), share(hit, hit + missed)
    f1 = 2 * hit / (2 * hit + extra + missed) if hit + extra and hit + missed else None
    return ClassFigures(precision=precision, recall=recall, f1=f1)


def _said(opinion: Opinion | None) -> Answer | None:
    if opinion is None:
        return None
    verdict = opinion.verdict
    return Answer(verdict.feasible, verdict.failed, verdict.difficulty, " ".join(verdict.reason.split()))


def _given(seat: Seat, task: str) -> Opinion | str:
    return seat.answers[task] or f"{seat.name} gave no valid answer"


def _decided(found: Judgement | Rejection, opinions: Sequence[Opinion | None], drifted: bool) -> Answer | None:
    """What the factory decides; None where it turns the task away for want of an answer."""
    if drifted:
        return Answer(False, ("domain_fit",), None, "it asks for nothing but a file made from a file")
    if isinstance(found, Judgement):
        return Answer(True, (), found.difficulty, "feasible")
    if found.reason == "invalid-answer":
        return None
    counts = Counter(name for opinion in opinions if opinion for name in opinion.verdict.failed)
    most = max(counts.values(), default=0)
    return Answer(False, tuple(name for name, count in counts.items() if count == most), None, found.detail)
