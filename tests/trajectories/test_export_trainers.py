"""Every export as the tool that reads it takes it: TRL by its own trainers, others by their published schemas."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trajectories.export_case import lost, save, trial
from tests.trajectories.trainer_schemas import (
    Refused,
    axolotl_reads,
    llama_factory_reads,
    prime_reads,
    swift_reads,
)
from trajectories.export.card import About
from trajectories.export.order import ROWS, Order
from trajectories.export.write import write_rows
from trajectories.policy import load_policy
from trajectories.record import Trajectory

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
STUDENT = ROOT / ".venv-student" / "bin" / "python"
DOCS = ROOT / "docs" / "exports.md"


@pytest.fixture
def kept() -> list[Trajectory]:
    """Two accepted trials, one of them with a system prompt."""
    return sorted([trial("hooks"), trial("bisect", system="Be brief.")], key=lambda each: each.id)


@pytest.fixture
def folder(kept: list[Trajectory], tmp_path: Path) -> Path:
    """An export of every format of rows."""
    order = Order(ROWS, save([lost("hooks"), lost("bisect", system="Be brief.")], tmp_path / "trials"))
    about = About("demo", load_policy("verified"))
    write_rows(save(kept, tmp_path / "trials"), tmp_path / "out", about, order)
    return tmp_path / "out"


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a format."""
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def told(trajectory: Trajectory) -> list[dict[str, str]]:
    """The messages as they were."""
    return [message.model_dump() for message in trajectory.messages]


def texts(trajectory: Trajectory) -> list[str]:
    """What was said but for the system prompt."""
    return [message.content for message in trajectory.messages if message.role != "system"]


def test_llama_factory_finds_and_reads_both_files(folder: Path, kept: list[Trajectory]) -> None:
    described = json.loads((folder / "dataset_info.json").read_text())
    assert {name: entry["file_name"] for name, entry in described.items()} == {
        "messages": "messages.jsonl",
        "sharegpt": "sharegpt.jsonl",
    }
    for name, entry in described.items():
        read = [llama_factory_reads(entry, row) for row in lines(folder, name)]
        assert [[*row["prompt"], row["response"]] for row in read] == [texts(each) for each in kept]
        assert [row["system"] for row in read] == [
            "Be brief." if each.messages[0].role == "system" else "" for each in kept
        ]


def test_axolotl_reads_the_configurations_that_the_docs_give(folder: Path, kept: list[Trajectory]) -> None:
    shown = DOCS.read_text().split("### axolotl", 1)[1].split("\n##", 1)[0]
    block = "\n".join(line[4:] for line in shown.splitlines() if line.startswith("    "))
    configs = yaml.safe_load(block)["datasets"]
    assert [config["path"] for config in configs] == ["OUT/messages.jsonl", "OUT/sharegpt.jsonl"]
    for config in configs:
        rows = lines(folder, Path(config["path"]).stem)
        assert [axolotl_reads(config, row) for row in rows] == [told(each) for each in kept]


def test_swift_and_prime_rl_read_the_rows(folder: Path, kept: list[Trajectory]) -> None:
    rows = lines(folder, "messages")
    assert [swift_reads(row) for row in rows] == [told(each) for each in kept]
    assert [prime_reads(row) for row in rows] == [told(each) for each in kept]
    single = [prime_reads(row) for row in lines(folder, "prompt-completion")]
    ends = [told(each)[: place + 1] for each in kept for place, m in enumerate(each.messages) if m.role == "assistant"]
    assert sorted(map(json.dumps, single)) == sorted(map(json.dumps, ends))
    assert all(prime_reads(row)[-1]["role"] == "assistant" for row in lines(folder, "world-model"))


def test_the_checkers_refuse_what_the_trainers_would() -> None:
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {"file_name": "x", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    ask, reply = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    assert llama_factory_reads(entry, {"messages": [ask, reply]})["response"] == "b"
    for wrong in ([ask], [reply, ask], [ask, ask], [ask, reply, ask], [{"role": "system", "content": ""}, ask, reply]):
        with pytest.raises(Refused):
            llama_factory_reads(entry, {"messages": wrong})
    with pytest.raises(Refused, match="unknown keys"):
        llama_factory_reads({**entry, "colums": {}}, {"messages": [ask, reply]})
    config = {"path": "x.jsonl", "ds_type": "json", "type": "chat_template"}
    assert axolotl_reads(config, {"messages": [ask, reply]}) == [ask, reply]
    with pytest.raises(Refused):
        axolotl_reads(config, {"messages": [{"role": "robot", "content": ""}]})
    for wrong_config in (
        {**config, "ds_type": "jsonl"},
        {**config, "field_message": "x"},
        {**config, "type": "sharegpt"},
    ):
        with pytest.raises(Refused):
            axolotl_reads(wrong_config, {"messages": [ask, reply]})
    with pytest.raises(Refused):
        swift_reads({"messages": [ask]})
    with pytest.raises(Refused):
        prime_reads({"conversations": []})


@pytest.mark.slow
def test_trl_reads_what_is_for_it(folder: Path, kept: list[Trajectory], tmp_path: Path) -> None:
    if not STUDENT.exists():
        pytest.skip("there is no .venv-student; `make student` makes it")
    (tmp_path / "corpus.txt").write_text((folder / "messages.jsonl").read_text())
    model = tmp_path / "tiny"
    _student("tests/tiny_model.py", str(model), str(tmp_path / "corpus.txt"))
    read = json.loads(_student("tests/trajectories/trl_reads.py", str(model), str(folder)).splitlines()[-1])
    assert read["versions"]["trl"]

    end = "<|im_end|>"
    answered = [[turn.emitted + end for turn in each.turns] for each in kept]
    assert read["messages"] == answered
    # The template closes a turn with a line end, which a completion takes along.
    completions = [row["completion"][0]["content"] for row in lines(folder, "prompt-completion")]
    assert read["prompt-completion"] == [[text + end + "\n"] for text in completions]
    screens = [row["next_screen"] for row in lines(folder, "world-model")]
    assert read["world-model"] == [[text + end + "\n"] for text in screens]
    pairs = lines(folder, "preference")
    assert len(pairs) == len(read["preference"]) == 2
    for row, seen in zip(pairs, read["preference"], strict=True):
        asked = "".join(f"<|im_start|>{m['role']}\n{m['content']}{end}\n" for m in row["prompt"])
        assert seen == {
            "prompt": asked + "<|im_start|>assistant\n",
            "chosen": row["chosen"][0]["content"] + end + "\n",
            "rejected": row["rejected"][0]["content"] + end + "\n",
        }


def _student(script: str, *arguments: str) -> str:
    """Run a script with the student's Python, offline; its stdout."""
    done = subprocess.run(
        [STUDENT, script, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "HOME": "/tmp"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
