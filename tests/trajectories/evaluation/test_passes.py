"""pass@k held against counting every choice of k trials, and its errors against what they stand for."""

import math
import statistics
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajectories.evaluation.passes import (
    TrialLine,
    estimate,
    pass_at_k,
    runs,
    task_figures,
    wilson,
)


def lines(*tasks: str) -> list[TrialLine]:
    """Trials of tasks `a`, `b`, ... by a letter each: `1` passed, `h` half a reward, `0` none, `x` broken."""
    reward = {"1": 1.0, "h": 0.5, "0": 0.0, "x": None}
    return [
        TrialLine(
            task_id=chr(97 + task),
            repeat=repeat,
            seed=repeat,
            reward=reward[one],
            failed="gone" if one == "x" else None,
        )
        for task, row in enumerate(tasks)
        for repeat, one in enumerate(row)
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_share_of_choices_with_a_pass(passed: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(passed)))
    choices = [any(choice) for choice in combinations(passed, k)]
    assert pass_at_k(len(passed), sum(passed), k) == pytest.approx(sum(choices) / len(choices))


@pytest.mark.parametrize(("n", "c", "k"), [(2, 3, 1), (2, 1, 3), (2, 1, 0), (2, -1, 1), (0, 0, 1)])
def test_what_cannot_be_estimated_is_an_error(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be estimated"):
        pass_at_k(n, c, k)


def test_wilson_as_published() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(3, 3)[1] == 1.0


def test_a_task_counts_graded_trials_alone() -> None:
    figures = task_figures("a", lines("1hx0x"), k=2)
    assert (figures.trials, figures.passed, figures.failed) == (3, 1, 2)
    assert figures.mean_reward == pytest.approx(0.5)
    assert figures.pass_at_1 == pytest.approx(1 / 3)
    assert figures.pass_at_k == pytest.approx(2 / 3)
    assert figures.pass_at_k_interval is not None and figures.pass_at_1_interval is not None
    assert figures.pass_at_k_interval[0] == pytest.approx(1 - (1 - figures.pass_at_1_interval[0]) ** 2)


def test_too_few_graded_trials_give_no_figure() -> None:
    assert task_figures("a", lines("1x"), k=2).pass_at_k is None
    nothing = task_figures("a", lines("xx"), k=1)
    assert (nothing.pass_at_1, nothing.mean_reward, nothing.pass_at_1_interval) == (None, None, None)
    assert estimate(lines("xx"), 1).value is None


def test_standard_error_over_runs_is_that_of_the_runs() -> None:
    trials = lines("1101", "0110", "1111")
    shares = list(runs(trials).values())
    assert shares == pytest.approx([2 / 3, 1.0, 2 / 3, 2 / 3])
    found = estimate(trials, 1)
    assert found.value == pytest.approx(statistics.mean(shares))
    assert found.se_runs == pytest.approx(statistics.stdev(shares) / math.sqrt(4))


def test_standard_error_over_tasks_is_that_of_the_tasks() -> None:
    found = estimate(lines("1101", "0110", "0000"), 1)
    shares = [0.75, 0.5, 0.0]
    assert found.se_tasks == pytest.approx(statistics.stdev(shares) / math.sqrt(3))
    assert found.interval is not None
    assert 0.0 <= found.interval[0] < found.value < found.interval[1] <= 0.75  # type: ignore[operator]


def test_errors_that_cannot_be_known_are_none() -> None:
    assert estimate(lines("1", "0"), 1).se_runs is None, "one run"
    assert estimate(lines("10", "01"), 2).se_runs is None, "k needs every run"
    assert estimate(lines("10"), 1).se_tasks is None, "one task"
    assert estimate(lines("10"), 1).interval is None
    assert estimate(lines("10", "01"), 1).interval is None, "no spread between tasks"


def test_a_task_without_enough_trials_is_in_no_mean() -> None:
    found = estimate(lines("11", "0x"), 2)
    assert (found.value, found.tasks) == (1.0, 1)
