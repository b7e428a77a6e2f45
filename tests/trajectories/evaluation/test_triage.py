"""Labels of tasks, and where to look first when nobody solves one."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.cli.eval import told
from trajectories.evaluation.passes import TaskFigures, TrialLine, task_figures
from trajectories.evaluation.result import result_of
from trajectories.evaluation.tasks import FoundTask
from trajectories.evaluation.triage import Tried, label_of, triage, unproven

ALL = {"a": 1.0, "b": 1.0, "c": 1.0}
BUT_C = {"a": 1.0, "b": 1.0, "c": 0.0}
NOTHING = {"a": 0.0, "b": 0.0, "c": 0.0}


def tried(reward: float | None = 0.0, ended: str | None = "complete", checks: dict[str, float] | None = None) -> Tried:
    return Tried(reward, ended, checks or {})


@given(st.lists(st.sampled_from([None, 0.0, 0.5, 1.0]), max_size=8))
def test_a_label_counts_graded_trials_alone(rewards: list[float | None]) -> None:
    label = label_of([tried(reward) for reward in rewards])
    passed = [reward == 1.0 for reward in rewards if reward is not None]
    expected = {(): "ungraded", (True,): "too-easy", (False,): "unsolved"}.get(tuple(set(passed)), "varied")
    assert label == expected
    found = triage([tried(reward) for reward in rewards], None)
    assert (found is not None) == (bool(rewards) and not any(passed))


@pytest.mark.parametrize(
    ("trials", "proof", "cause", "said"),
    [
        ([tried(None, None)] * 3 + [tried()], None, "infrastructure", "3 of 4 trials ended without a reward"),
        ([tried(None, None)] * 2, "it has no certificate", "infrastructure", "2 of 2"),
        ([tried(0.0, "timeout"), tried(0.0, "session-closed")], None, "infrastructure", "session-closed, timeout"),
        ([tried(0.0, "complete", BUT_C)] * 3, None, "design-flaw", "c failed in every trial"),
        ([tried(0.0, "complete", BUT_C)] * 2 + [tried(0.0, "max-turns", NOTHING)], None, "design-flaw", "c failed"),
        ([tried(0.0, "complete", NOTHING)] * 3, "it has no certificate", "design-flaw", "it has no certificate"),
        ([tried(0.0, "max-turns", BUT_C)] * 3, None, "too-hard", "3 max-turns; 2.0 of 3 checks passed on average"),
        ([tried(0.0, "complete", BUT_C)], None, "too-hard", "1 complete"),
        ([tried(0.0, "complete", {"a": 0.0})] * 4, None, "too-hard", "0.0 of 1 checks"),
        ([tried(0.0, "loop"), tried(0.0, "complete")], None, "too-hard", "ended: 1 loop, 1 complete"),
        ([tried(0.0, "complete", BUT_C), tried(0.0, "complete", NOTHING)], None, "too-hard", "2 complete"),
    ],
)
def test_where_to_look_first(trials: list[Tried], proof: str | None, cause: str, said: str) -> None:
    found = triage(trials, proof)
    assert found is not None
    assert (found.cause, said in found.because) == (cause, True), found.because
    assert found.check == ("c" if said.startswith("c failed") else None)


def certificate(folder: Path, **changes: object) -> None:
    """What this reads of a certificate, in the form that the code of the day writes."""
    (folder / "certificate.json").write_text(json.dumps(changes))


def test_a_certificate_that_is_not_there_or_cannot_be_read(tmp_path: Path) -> None:
    assert unproven(tmp_path, "d") == "it has no certificate"
    certificate(tmp_path, version=0)
    assert "cannot be read" in (unproven(tmp_path, "d") or "")
    (tmp_path / "certificate.json").write_text("{")
    assert "cannot be read" in (unproven(tmp_path, "d") or "")


def test_a_certificate_of_other_files_or_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(digests=SimpleNamespace(folder="d"), certified=folder.name == "good")

    monkeypatch.setattr("trajectories.evaluation.triage.read_certificate", read)
    assert unproven(tmp_path / "good", "d") is None
    assert "stale" in (unproven(tmp_path / "good", "other") or "")
    assert "gate failed" in (unproven(tmp_path / "bad", "d") or "")


def lines(task: str, *trials: Tried) -> list[TrialLine]:
    return [
        TrialLine(task_id=task, repeat=n, seed=n, reward=one.reward, ended=one.ended, checks=one.checks)
        for n, one in enumerate(trials)
    ]


def test_the_table_and_the_json_show_it(tmp_path: Path) -> None:
    tasks = [FoundTask(name, "", tmp_path, "d") for name in ("easy", "hard", "odd", "some")]
    trials = [
        *lines("easy", tried(1.0), tried(1.0)),
        *lines("hard", tried(0.0, "max-turns"), tried(0.0, "max-turns")),
        *lines("odd", tried(None, None), tried(None, None)),
        *lines("some", tried(1.0, "complete", ALL), tried(0.0)),
    ]
    about = {
        "model": "m", "served_by": "u:m", "repeats": 2, "ended": "short", "unusable": {}, "cost_usd": None,
        "settings": {}, "versions": {},
    }
    result = result_of(tasks, trials, 2, **about)
    shown = told(result, tmp_path)
    assert "tasks: 1 too-easy, 1 unsolved, 1 ungraded, 1 varied" in shown
    assert "unsolved: hard: design-flaw? nothing proves that it can be solved: it has no certificate" in shown
    assert "ungraded: odd: infrastructure? 2 of 2 trials ended without a reward" in shown
    row = next(line for line in shown.splitlines() if line.startswith("some"))
    assert "1 of 2" in row and "0.500 [0.095, 0.905]" in row.replace("  ", " ") and row.endswith("varied")
    dumped = result.model_dump(mode="json")["tasks"]
    assert [task["label"] for task in dumped] == ["too-easy", "unsolved", "ungraded", "varied"]
    assert dumped[1]["triage"]["cause"] == "design-flaw"


def test_old_files_are_still_read() -> None:
    line = TrialLine.model_validate_json('{"task_id": "a", "repeat": 0, "seed": 1, "reward": 0.0, "ended": "loop"}')
    assert line.checks == {}
    figures = task_figures("a", [line], 1).model_dump()
    old = {key: value for key, value in figures.items() if key not in ("label", "triage")}
    assert TaskFigures.model_validate(old).label is None
