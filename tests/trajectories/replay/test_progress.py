"""A replay's folder: order, going on after a stop, and what is refused. The student here answers as it is told."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest
from pydantic import JsonValue

from trajectories.replay.ask import held_against, replay, trained_as
from trajectories.replay.progress import Progress, ReplayMismatch, in_order
from trajectories.replay.result import Prediction, ResultError, load, load_scores
from trajectories.replay.step import Step, digest
from trajectories.template import Audit, Mismatch

AUDIT = Audit(tokenizer="t" * 64, template="u" * 64, source="own", thinking="stripped")


def said(*keystrokes: str) -> str:
    commands = [{"keystrokes": one, "duration": 0.1} for one in keystrokes]
    return json.dumps({"analysis": "a", "plan": "p", "commands": commands, "task_complete": False})


STEPS = [
    Step(task_id=task, step_idx=index, ref_raw=said(f"{task} {index}\n"), domain="games", scaffold="terminus-2 2.0.0")
    for task, index in (("b", 1), ("a", 0), ("b", 0), ("a", 11))
]


class Interrupted(Exception):
    """The student's machine goes down."""


class Written:
    """A `Student` that answers as the reference, but for what it is told otherwise."""

    backend: Literal["vllm", "endpoint"] = "vllm"
    identity: str | None = None

    def __init__(
        self,
        audit: Audit = AUDIT,
        *,
        stop_after: int | None = None,
        too_long: Sequence[tuple[str, int, int]] = (),
        failing: Sequence[tuple[str, int, int]] = (),
        **settings: JsonValue,
    ) -> None:
        self.audit = audit
        self.settings: Mapping[str, JsonValue] = {"structured": False, "max_model_len": None, **settings}
        self._stop_after, self._too_long, self._failing = stop_after, too_long, failing
        self.asked: list[tuple[str, int, int]] = []

    def ask(self, steps: Sequence[Step], progress: Progress) -> None:
        progress.begun(1.5, 4096)
        progress.made_with({"vllm": "0.1"})
        for step in steps:
            if len(self.asked) == self._stop_after:
                raise Interrupted
            self.asked.append(step.key)
            if step.key in self._too_long:
                progress.set_aside(step.key, 9999)
            elif step.key in self._failing:
                progress.failed[step.key] = "500"
            else:
                task, sample, index = step.key
                counts = {"prompt_tokens": 100, "cached_tokens": 100 if index else 0}
                progress.answered(
                    Prediction(task_id=task, sample_idx=sample, step_idx=index, text=step.ref_raw, **counts)
                )


def test_steps_of_one_trajectory_go_together_the_earlier_first() -> None:
    assert [step.key for step in in_order(STEPS)] == [("b", 0, 0), ("b", 0, 1), ("a", 0, 0), ("a", 0, 11)]


def test_a_result_says_everything(tmp_path: Path) -> None:
    settled: list[int] = []
    made = replay(STEPS, digest(STEPS), Written(), "tiny", tmp_path / "out", watch=settled.append)
    assert settled == [1, 2, 3, 4]
    assert load(tmp_path / "out") == made
    assert made.aggregate["score"] == 100.0
    assert (made.skipped, made.rank_eligible, made.rank_reasons) == ({}, True, [])
    assert (made.load_seconds, made.cache_hit_rate, made.versions) == (1.5, 0.5, {"vllm": "0.1"})
    assert made.seconds_per_step is not None
    assert made.sampling == {"structured": False, "max_model_len": 4096}, "the length that it had"
    assert made.aggregate["by_domain"]["games"]["steps"] == 4
    assert made.aggregate["by_scaffold"]["terminus-2 2.0.0"]["steps"] == 4
    assert {name: group["steps"] for name, group in made.aggregate["by_position"].items()} == {
        "0": 2,
        "1": 1,
        "10-19": 1,
    }
    scores = load_scores(tmp_path / "out")
    assert [(score.task_id, score.step_idx) for score in scores] == [(step.task_id, step.step_idx) for step in STEPS]
    assert [score.position for score in scores] == ["1", "0", "0", "10-19"]


def test_a_stopped_replay_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second, third = Written(stop_after=2), Written(), Written()
    with pytest.raises(Interrupted):
        replay(STEPS, digest(STEPS), first, "tiny", out)
    with pytest.raises(ResultError, match="holds no replay result"):
        load(out)
    with (out / "predictions.jsonl").open("a") as file:
        file.write('{"task_id": "a", "torn')
    made = replay(STEPS, digest(STEPS), second, "tiny", out)
    assert first.asked + second.asked == [step.key for step in in_order(STEPS)]
    assert made.aggregate["score"] == 100.0
    assert len((out / "predictions.jsonl").read_text().splitlines()) == 4
    assert replay(STEPS, digest(STEPS), third, "tiny", out) == made
    assert third.asked == []


def test_what_is_too_long_stays_aside_and_what_failed_is_asked_again(tmp_path: Path) -> None:
    out, long, bad = tmp_path / "out", ("a", 0, 11), ("b", 0, 1)
    made = replay(STEPS, digest(STEPS), Written(too_long=[long], failing=[bad]), "tiny", out)
    assert made.skipped == {"too-long": 1, "failed": 1}
    assert (made.aggregate["missing"], made.aggregate["score"]) == (2, 50.0), "both score 0"
    assert made.rank_reasons == ["1 steps were not answered"]
    again = Written()
    made = replay(STEPS, digest(STEPS), again, "tiny", out)
    assert again.asked == [bad]
    assert (made.skipped, made.rank_eligible, made.aggregate["score"]) == ({"too-long": 1}, True, 75.0)


@pytest.mark.parametrize(
    ("audit", "structured", "reason"),
    [
        (AUDIT.model_copy(update={"source": "raw"}), False, "raw prompt"),
        (AUDIT.model_copy(update={"source": "server"}), False, "unseen"),
        (AUDIT, True, "structured output"),
    ],
)
def test_what_is_not_ranked(tmp_path: Path, audit: Audit, structured: bool, reason: str) -> None:
    made = replay(STEPS, digest(STEPS), Written(audit, structured=structured), "tiny", tmp_path, ["a note"])
    assert not made.rank_eligible
    assert reason in made.rank_reasons[0]
    assert made.rank_reasons[-1] == "a note"


def test_another_replay_in_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    replay(STEPS, digest(STEPS), Written(max_tokens=1024), "tiny", out)
    for steps, student, name, difference in (
        (STEPS, Written(max_tokens=512), "tiny", "sampling.max_tokens was 1024 there and is 512 now"),
        (STEPS[1:], Written(max_tokens=1024), "tiny", "steps was"),
        (STEPS, Written(max_tokens=1024), "other", 'student was "tiny" there and is "other" now'),
        (STEPS, Written(AUDIT.model_copy(update={"thinking": "off"}), max_tokens=1024), "tiny", "audit.thinking was"),
    ):
        with pytest.raises(ReplayMismatch, match="holds answers of another replay") as caught:
            replay(steps, digest(steps), student, name, out)
        assert difference in str(caught.value)
        assert student.asked == []
    with pytest.raises(ReplayMismatch, match="cannot be a result's folder: File exists"):
        replay(STEPS, digest(STEPS), Written(), "tiny", out / "result.json")
    (tmp_path / "else").mkdir()
    (tmp_path / "else/notes.txt").write_text("mine")
    with pytest.raises(ReplayMismatch, match=r"holds notes\.txt"):
        replay(STEPS, digest(STEPS), Written(), "tiny", tmp_path / "else")


def test_results_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="there is no such folder"):
        load(tmp_path / "none")
    (tmp_path / "result.json").write_text('{"schema_version": 2}')
    with pytest.raises(ResultError, match="schema_version"):
        load(tmp_path)
    (tmp_path / "per_step.jsonl").write_text("{}\n")
    with pytest.raises(ResultError, match="task_id"):
        load_scores(tmp_path)


def test_a_checkpoint_is_asked_as_it_was_trained(tmp_path: Path) -> None:
    assert trained_as(str(tmp_path)) == {}
    told = {"audit": AUDIT.model_dump(), "base": "some/model", "data": {"rows": 3}}
    (tmp_path / "synth-sft.json").write_text(json.dumps({**told, "settings": {"lr": 1}}))
    assert trained_as(str(tmp_path)) == told
    trained = Audit.model_validate(told["audit"])
    assert held_against(trained, AUDIT, allow=False) == []
    other = AUDIT.model_copy(update={"template": "0" * 64})
    with pytest.raises(Mismatch, match="another chat template"):
        held_against(trained, other, allow=False)
    (reason,) = held_against(trained, other, allow=True)
    assert "another chat template" in reason
    (tmp_path / "synth-sft.json").write_text("[]")
    with pytest.raises(Mismatch, match="does not say how the student was trained"):
        trained_as(str(tmp_path))
