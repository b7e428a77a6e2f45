"""Command scores: the published figures to the last digit, and the same as the rules written down directly."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trajectories.replay import direct
from trajectories.replay.commands import WAIT, lines_of, score_commands, units_of

PUBLISHED = json.loads((Path(__file__).parent / "published_steps.json").read_text())["steps"]


@pytest.mark.parametrize("step", PUBLISHED, ids=lambda step: f"{step['task_id']}-{step['step_idx']}")
def test_the_published_figures(step: dict[str, Any]) -> None:
    score = score_commands(step["pred_command_units"], step["ref_command_units"])
    assert score.first_exact == step["first_cmd_exact"]
    assert round(score.precision, 4) == step["command_precision"]
    assert round(score.recall, 4) == step["command_recall"]
    assert round(score.f1, 4) == step["command_f1"]


WORDS = st.sampled_from(
    ["ls", "-la", "LS", "cat", "'a b'", "a", "b", "/app/x", '"open', "\\", "é", "|", "''", WAIT, "#"]
)
UNITS = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), max_size=7)


@settings(max_examples=400, deadline=None)
@given(UNITS, UNITS)
def test_any_units_score_as_by_the_direct_rules(predicted: list[str], reference: list[str]) -> None:
    assert tuple(score_commands(predicted, reference)) == direct.scores(predicted, reference)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=4), st.lists(st.text(max_size=12), max_size=4))
def test_any_text_at_all_scores_as_by_the_direct_rules(predicted: list[str], reference: list[str]) -> None:
    assert tuple(score_commands(predicted, reference)) == direct.scores(predicted, reference)


def test_units_are_lines_and_an_empty_command_waits() -> None:
    assert units_of(["cd /app\n ls -la \r\n\n", "", "\n \n", "q"]) == ["cd /app", "ls -la", WAIT, WAIT, "q"]
    assert units_of([]) == []
    assert lines_of("a\rb\r\nc") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("predicted", "reference", "expected"),
    [
        ([], ["ls"], (0.0, 0.0, 0.0, 0.0)),
        (["ls"], [], (0.0, 0.0, 0.0, 0.0)),
        ([], [], (0.0, 0.0, 0.0, 0.0)),
        (["LS  -la"], ["ls -LA"], (1.0, 1.0, 1.0, 1.0)),
        ([WAIT], ["<wait>"], (1.0, 1.0, 1.0, 1.0)),
        (["echo 'unbalanced"], ["echo 'unbalanced"], (1.0, 1.0, 1.0, 1.0)),
        (["größe prüfen"], ["GRÖSSE prüfen"], (0.0, 0.5, 0.5, 0.5)),
        (["cat 'a b'"], ['cat "a b"'], (0.0, 1.0, 1.0, 1.0)),
    ],
)
def test_edges(predicted: list[str], reference: list[str], expected: tuple[float, ...]) -> None:
    assert tuple(score_commands(predicted, reference)) == expected


@pytest.mark.parametrize("lines", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_heredoc_of_many_lines_is_scored(lines: int) -> None:
    reference = [f"line {number} of the file" for number in range(lines)]
    half = lines // 2
    score = score_commands([*reference[:half], "something else"], reference)
    # Lines that are missing are near to those that are there: only the number differs.
    assert score.precision == pytest.approx(half / (half + 1))
    assert score.recall == pytest.approx((half + half * 0.8) / lines)
