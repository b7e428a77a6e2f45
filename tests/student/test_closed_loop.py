"""The loop closed: trajectories, steps, an untrained student, SFT, the trained student in vLLM, in process and served.

`trajectories.jsonl` holds the first four answers of 22 trajectories that `synth generate --domain version_control` made
with the built-in model in real containers. The student is a Qwen3 of 0.6 million weights, which can learn answers by
heart and nothing else; so that it does in a minute, the contexts are made shorter here: of the task the first words
are left, of each screen the last ones. The answers are what was recorded, to the letter.

What is proved is that what is learnt, what is asked and what is scored are the same thing: one token that differs
between training and replay, and the student does not answer by heart.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import vllm_server
from tests.factory.commands import synth
from trajectories.replay.result import load, load_scores
from trajectories.replay.step import read_steps

pytestmark = pytest.mark.slow

RECORDED = Path(__file__).parent / "trajectories.jsonl"
LEARNT = 16
"""Trajectories that the student learns; the others are held out."""
TASK, SCREEN = 160, 80
"""Characters that are left of a task and of a screen."""
VOCABULARY = 2000
TRAINING = {
    "max_steps": 160,
    "batch": 4,
    "device_batch": 4,
    "lr": 0.005,
    "schedule": "linear",
    "gradient_checkpointing": False,
    "save_steps": 1000,
}
NAMES = ("--max-tokens", "400", "--max-model-len", "2048")


@dataclass(frozen=True)
class Loop:
    """The files of the loop before anything is trained."""

    folder: Path
    rows: Path
    steps: Path
    held_out: Path
    untrained: Path

    def run(self, *arguments: object, code: int = 0) -> Any:
        """Run a command of synth; the object that it ends with."""
        # For a model this small a second thread costs more than it does, most of all on a busy machine.
        extra = {**vllm_server.environment(self.folder), "OMP_NUM_THREADS": "1"}
        ended = synth(*map(str, arguments), "--json", folder=self.folder, extra=extra)
        assert ended.code == code, ended.err[-3000:]
        return ended.json


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s")


def shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose task and screens are cut, and whose answers are as they were."""
    messages = []
    for place, message in enumerate(row["messages"]):
        content = message["content"]
        if place == 0:
            content = content.partition("Task Description:\n")[2][:TASK]
        elif message["role"] == "user":
            content = content[-SCREEN:]
        messages.append({"role": message["role"], "content": content})
    return {**row, "messages": messages}


def exact(folder: Path, steps: Path) -> float:
    """Share of the steps that are answered as the teacher did, to the letter."""
    wanted = {step.key: step.ref_raw for step in read_steps(steps)}
    said = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    same = sum(wanted[each["task_id"], each["sample_idx"], each["step_idx"]] == each["text"] for each in said)
    return same / len(wanted)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    if (reason := vllm_server.missing()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("loop")
    rows = [shortened(json.loads(line)) for line in RECORDED.read_text().splitlines()]
    for name, part in (("learnt", rows[:LEARNT]), ("held_out", rows[LEARNT:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    made = Loop(
        folder=folder,
        rows=folder / "learnt.jsonl",
        steps=folder / "steps.jsonl",
        held_out=folder / "held_out_steps.jsonl",
        untrained=folder / "untrained",
    )
    corpus = "\n".join(message["content"] for row in rows for message in row["messages"])
    with timed("tiny student"):
        vllm_server.make_model(made.untrained, corpus, VOCABULARY)
    learnt = made.run("replay", "build", made.rows, "--out", made.steps)
    held_out = made.run(
        "replay", "build", made.rows, folder / "held_out.jsonl", "--without", made.rows, "--out", made.held_out
    )
    assert (learnt["trajectories"], held_out["trajectories"]) == (LEARNT, len(rows) - LEARNT)
    assert held_out["trajectories_dropped"] == {"trained-on": LEARNT}
    return made


@pytest.fixture(scope="module")
def trained(loop: Loop) -> Path:
    """The checkpoint that `synth sft` makes."""
    (loop.folder / "sft.yaml").write_text(json.dumps(TRAINING))
    folder = loop.folder / "trained"
    with timed("sft"):
        loop.run("sft", "--data", loop.rows, "--model", loop.untrained, "--out", folder, "--config", "sft.yaml")
    return folder


def test_an_untrained_student_answers_nothing(loop: Loop) -> None:
    with timed("untrained, in process"):
        found = loop.run("replay", "run", "--steps", loop.steps, "--model", loop.untrained, "--out", "u", *NAMES)
    assert found["aggregate"]["score"] < 5
    assert exact(loop.folder / "u", loop.steps) == 0
    assert {"vllm", "torch", "python"} <= set(found["versions"])
    assert found["load_seconds"] > 0


def test_structured_output_holds_even_an_untrained_student_to_the_form(loop: Loop) -> None:
    few = loop.folder / "few.jsonl"
    few.write_text("".join(line + "\n" for line in loop.steps.read_text().splitlines()[:4]))
    order = ("replay", "run", "--steps", few, "--model", loop.untrained, "--out", "s", "--structured")
    with timed("untrained, structured"):
        found = loop.run(*order, "--max-tokens", "64", "--max-model-len", "300")
    assert found["rank_reasons"] == ["structured output"]
    said = [json.loads(line) for line in (loop.folder / "s/predictions.jsonl").read_text().splitlines()]
    assert all(each["text"].startswith('{"analysis":') for each in said)
    assert found["skipped"] == {"too-long": 4 - len(said)}, "later steps do not fit into 300 tokens"
    assert 0 < len(said) < 4


def test_a_trained_student_answers_as_its_teacher_in_process(loop: Loop, trained: Path) -> None:
    order = ("replay", "run", "--steps", loop.steps, "--model", trained, "--out", "t", *NAMES)
    with timed("trained, in process"):
        found = loop.run(*order)
    print(json.dumps({name: found[name] for name in ("load_seconds", "seconds_per_step", "cache_hit_rate")}))
    assert exact(loop.folder / "t", loop.steps) >= 0.95
    assert found["aggregate"]["first_cmd_exact_pct"] >= 95
    assert found["aggregate"]["score"] >= 95
    assert (found["rank_eligible"], found["skipped"], found["student"]) == (True, {}, "trained")
    assert found["cache_hit_rate"] > 0.3, "steps of a trajectory begin alike"
    assert set(found["aggregate"]["by_domain"]) == {"version_control"}
    assert load(loop.folder / "t").aggregate == found["aggregate"]
    assert len(load_scores(loop.folder / "t")) == len(read_steps(loop.steps))
    with timed("the same again"):
        assert loop.run(*order) == found, "nothing is asked twice"


def test_a_trained_student_is_refused_another_way_of_asking(loop: Loop, trained: Path) -> None:
    for more in (("--thinking", "off"), ("--tokenizer", loop.untrained, "--thinking", "kept")):
        order = ("replay", "run", "--steps", str(loop.steps), "--model", str(trained), "--out", "no", *map(str, more))
        ended = synth(*order, folder=loop.folder)
        assert ended.code == 2
        assert "trained with another treatment of thinking" in ended.err
        assert len(ended.err.strip().splitlines()) == 1


def test_a_trained_student_answers_the_same_when_it_is_served(loop: Loop, trained: Path) -> None:
    served = ("replay", "run", "--model", vllm_server.NAME, "--max-tokens", "400")
    more = ("--enable-prompt-tokens-details", "--max-model-len", "2048")
    with timed("served, all"), vllm_server.serving(trained, loop.folder, *more) as url:
        with timed("served, our rendering"):
            found = loop.run(
                *served, "--steps", loop.steps, "--endpoint", url, "--tokenizer", trained, "--out", "completions"
            )
        with timed("served, its rendering"):
            unseen = loop.run(*served, "--steps", loop.steps, "--endpoint", url, "--out", "chat")
        with timed("served, held out"):
            held_out = loop.run(
                *served, "--steps", loop.held_out, "--endpoint", url, "--tokenizer", trained, "--out", "held-out"
            )
        wrong = synth(
            *("replay", "run", "--steps", str(loop.steps), "--model", "other", "--endpoint", url, "--out", "wrong"),
            folder=loop.folder,
        )
    assert exact(loop.folder / "completions", loop.steps) >= 0.95
    assert found["aggregate"]["first_cmd_exact_pct"] >= 95
    assert (found["rank_eligible"], found["backend"]) == (True, "endpoint")
    assert found["cache_hit_rate"] > 0.3
    assert found["audit"] == load(loop.folder / "completions").audit.model_dump()
    assert exact(loop.folder / "chat", loop.steps) >= 0.95
    assert unseen["rank_reasons"] == ["the server rendered the prompts, unseen"]
    assert held_out["steps_sha256"] != found["steps_sha256"]
    assert held_out["aggregate"]["score"] < found["aggregate"]["score"], "what was never learnt is answered worse"
    print("held out:", held_out["aggregate"]["score"], held_out["aggregate"]["score_interval"])
    assert wrong.code == 2
    assert "serves tiny, not other" in wrong.err
