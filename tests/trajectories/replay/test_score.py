"""Steps, predictions and the aggregate."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from trajectories.replay.score import aggregate, interval, read_predictions, score_step
from trajectories.replay.step import Step, StepsError, bucket, digest, read_steps, usable


def said(*keystrokes: str, complete: bool = False, **more: Any) -> str:
    commands = [{"keystrokes": one, "duration": 0.1} for one in keystrokes]
    return json.dumps({"analysis": "a", "plan": "p", "commands": commands, "task_complete": complete, **more})


def step(task: str, index: int, raw: str, **more: Any) -> Step:
    return Step(task_id=task, step_idx=index, ref_raw=raw, **more)


def test_the_aggregate_of_a_few_steps() -> None:
    scores = [
        score_step(step("a", 0, said("ls -la\n"), source_group="x"), said("ls -la\n")),
        score_step(step("a", 2, said("cat f\n"), source_group="x"), "not JSON"),
        score_step(step("b", 5, said("pwd\n", complete=True), source_group="y"), said("pwd\n", complete=True)),
        score_step(step("b", 6, said("id\n"), source_group="y"), said("id -u\n", complete=True, plan="")),
    ]
    found = aggregate(scores)
    assert (found["steps"], found["tasks"], found["missing"]) == (4, 2, 0)
    assert found["valid_json_pct"] == 75.0
    assert found["has_plan_pct"] == 50.0
    assert found["first_cmd_exact_pct"] == 50.0
    assert found["avg_command_f1"] == round((1 + 0 + 1 + 0.6667) / 4, 4)
    assert found["score"] == round(100 * found["avg_command_f1"], 2)
    assert found["complete_true_recall_pct"] == 100.0
    assert found["complete_steps"] == 1
    assert found["premature_complete_rate_pct"] == 33.3
    early = {"steps": 1, "avg_command_f1": 1.0, "avg_command_f1_interval": [1.0, 1.0], "first_cmd_exact_pct": 100.0}
    assert found["by_bucket"]["early"] == early
    assert found["by_source_group"]["x"]["avg_command_f1"] == 0.5
    low, high = found["avg_command_f1_interval"]
    assert low == 0.5
    assert high == pytest.approx(0.8333, abs=1e-3)
    assert aggregate(scores) == found, "the bootstrap is seeded"


def test_no_steps_and_one_task() -> None:
    assert aggregate([])["score"] == 0.0
    one = [score_step(step("a", 0, said("ls\n")), said("ls\n"))]
    assert interval(one, lambda score: score.command_f1) == (1.0, 1.0)


def test_buckets_and_digest() -> None:
    assert [bucket(index) for index in range(7)] == ["early", "early", "mid", "mid", "mid", "late", "late"]
    steps = [step("a", 0, said("ls\n"), messages=[{"role": "user", "content": "hi"}]), step("a", 1, said("w\n"))]
    assert digest(steps) == digest(list(steps))
    assert digest(steps) != digest(steps[::-1])
    assert digest(steps) != digest([steps[0].model_copy(update={"messages": []}), steps[1]])


def test_references_that_cannot_be_scored_are_counted() -> None:
    kept, dropped = usable(
        [step("a", 0, said("ls\n")), step("a", 1, "no JSON"), step("a", 2, said()), step("a", 3, said("\n"))]
    )
    assert [one.step_idx for one in kept] == [0, 3]
    assert dropped == {"bad-reference": 1, "no-commands": 1}


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def test_files_of_steps_and_predictions(tmp_path: Path) -> None:
    first = {"task_id": "a", "sample_idx": 0, "step_idx": 0, "ref_raw": said("ls\n"), "extra": 1}
    steps = read_steps(lines(tmp_path / "s.jsonl", first, {**first, "step_idx": 1}, "\n", {**first, "sample_idx": 1}))
    assert len(steps) == 3
    predictions = lines(
        tmp_path / "p.jsonl",
        {"task_id": "a", "step_idx": 1, "text": "one"},
        {"task_id": "a", "step_idx": 0, "sample_idx": 1, "text": "other"},
    )
    assert read_predictions(predictions, steps) == [None, "one", "other"]
    assert aggregate([score_step(one, None) for one in steps])["missing"] == 3


@pytest.mark.parametrize(
    ("rows", "said_line"),
    [
        ((), "holds no step"),
        (("{",), "line 1: not JSON"),
        (("[]\n",), "line 1: not an object"),
        (({"task_id": "a"},), "line 1: step_idx"),
        (({"task_id": "a", "step_idx": 0, "ref_raw": "x"},) * 2, "line 2: step ('a', 0, 0) is there twice"),
    ],
)
def test_bad_files_of_steps(tmp_path: Path, rows: tuple[object, ...], said_line: str) -> None:
    with pytest.raises(StepsError, match=re.escape(said_line)):
        read_steps(lines(tmp_path / "s.jsonl", *rows))


@pytest.mark.parametrize(
    ("row", "said_line"),
    [
        ({"task_id": "a", "text": "t"}, "line 1: has no step_idx"),
        ({"task_id": "b", "step_idx": 0, "text": "t"}, "is not among the steps"),
        ({"task_id": "a", "step_idx": "first", "text": "t"}, "line 1: step_idx and sample_idx must be whole numbers"),
    ],
)
def test_bad_files_of_predictions(tmp_path: Path, row: dict[str, Any], said_line: str) -> None:
    with pytest.raises(StepsError, match=re.escape(said_line)):
        read_predictions(lines(tmp_path / "p.jsonl", row), [step("a", 0, said("ls\n"))])
    with pytest.raises(StepsError, match="cannot be read"):
        read_predictions(tmp_path / "none.jsonl", [])
