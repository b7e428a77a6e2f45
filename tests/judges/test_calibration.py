"""The figures of judges, held against counts by hand and against counting once more in another way."""

from itertools import product
from math import isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.agreement import kappa, share
from judges.calibration import Seat, calibrate
from judges.feasibility import JudgeSettings
from judges.gold import Gold, load_gold
from judges.rubric import load_rubric
from judges.verdict import Opinion
from taxonomy.catalog import load_catalog
from tests.judges.test_verdict import KEYS, verdict

RUBRIC = load_rubric()
GOLD = load_gold(load_catalog(), RUBRIC)
PANEL = JudgeSettings(judges=2, rule="all")


def opinion(*failed: str, difficulty: str = "medium") -> Opinion:
    return Opinion(judge="j", model="m", verdict=verdict(*failed, difficulty=difficulty))


def seat(name: str, answers: list[Opinion | None], gold: list[Gold]) -> Seat:
    return Seat(name, f"up:{name}", dict(zip((one.id for one in gold), answers, strict=True)))


def pick(*kinds: tuple[str, bool]) -> list[Gold]:
    """The first gold tasks of these kinds and answers, each another one."""
    left = list(GOLD)
    found = []
    for kind, feasible in kinds:
        one = next(one for one in left if (one.label.kind, one.label.feasible) == (kind, feasible))
        left.remove(one)
        found.append(one)
    return found


def test_kappa_as_in_the_books() -> None:
    # The common example: 20 both yes, 15 both no, 5 and 10 apart; 0.7 observed, 0.5 expected.
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    found = kappa(pairs)
    assert (found.items, found.observed, found.expected) == (50, 0.7, 0.5)
    assert found.kappa == pytest.approx(0.4)
    assert found.interval is not None
    half = 1.96 * sqrt(0.7 * 0.3 / (50 * 0.5**2))
    assert found.interval == pytest.approx((0.4 - half, 0.4 + half), abs=1e-4)


def test_kappa_where_chance_expects_everything() -> None:
    same = kappa([(True, True)] * 7)
    assert (same.kappa, same.expected, same.interval) == (1.0, 1.0, None)
    assert kappa([]).kappa is None
    assert kappa([(True, False)] * 3).kappa == 0.0
    assert kappa([(True, False), (False, True)]).kappa == -1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_kappa_is_symmetric_bounded_and_what_counting_gives(pairs: list[tuple[bool, bool]]) -> None:
    found = kappa(pairs)
    assert found == kappa([(b, a) for a, b in pairs])
    table = {cell: sum(pair == cell for pair in pairs) for cell in product((True, False), repeat=2)}
    n = len(pairs)
    rows = {a: table[a, True] + table[a, False] for a in (True, False)}
    columns = {b: table[True, b] + table[False, b] for b in (True, False)}
    by_chance = sum(rows[say] * columns[say] for say in (True, False))
    both = n * (table[True, True] + table[False, False])
    expected = 1.0 if by_chance == n * n else (both - by_chance) / (n * n - by_chance)
    assert found.kappa is not None
    assert isclose(found.kappa, expected, abs_tol=1e-9)
    assert -1 <= found.kappa <= 1


def test_a_share_of_none_is_none() -> None:
    assert share(0, 0).value is None
    assert share(1, 4).value == 0.25


def test_figures_by_hand() -> None:
    gold = pick(("clear", True), ("clear", True), ("borderline", True), ("infeasible", False), ("borderline", False))
    wrong = next(key for key in KEYS if key not in gold[3].label.fails)
    answers: list[Opinion | None] = [
        opinion(difficulty=gold[0].label.difficulty),
        opinion("network"),
        opinion(difficulty="easy"),
        opinion(wrong),
        opinion(),
    ]
    made = calibrate(gold, [seat("one", answers, gold)], [], RUBRIC, JudgeSettings())
    (one,) = made.judges
    # Feasible: found 2 of 3, and one more that is not.
    assert (one.feasible.precision.count, one.feasible.precision.of) == (2, 3)
    assert (one.feasible.recall.count, one.feasible.recall.of) == (2, 3)
    assert one.feasible.f1 == pytest.approx(2 / 3)
    assert (one.infeasible.precision.count, one.infeasible.precision.of) == (1, 2)
    assert (one.infeasible.recall.count, one.infeasible.recall.of) == (1, 2)
    assert one.accuracy.value == pytest.approx(3 / 5)
    assert one.agreement.kappa == pytest.approx((3 / 5 - 13 / 25) / (12 / 25))
    assert (one.by_kind["clear"].count, one.by_kind["clear"].of) == (1, 2)
    assert (one.by_kind["borderline"].count, one.by_kind["infeasible"].count) == (1, 1)
    assert one.right_criterion.value == 0.0
    assert (one.criteria["network"].hit, one.criteria["network"].extra) == (0, 1)
    assert sum(of.missed for of in one.criteria.values()) == sum(len(each.label.fails) for each in gold)
    assert (one.difficulty.count, one.difficulty.of) == (1, 2)
    assert [(of.id, of.feasible) for of in one.disagreements] == [(gold[1].id, True), (gold[4].id, False)]
    assert one.disagreements[0].because == gold[1].label.because
    assert (made.gold, made.feasible) == ({"clear": 2, "borderline": 2, "infeasible": 1}, 3)


def test_a_perfect_judge_and_one_that_lets_everything_through() -> None:
    perfect = [opinion(*one.label.fails, difficulty=one.label.difficulty) for one in GOLD]
    kind = [opinion() for _ in GOLD]
    made = calibrate(GOLD, [seat("a", [*perfect], GOLD), seat("b", [*kind], GOLD)], [], RUBRIC, PANEL)
    a, b = made.judges
    assert (a.accuracy.value, a.agreement.kappa, a.right_criterion.value, a.difficulty.value) == (1, 1, 1, 1)
    assert not a.disagreements
    assert all(of.missed == of.extra == 0 for of in a.criteria.values())
    assert (b.feasible.recall.value, b.infeasible.recall.value, b.agreement.kappa) == (1, 0, 0)
    assert (b.infeasible.precision.value, b.infeasible.f1) == (None, None)
    assert made.combined.accuracy.value == 1.0, "both must find it feasible"
    (pair,) = made.pairs
    assert (pair.one, pair.other, pair.agreement.kappa) == ("a", "b", 0)


@given(st.lists(st.sampled_from(["yes", "no", "invalid"]), min_size=len(GOLD), max_size=len(GOLD)))
def test_confusion_counted_by_hand(said: list[str]) -> None:
    answers = {"yes": opinion(), "no": opinion("clarity"), "invalid": None}
    made = calibrate(GOLD, [seat("x", [answers[one] for one in said], GOLD)], [], RUBRIC, JudgeSettings())
    (x,) = made.judges
    pairs = [(one.label.feasible, say) for one, say in zip(GOLD, said, strict=True)]
    tp, fp = pairs.count((True, "yes")), pairs.count((False, "yes"))
    fn, tn = pairs.count((True, "no")), pairs.count((False, "no"))
    assert (x.feasible.precision.count, x.feasible.precision.of) == (tp, tp + fp)
    assert (x.feasible.recall.count, x.feasible.recall.of) == (tp, tp + fn)
    assert (x.infeasible.recall.count, x.infeasible.recall.of) == (tn, tn + fp)
    assert (x.answered, len(x.invalid)) == (tp + fp + fn + tn, said.count("invalid"))
    if x.feasible.f1 is not None and tp:
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        assert isclose(x.feasible.f1, 2 * precision * recall / (precision + recall))
    assert len(x.disagreements) == fp + fn
    assert made.combined.answered == x.answered, "an invalid answer is a rejection of another kind"


def test_what_drifts_is_decided_before_the_judges() -> None:
    drifted = next(one for one in GOLD if one.id == "summarise-the-sweeps")
    made = calibrate([drifted], [seat("a", [opinion()], [drifted])], [drifted.id], RUBRIC, JudgeSettings())
    assert made.judges[0].accuracy.value == 0
    assert made.combined.accuracy.value == 1
    assert made.combined.criteria["domain_fit"].hit == 1


def test_an_audit_does_not_change_the_figures() -> None:
    answers: list[Opinion | None] = [opinion("clarity") for _ in GOLD]
    made = calibrate(GOLD, [seat("a", answers, GOLD)], [], RUBRIC, JudgeSettings(audit=1.0))
    assert made.combined.infeasible.recall.value == 1
