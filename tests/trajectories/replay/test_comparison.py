"""Comparing students: order, paired differences, correlation, what is refused, and what the pages say."""

import json
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.factory.commands import synth
from trajectories.evaluation.passes import TrialLine
from trajectories.evaluation.result import EvaluationResult, result_of
from trajectories.evaluation.result import save as save_evaluation
from trajectories.evaluation.tasks import FoundTask
from trajectories.replay.comparison import (
    Comparison,
    ComparisonError,
    compare,
    contenders,
    with_live,
)
from trajectories.replay.correlation import correlate, ranks
from trajectories.replay.equivalence_result import read_equivalence
from trajectories.replay.pages import clean, write_pages
from trajectories.replay.result import ResultError
from trajectories.replay.step import Step

from .results import said, steps_of, write_result

STEPS = steps_of(*[[f"git log -n {task} f{place}" for place in range(6)] for task in range(8)])
NASTY = "<script>alert(1)</script> `|` \x1b[31m ]]> ```"


def right_below(count: int) -> Any:
    """Answers as the teacher at the first steps of each task, and something else after."""
    return lambda step: step.ref_raw if step.step_idx < count else said("ls")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Results of a good student, a bad one, and one that is not ranked."""
    return {
        "good": write_result(tmp_path / "good", "good", STEPS, right_below(5)),
        "bad": write_result(tmp_path / "bad", "bad", STEPS, right_below(1)),
        "raw": write_result(
            tmp_path / "raw", "raw", STEPS, right_below(6), rank_eligible=False, rank_reasons=["a raw prompt"]
        ),
    }


def compared(*places: Path | str, common: bool = False) -> Comparison:
    return compare(contenders([str(place) for place in places], read_equivalence, common))


def test_the_ranked_by_score_and_the_others_apart(folders: dict[str, Path]) -> None:
    found = compared(folders["bad"], folders["raw"], "teacher", folders["good"])
    order = [(one.name, one.rank) for one in found.standings]
    assert order[:2] == [("good", 1), ("bad", 2)]
    assert {name for name, _ in order[2:]} == {"raw", "teacher"}
    reasons = {one.name: one.rank_reasons for one in found.standings}
    assert (reasons["raw"], reasons["teacher"], reasons["good"]) == (["a raw prompt"], ["the reference itself"], [])
    teacher = next(one for one in found.standings if one.name == "teacher")
    assert (teacher.score, teacher.first_exact_pct, teacher.recall) == (100.0, 100.0, 1.0)
    assert (found.steps, found.tasks) == (48, 8)


def test_differences_are_paired(folders: dict[str, Path]) -> None:
    pair = compared(folders["good"], folders["bad"]).pairs[0]
    # The same four steps of six in every task: no task differs from another in what is between the two.
    assert pair.f1.value == pytest.approx(4 / 6, abs=1e-4)
    assert pair.f1.interval == pytest.approx((4 / 6, 4 / 6), abs=1e-4)
    assert pair.f1.clear and pair.first_exact.clear
    assert (pair.a_better, pair.b_better, pair.same) == (32, 0, 16)
    assert len(pair.most) == 10
    gap = pair.most[0]
    assert (gap.task_id, gap.step_idx, gap.a_f1, gap.b_f1) == ("t0", 1, 1.0, 0.0)
    assert (gap.reference, gap.a, gap.b) == (["git log -n 0 f1"], ["git log -n 0 f1"], ["ls"])


def test_no_difference_is_not_clear(tmp_path: Path) -> None:
    # Each is right where the other is wrong, by the toss of a coin for every task.
    coin = {f"t{task}": Random(task).random() < 0.5 for task in range(8)}
    assert 2 <= sum(coin.values()) <= 6
    one = write_result(tmp_path / "one", "one", STEPS, lambda step: step.ref_raw if coin[step.task_id] else said("ls"))
    two = write_result(tmp_path / "two", "two", STEPS, lambda step: said("ls") if coin[step.task_id] else step.ref_raw)
    pair = compared(one, two).pairs[0]
    assert pair.f1.interval[0] < 0 < pair.f1.interval[1]
    assert not pair.f1.clear
    assert compared(one, two).pairs[0] == pair, "the same input gives the same figures"


def test_other_step_sets_are_refused_unless_what_they_share_is_asked_for(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    other = write_result(tmp_path / "other", "other", STEPS[3:], right_below(6))
    with pytest.raises(ComparisonError, match="different step sets"):
        compared(folders["good"], other)
    found = compared(folders["good"], other, common=True)
    assert found.steps == len(STEPS) - 3
    assert len(found.steps_sha256) == 2
    apart = write_result(tmp_path / "apart", "apart", steps_of(["ls"]), right_below(6))
    with pytest.raises(ComparisonError, match="share no step"):
        compared(folders["good"], apart, common=True)


def test_what_cannot_be_compared(folders: dict[str, Path], tmp_path: Path) -> None:
    for places in ([folders["good"]], ["teacher"], ["teacher", "teacher", folders["good"]]):
        with pytest.raises(ComparisonError, match="two are needed"):
            compared(*places)
    with pytest.raises(ComparisonError, match="twice"):
        compared(folders["good"], folders["good"], folders["good"])
    (folders["bad"] / "result.json").unlink()
    with pytest.raises(ResultError, match="no replay result"):
        compared(folders["good"], folders["bad"])


def evaluation(model: str, passes: dict[str, int]) -> EvaluationResult:
    """Four trials of each task, of which some passed."""
    tasks = [FoundTask(task, "", Path(task), "") for task in passes]
    lines = [
        TrialLine(task_id=task, repeat=repeat, seed=0, reward=float(repeat < passed))
        for task, passed in passes.items()
        for repeat in range(4)
    ]
    about: dict[str, Any] = {"model": model, "served_by": f"endpoint:{model}", "repeats": 4, "ended": "done"}
    return result_of(tasks, lines, 2, **about, unusable={}, cost_usd=0.0, settings={}, versions={})


def test_replay_beside_execution(tmp_path: Path) -> None:
    places = []
    for name, right in (("m1", 1), ("m2", 3), ("m3", 5)):
        places.append(str(write_result(tmp_path / name, name, STEPS, right_below(right))))
    rising = {f"t{task}": min(task, 4) for task in range(6)}
    live = [
        (None, evaluation("m1", dict.fromkeys(rising, 0))),
        ("m2", evaluation("anything", rising)),
        (None, evaluation("m3", dict.fromkeys(rising, 4))),
    ]
    found = compare(with_live(contenders(places, read_equivalence), live))
    assert found.across_models is not None
    assert (found.across_models.n, found.across_models.spearman) == (3, 1.0)
    assert "say little" in found.across_models.note
    assert [one.pass_at_1 for one in found.standings] == pytest.approx([1.0, 14 / 24, 0.0])
    assert found.within_models["m2"].n == 6
    assert found.within_models["m2"].pearson is None, "its F1 is the same in every task"
    without = compare(with_live(contenders(places, read_equivalence), live[:2]))
    assert without.across_models is None
    for beside, wanted in (([(None, live[1][1])], "nobody"), ([*live, live[0]], "more than one")):
        with pytest.raises(ComparisonError, match=wanted):
            with_live(contenders(places, read_equivalence), beside)


def test_correlation_within_a_model_follows_its_tasks(tmp_path: Path) -> None:
    def answer(step: Step) -> str:
        return step.ref_raw if step.step_idx < int(step.task_id[1:]) else said("ls")

    places = [str(write_result(tmp_path / name, name, STEPS, answer)) for name in ("m", "n")]
    live = [(None, evaluation("m", {f"t{task}": min(task, 4) for task in range(7)}))]
    found = compare(with_live(contenders(places, read_equivalence), live)).within_models["m"]
    assert found.n == 7
    assert found.spearman is not None and found.spearman > 0.95
    assert found.pearson is not None and 0.9 < found.pearson < 1


def test_correlation_by_known_figures() -> None:
    # Anscombe 1973, the first quartet: r = 0.816, rho = 0.818.
    x = [10.0, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    found = correlate(x, y)
    assert (found.pearson, found.spearman, found.note) == (pytest.approx(0.8164, abs=1e-4), 0.8182, "")
    assert correlate(x, [-value for value in y]).pearson == -found.pearson  # type: ignore[operator]
    assert correlate([1, 2], [1, 2]).pearson is None
    assert correlate([0.1 + 0.2] * 4, [1, 2, 3, 4]).spearman is None


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_ranks_are_means_of_places(values: list[int]) -> None:
    ordered = sorted(values)
    wanted = [
        sum(place for place, other in enumerate(ordered, 1) if other == value) / ordered.count(value)
        for value in values
    ]
    assert ranks([float(value) for value in values]) == pytest.approx(wanted)


class _Page(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_pages_hold_the_figures_and_run_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    nasty = write_result(tmp_path / "nasty", NASTY, STEPS, lambda step: said(NASTY))
    places = [str(folders["good"]), str(nasty), str(folders["raw"]), "teacher"]
    students = contenders(places, read_equivalence)
    found = compare(students)
    files = write_pages(found, students, tmp_path / "out")
    assert {file.relative_to(tmp_path / "out").as_posix() for file in files} >= {
        *("comparison.json", "leaderboard.md", "leaderboard.html", "cards/good.md", "cards/raw.md")
    }
    assert Comparison.model_validate_json((tmp_path / "out" / "comparison.json").read_text()) == found

    page = _Page()
    page.feed((tmp_path / "out" / "leaderboard.html").read_text())
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert page.addresses == []
    assert clean(NASTY) in page.text and "83.33" in page.text and "a raw prompt" in page.text
    for file in files:
        assert "\x1b" not in file.read_text() or file.suffix == ".json"

    board = (tmp_path / "out" / "leaderboard.md").read_text()
    row = next(line for line in board.splitlines() if line.startswith("| 1 |"))
    assert "| good | 83.33 |" in row
    assert all(line.replace("\\|", "").count("|") == 13 for line in board.splitlines() if line.startswith("| 2 |"))


def test_a_model_card_is_one_that_the_hub_reads(folders: dict[str, Path], tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    (folders["good"] / "equivalence.json").write_text(
        json.dumps(
            {
                "schema_version": 1,
                "steps": 4,
                "equivalent_pct": 75.0,
                "equivalent_interval": [50.0, 100.0],
                "changing_steps": 2,
                "changing_equivalent_pct": 50.0,
            }
        )
    )
    students = contenders([str(folders["good"]), str(folders["bad"]), str(folders["raw"])], read_equivalence)
    students = with_live(students, [(None, evaluation("good", {"t0": 4, "t1": 2}))])
    write_pages(compare(students), students, tmp_path / "out")
    text = (tmp_path / "out" / "cards" / "good.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["model-index"][0]["name"] == "good"
    metrics = {
        metric["type"]: metric["value"] for one in head["model-index"][0]["results"] for metric in one["metrics"]
    }
    assert (metrics["command_f1"], metrics["state_equivalence"], metrics["pass@1"]) == (0.8333, 75.0, 0.75)
    assert len(ModelCard(text).data.eval_results) == 7
    for wanted in (
        *("Rank: `1 / 2`", "Score: `83.33`", "Steps / tasks: `48 / 8`", "Load time: `12.5` s", "thinking `stripped`"),
        *(
            "`75.0 %` of 4 steps",
            "pass@1 `75.0 %` over 2 tasks",
            "--max-tokens 64 --structured",
            "Rank eligible: `yes`",
        ),
    ):
        assert wanted in text
    assert "not ranked" in (tmp_path / "out" / "cards" / "raw.md").read_text()


@pytest.mark.parametrize(("base", "named"), [("some/model", "some/model"), ("/home/me/models/tiny", "tiny")])
def test_a_model_card_says_how_the_student_was_trained(tmp_path: Path, base: str, named: str) -> None:
    training = {"base": base, "data": {"rows": 3, "sha256": "ab12"}}
    folder = write_result(tmp_path / "a", "a", STEPS, lambda step: step.ref_raw, training=training)
    students = contenders([str(folder), "teacher"], read_equivalence)
    write_pages(compare(students), students, tmp_path / "out")
    text = (tmp_path / "out" / "cards" / "a.md").read_text()
    assert f"Trained by `synth sft` from {named} on 3 rows (sha256 `ab12`)." in text
    assert yaml.safe_load(text.split("---")[1]).get("base_model") == (base if base == named else None)
    assert "/home/me" not in text
    assert "Said complete when the teacher did: `- (it never did)`" in text


def test_the_command(folders: dict[str, Path], tmp_path: Path) -> None:
    save_evaluation(evaluation("good", {"t0": 4}), tmp_path)
    order = ("compare", "good", "bad", "teacher", "--against-eval", "good=result.json", "--out", "out")
    ended = synth(*order, "--json", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert [one["name"] for one in ended.json["standings"]] == ["good", "bad", "teacher"]
    assert ended.json["standings"][0]["pass_at_1"] == 1.0
    told = synth(*order, folder=tmp_path)
    assert "good - bad: F1 +0.6667" in told.out
    assert "out/leaderboard.html" in told.out
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "result.json").write_text("{")
    for more, wanted in (
        (("good",), "two are needed"),
        (("good", "none"), "no such folder"),
        (("good", "torn"), "torn/result.json"),
        (("good", "bad", "--against-eval", "good/result.json"), "good/result.json"),
        (("good", "bad", "--against-eval", "x=result.json"), "named x"),
    ):
        ended = synth("compare", *more, folder=tmp_path)
        assert ended.code == 2, ended.err
        assert wanted in ended.err
        assert len(ended.err.strip().splitlines()) == 1
