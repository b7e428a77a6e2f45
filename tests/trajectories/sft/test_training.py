"""Real training: TRL in the student environment, on a tiny Qwen3-shaped model."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import vllm_server
from tests.trajectories.sft import small
from trajectories.sft.settings import SftError, SftSettings
from trajectories.sft.training import Planned, load_checkpoint, plan, train
from trajectories.template import CHATML, Audit, load_student_template
from trajectories.worker import StudentMissing

ROWS = small.rows(8)
CHECKS = Path(__file__).with_name("student_checks.py")
SMALL: dict[str, Any] = {
    "batch": 4,
    "device_batch": 4,
    "lr": 5e-3,
    "max_length": 1024,
    "max_steps": 6,
    "gradient_checkpointing": False,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's folder."""
    if (reason := vllm_server.missing()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("tiny") / "model"
    vllm_server.make_model(folder, small.corpus(ROWS))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("data") / "messages.jsonl", ROWS)


def check(*arguments: str | Path) -> dict[str, Any]:
    """What the student's own look at a model gives."""
    script = [str(vllm_server.STUDENT / "bin/python"), str(CHECKS), *map(str, arguments)]
    done = subprocess.run(
        script, env=vllm_server.environment(Path("/nonexistent")), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def trained(planned: Planned) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    train(planned, None, lambda line: lines.append(dict(line)))
    return lines


def test_a_training_lowers_the_loss_and_says_how_it_was_made(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    planned = plan(data, str(model), out, SftSettings(**SMALL))
    lines = trained(planned)

    (seen,) = [line["sample"] for line in lines if "sample" in line]
    assert seen == planned.prepared.sample
    assert seen == [f"{m['content']}<|im_end|>" for m in ROWS[0]["messages"] if m["role"] == "assistant"]
    steps = [line for line in lines if "step" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    before, after = check("losses", out / "training/examples.jsonl", model, out)["losses"]
    assert after < before - 0.5

    made = load_checkpoint(out)
    assert made.audit == load_student_template(str(out)).audit == planned.audit
    assert made.audit.source == "own"
    assert (made.base, made.data.path_name, made.data.rows) == ("model", "messages.jsonl", 8)
    assert made.data.sha256 == hashlib.sha256(data.read_bytes()).hexdigest()
    assert made.settings == planned.settings
    assert {"python", "torch", "transformers", "trl"} <= set(made.versions)
    assert made.figures["steps"] == 6
    assert made.figures["first_loss"] == pytest.approx(steps[0]["loss"], abs=1e-4)
    assert made.figures["last_loss"] == pytest.approx(steps[-1]["loss"], abs=1e-4)
    assert made.figures["answers"] == 32
    assert str(tmp_path) not in (out / "synth-sft.json").read_text()
    assert not (out / "training/checkpoints").exists()
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] in (2, [2])

    # The same again finds it done; another training does not go into the same folder.
    assert trained(plan(data, str(model), out, SftSettings(**SMALL))) == []
    with pytest.raises(SftError, match="holds a training with other settings; give another --out"):
        plan(data, str(model), out, SftSettings(**{**SMALL, "max_steps": 7}))


def test_a_model_without_a_template_is_trained_and_saved_with_the_fallback(data: Path, tmp_path: Path) -> None:
    """Without running: what is planned, and what would be refused, needs no student."""
    bare = small.model(tmp_path / "bare", None)
    planned = plan(data, str(bare), tmp_path / "out", SftSettings(**SMALL))
    assert planned.audit.source == "chatml"
    assert (tmp_path / "out/training/chat_template.jinja").read_text() == CHATML
    with pytest.raises(StudentMissing, match="no interpreter"):
        train(planned, tmp_path / "python", print)
    with pytest.raises(SftError, match=r"out.* holds a training with other audit and settings"):
        plan(data, str(bare), tmp_path / "out", SftSettings(**{**SMALL, "thinking": "off"}))


def command(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "synth", "sft", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def said(*arguments: str | Path) -> tuple[int, str, str]:
    process = command(*arguments)
    out, errors = process.communicate(timeout=600)
    return process.returncode, out, errors


def test_a_dry_run_shows_what_is_learnt_and_trains_nothing(data: Path, tmp_path: Path) -> None:
    bare = small.model(tmp_path / "bare", None)
    code, out, errors = said(
        "--data", data, "--model", bare, "--out", tmp_path / "out", "--preset", "litecoder", "--dry-run", "--json"
    )
    assert code == 0, errors
    shown = json.loads(out)
    assert shown["checkpoint"] is None
    assert shown["settings"]["lr"] == 5e-6
    assert shown["prepared"]["answers"] == 32
    assert Audit.model_validate(shown["audit"]).source == "chatml"
    assert "what the loss sees" in errors
    assert ROWS[0]["messages"][2]["content"] + "<|im_end|>" in errors
    for path in shown["configs"].values():
        assert yaml.safe_load(Path(path).read_text())
    assert not (tmp_path / "out/synth-sft.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--data", "{none}", "--model", "{model}"], 2, "neither a file of rows"),
        (["--data", "{data}", "--model", "{bare}"], 2, "no tokenizer.json"),
        (["--data", "{data}", "--model", "{none}"], 2, "neither a folder nor a model"),
        (["--data", "{data}", "--model", "{model}", "--preset", "best"], 2, "no preset is called best"),
        (["--data", "{data}", "--model", "{model}", "--thinking", "loud"], 2, "thinking: "),
        (["--data", "{data}", "--model", "{model}", "--max-length", "16"], 2, "nothing to learn from (too-long 32)"),
        (["--data", "{data}", "--model", "{unmarked}"], 2, "leave the end-of-turn token <|im_end|> out"),
        (["--data", "{data}", "--model", "{model}", "--student-python", "{none}"], 3, "no interpreter"),
        (["--data", "{data}", "--model", "{model}", "--student-python", sys.executable], 3, "has no torch"),
        (["--data", "{words}", "--model", "{model}"], 2, "not JSON"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_code(
    data: Path, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "words.jsonl").write_text("words\n")
    marks = "{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>"
    places = {
        "none": tmp_path / "none",
        "data": data,
        "words": tmp_path / "words.jsonl",
        "model": small.model(tmp_path / "model"),
        "bare": small.model(tmp_path / "bare", tokenizer=False),
        "unmarked": small.model(tmp_path / "unmarked", "{% for m in messages %}<|im_start|>" + marks + "{% endfor %}"),
    }
    given = [argument.format(**places) if "{" in argument else argument for argument in arguments]
    found, out, errors = said(*given, "--out", tmp_path / "out")
    assert found == code, errors
    assert out == ""
    last = errors.rstrip().splitlines()[-1]
    assert last.startswith("synth: ")
    assert says in last
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_training_that_was_ended_goes_on_and_comes_to_the_same(model: Path, data: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({**SMALL, "max_steps": 12, "save_steps": 2}))

    def order(out: str) -> tuple[str | Path, ...]:
        return "--data", data, "--model", model, "--out", tmp_path / out, "--config", settings

    process = command(*order("ended"))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("sft: step 5 "):
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    process.communicate()
    assert not (tmp_path / "ended/synth-sft.json").exists()
    for out in ("ended", "whole"):
        code, _, errors = said(*order(out))
        assert code == 0, errors
    ended, whole = load_checkpoint(tmp_path / "ended"), load_checkpoint(tmp_path / "whole")
    assert whole.figures["resumed_from_step"] == 0
    assert int(str(ended.figures["resumed_from_step"])) >= 2
    assert ended.figures["steps"] == whole.figures["steps"] == 12
    assert ended.figures["last_loss"] == pytest.approx(whole.figures["last_loss"], rel=1e-3)


@pytest.mark.slow
def test_adapters_are_trained_and_merged(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = SftSettings(**{**SMALL, "lora": {"rank": 4, "alpha": 8}, "thinking": "off"})
    trained(plan(data, str(model), out, settings))
    before, after = check("losses", out / "training/examples.jsonl", model, out)["losses"]
    assert after < before - 0.1
    assert (out / "adapter/adapter_config.json").exists()
    made = load_checkpoint(out)
    assert "peft" in made.versions
    assert made.audit.thinking == "off"
    assert int(str(made.figures["trainable_parameters"])) < 60_000


@pytest.mark.slow
def test_packed_examples_keep_their_masks_and_do_not_see_each_other(model: Path, data: Path, tmp_path: Path) -> None:
    planned = plan(data, str(model), tmp_path / "out", SftSettings(**{**SMALL, "packing": True, "device_batch": 1}))
    settings = tmp_path / "settings.json"
    settings.write_text(
        json.dumps({"sft": planned.settings.model_dump(mode="json"), "checkpoints": str(tmp_path / "checkpoints")})
    )
    worker = Path(__file__).parents[3] / "trajectories/sft/sft_worker.py"
    found = check("packing", tmp_path / "out/training/examples.jsonl", model, worker, settings)
    wanted = [f"{m['content']}<|im_end|>" for row in ROWS for m in row["messages"] if m["role"] == "assistant"]
    assert sorted(text for row in found["seen"] for text in row) == sorted(wanted)
    assert found["sequences"] >= 2
    assert found["packed"] == pytest.approx(found["apart"], rel=1e-4)
    trained(planned)
    assert int(str(load_checkpoint(tmp_path / "out").figures["sequences"])) < 8
