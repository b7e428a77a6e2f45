"""`synth replay build`, `run` and `score` as scripts call them."""

import json
import socket
from pathlib import Path

import pytest

from synth.ledger import Ledger
from tests.factory.commands import synth
from tests.trajectories.replay.openai_stub import Stub, completion, serving

REFERENCE = json.dumps({"analysis": "a", "plan": "p", "commands": [{"keystrokes": "ls -la\n"}], "task_complete": False})


def test_scores_are_one_json_object(tmp_path: Path) -> None:
    steps = [{"task_id": task, "step_idx": 0, "ref_raw": REFERENCE, "messages": []} for task in ("a", "b")]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    (tmp_path / "said.jsonl").write_text(json.dumps({"task_id": "a", "step_idx": 0, "text": REFERENCE}) + "\n")
    order = ("replay", "score", "--steps", "steps.jsonl", "--predictions", "said.jsonl")
    ended = synth(*order, "--json", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.json["aggregate"]["avg_command_f1"] == 0.5
    assert ended.json["aggregate"]["first_cmd_exact_pct"] == 50.0
    assert ended.json["aggregate"]["missing"] == 1
    assert [step["command_f1"] for step in ended.json["per_step"]] == [1.0, 0.0]
    told = synth(*order, folder=tmp_path)
    assert "score (100 x mean command F1): 50.00" in told.out
    assert ended.json["aggregate"]["steps_sha256"] in told.out


def test_wrong_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text("{\n")
    for steps, said in (("none.jsonl", "cannot be read"), ("steps.jsonl", "line 1: not JSON")):
        ended = synth("replay", "score", "--steps", steps, "--predictions", steps, folder=tmp_path)
        assert ended.code == 2
        assert len(ended.err.strip().splitlines()) == 1
        assert said in ended.err


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """Two tasks of one step each, built by the command."""
    rows = [
        {
            "id": name,
            "messages": [{"role": "user", "content": name}, {"role": "assistant", "content": REFERENCE}],
            "metadata": {"task_id": f"task-{name}", "domain": "games", "scaffold": "terminus-2 2.0.0"},
        }
        for name in ("a", "b")
    ]
    (tmp_path / "messages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = synth("replay", "build", ".", "--out", "steps.jsonl", "--json", folder=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.json["steps"] == 2
    assert ended.json["steps_by_domain"] == {"games": 2}
    assert json.loads((tmp_path / "steps.json").read_text())["steps_sha256"] == ended.json["steps_sha256"]
    return tmp_path / "steps.jsonl"


def test_an_endpoint_is_asked_and_scored(steps: Path) -> None:
    stub = Stub(lambda _: completion(REFERENCE))
    with serving(stub):
        order = ("replay", "run", "--steps", "steps.jsonl", "--model", "m", "--endpoint", stub.url, "--out", "out")
        told = synth(*order, "--api-key-env", "A_KEY", folder=steps.parent, extra={"A_KEY": "sk-123"})
    assert told.code == 0, told.err
    assert "score (100 x mean command F1): 100.00" in told.out
    assert "ranked: no: the server rendered the prompts, unseen" in told.out
    assert stub.keys == ["Bearer sk-123"] * 2
    assert not any(b"sk-123" in path.read_bytes() for path in (steps.parent / "out").rglob("*") if path.is_file())
    again = synth(*order, "--api-key-env", "A_KEY", "--json", folder=steps.parent, extra={"A_KEY": "sk-123"})
    assert again.code == 0, "nothing is owed, so nobody has to answer"
    assert again.json["aggregate"]["by_domain"]["games"]["avg_command_f1"] == 1.0


def test_a_set_that_was_changed_is_refused(steps: Path) -> None:
    steps.write_text(steps.read_text().splitlines()[0] + "\n")
    (steps.parent / "said.jsonl").write_text(json.dumps({"task_id": "task-a", "step_idx": 0, "text": ""}) + "\n")
    for order in (
        ("run", "--steps", "steps.jsonl", "--model", "m", "--endpoint", "http://127.0.0.1:9/v1", "--out", "out"),
        ("score", "--steps", "steps.jsonl", "--predictions", "said.jsonl"),
    ):
        ended = synth("replay", *order, folder=steps.parent)
        assert (ended.code, "was changed after it was built" in ended.err) == (2, True)
    assert not (steps.parent / "out").exists()


def test_what_nothing_can_be_built_from_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    Ledger.open(tmp_path / "run/ledger.sqlite").close()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"text": "no conversation"}\n')
    for source, said in (
        ("none", "none: cannot be read: No such file"),
        ("run", "run: the run has no accepted trajectory"),
        ("nothing", "nothing: neither a run (ledger.sqlite) nor an export (messages.jsonl)"),
        ("rows.jsonl", "no step is left to ask; no-messages 1"),
    ):
        ended = synth("replay", "build", source, "--out", "steps.jsonl", folder=tmp_path)
        assert (ended.code, len(ended.err.strip().splitlines())) == (2, 1), ended.err
        assert said in ended.err
    assert not (tmp_path / "steps.jsonl").exists()


def test_students_that_cannot_be_asked_are_one_line(steps: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    (steps.parent / "bare").mkdir()
    (steps.parent / "bare/tokenizer_config.json").write_text("{}")
    served = ("--endpoint", nobody, "--model", "m")
    for more, code, said in (
        (served, 3, "does not answer"),
        ((*served, "--api-key-env", "NO_SUCH_KEY"), 3, "the environment variable NO_SUCH_KEY is not set"),
        ((*served, "--tp", "2"), 2, "--tp: is for a student in vLLM"),
        ((*served, "--tokenizer", "missing"), 2, "missing: neither a folder nor a model"),
        (("--model", "missing"), 2, "missing: neither a folder nor a model"),
        (("--model", "bare", "--student-python", "no-python"), 3, "no-python: no interpreter"),
        (("--model", "bare", "--thinking", "loud"), 2, "'loud' is none of kept, stripped, off"),
        (("--model", "bare", "--api-key-env", "X"), 2, "only an --endpoint takes a key"),
    ):
        order = ("replay", "run", "--steps", "steps.jsonl", "--out", "out", *more)
        ended = synth(*order, folder=steps.parent, extra={"HF_HUB_OFFLINE": "1"})
        assert (ended.code, len(ended.err.strip().splitlines())) == (code, 1), (more, ended.err)
        assert said in ended.err
