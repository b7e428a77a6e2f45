"""`synth verify`: exit codes, the JSON that scripts read, wrong inputs, and our own tasks with their certificates."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from envs.certificate import read_certificate, signed, write_certificate
from envs.engine import Engine
from envs.folder import folder_digest, write_folder
from envs.gates import Proven, prove
from envs.verify.reading import read_folder
from envs.verify.shape import read_shape
from tests.envs.conftest import Sample
from tests.factory.commands import Ended, start, synth

from .conftest import write

ONE = "synth-base/version_control"


def one_line(ended: Ended, code: int, *wanted: str) -> None:
    """It ended with `code` and said so in one line that holds all of `wanted`."""
    lines = ended.err.strip().splitlines()
    assert ended.code == code, ended.err
    assert len(lines) == 1, ended.err
    assert all(text in lines[0] for text in ("synth: ", *wanted)), lines[0]
    assert ended.out == ""


def test_wrong_inputs(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "task")
    one_line(synth("verify", "nowhere", folder=tmp_path), 2, "nowhere", "there is no such folder")
    one_line(synth("verify", "empty", folder=tmp_path), 2, "no task folder")
    one_line(synth("verify", "task", "--map", "python", folder=tmp_path), 2, "'python' is not FROM=TO")
    one_line(synth("verify", "task", "--repeats", "0", folder=tmp_path), 2, "--repeats")
    no_engine = {"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}
    one_line(synth("verify", "task", folder=tmp_path, extra=no_engine), 3, "Docker", "synth doctor")


@pytest.mark.docker
@pytest.mark.usefixtures("base")
def test_the_verdicts_and_the_exit_codes(tmp_path: Path) -> None:
    write(tmp_path / "set" / "good")
    # What cannot be had or is not supported does not fail.
    write(tmp_path / "set" / "away", {"environment/Dockerfile": "FROM registry.invalid/nothing:1\n"})
    write(tmp_path / "set" / "compose", {"environment/docker-compose.yaml": "services: {}\n"})
    mapped = ("--map", f"python={ONE}", "--repeats", "1")
    good = synth("verify", "set", *mapped, "--json", folder=tmp_path)
    assert good.code == 0, good.err
    assert good.out.count("\n") == 1
    task = next(task for task in good.json["tasks"] if task["path"] == "set/good")
    assert (task["certified"], task["defects"], task["notes"]) == (True, [], [])
    assert (task["unavailable"], task["unsupported"]) == (None, None)
    assert {"builds", "nothing", "reference 1"} <= task["gates"].keys()
    assert task["gates"]["reference 1"]["passed"] is True
    assert task["gates"]["nothing"]["reward"] == 0
    assert task["seconds"] > 0
    counts = {name: good.json[name] for name in ("certified", "failed", "unavailable", "unsupported", "builds")}
    assert counts == {"certified": 1, "failed": 0, "unavailable": 1, "unsupported": 1, "builds": 1}
    assert "good: certified" in good.err

    # Where there is nothing else, nothing was verified.
    none = synth("verify", "set/away", folder=tmp_path)
    assert none.code == 3
    assert "not verified: 1 for an image that cannot be had, 0 of a kind that is not supported" in none.out
    assert "registry.invalid/nothing:1" in none.err.splitlines()[-1]
    assert "--map" in none.err.splitlines()[-1]

    write(tmp_path / "bad", {"task.toml": "[environment\n"})
    bad = synth("verify", "bad", folder=tmp_path)
    assert bad.code == 1
    assert "malformed: task.toml is not readable as TOML" in bad.out
    assert "0 of 1 tasks certified, 1 with defects" in bad.out


PLAIN = "git init -q -b main /app/repo && cd /app/repo && git config user.name A && git config user.email a@b.c" \
    " && echo one >a.txt && git add . && git commit -qm 1 && git checkout -qb feature && echo two >b.txt && git add ." \
    " && git commit -qm 2 && git checkout -q main"  # fmt: skip


@pytest.mark.docker
async def test_a_task_of_ours_is_certified_and_a_changed_one_is_found(sample: Sample, tmp_path: Path) -> None:
    tasks = tmp_path / "run" / "tasks"
    folder = tasks / "ours"
    write_folder(await sample.make(PLAIN), folder)
    proven = await prove(folder, sample.engine)
    assert isinstance(proven, Proven), proven
    await sample.engine.remove_image(proven.image)
    edited, signed_again, changed, torn = (
        Path(shutil.copytree(folder, tasks / name)) for name in ("edited", "signed-again", "changed", "torn")
    )
    certificate = read_certificate(folder).model_copy(update={"seconds": 0.0})
    write_certificate(certificate, edited)
    write_certificate(signed(certificate), signed_again)
    (changed / "instruction.md").write_text("Merge `feature` of /app/repo into `main`, and merge nothing else.\n")
    (torn / "certificate.json").write_text("{}")
    for other, said in ((signed_again, []), (changed, ["stale-certificate"]), (torn, ["stale-certificate"])):
        assert [fault.defect for fault in read_folder(other, read_shape(other)).faults] == said
        shutil.rmtree(other)
    before = folder_digest(tmp_path)

    ended = synth("verify", "run", "--json", "--repeats", "1", folder=tmp_path)
    assert ended.code == 1, ended.err
    assert folder_digest(tmp_path) == before
    found = {Path(task["path"]).name: task for task in ended.json["tasks"]}
    assert {name: task["defects"] for name, task in found.items()} == {
        "ours": [],
        "edited": ["stale-certificate"],
    }
    assert found["ours"]["certified"]
    assert {"state", "partial checks-out", "wrong copies-the-file", "cheat"} <= found["ours"]["gates"].keys()
    assert "not as it was signed" in found["edited"]["found"][0]["detail"]
    assert ended.json["builds"] == 1


@pytest.mark.docker
@pytest.mark.usefixtures("base")
def test_interrupted(engine: Engine, tmp_path: Path) -> None:
    write(tmp_path / "slow", {"solution/solve.sh": "#!/bin/bash\nsleep 300\n"})
    process = start(["verify", "slow", "--map", f"*={ONE}"], tmp_path)
    api = engine._sdk.api

    def left() -> list[str]:
        everything = [*api.containers(all=True, filters={"label": "synth.owner"})]
        everything += api.images(filters={"label": "synth.owner"})
        return [one["Id"] for one in everything if f":{process.pid}:" in one["Labels"]["synth.owner"]]

    end = time.monotonic() + 60
    while not api.containers(filters={"label": "synth.owner"}) or not left():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        # Nobody tells when the first container is there.
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err
    assert left() == []
