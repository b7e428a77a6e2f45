"""The task folder: what Harbor reads, and what is read back."""

import io
import os
import tarfile
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

os.environ.update(HARBOR_TELEMETRY="off", LITELLM_LOCAL_MODEL_COST_MAP="True")

from envs import grading
from envs.contract import Demand
from envs.folder import Base, Environment, folder_digest, read_folder, scripts, several_containers, write_folder
from envs.state import StateLayer, canonical

from .conftest import CHECKS, SOLUTION, a_task

NOTHING = canonical(b"\0" * 10240)


def layer_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return canonical(buffer.getvalue())


def an_environment(**changes: object) -> Environment:
    whole = Environment(
        task=a_task(),
        instruction="Do it.",
        solution=SOLUTION,
        checks=CHECKS,
        wrong={"a": "true\n", "b": "false\n"},
        partial={"c": "true\n"},
        state=StateLayer(NOTHING),
        base=Base("synth-base/x:1", "sha256:1"),
        notes={"builder": 'a "quoted" \\ näme\x7f\n', "steps": 3, "seconds": 1.5},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_a_folder_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    layer = StateLayer(layer_of({"a b": b"1\n", "c": b"2\n"}), ("/d e",))
    environment = an_environment(
        instruction="Do it.\n", state=layer, alternative="false\n", inputs=("/a b",),
        contract=(Demand(text="Do it.", checks=("check_merged",)), Demand(text="Ünless.", why="it is \"told\"")),
    )  # fmt: skip
    write_folder(environment, tmp_path / "task")
    assert read_folder(tmp_path / "task") == environment
    with tarfile.open(tmp_path / "task/tests/inputs.tar") as tar:
        assert [(member.name, member.size) for member in tar] == [("a b", 2)]
    with pytest.raises(FileExistsError):
        write_folder(environment, tmp_path / "task")
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path)


def test_harbor_reads_the_folder(tmp_path: Path) -> None:
    from harbor.models.task.task import Task

    write_folder(an_environment(), tmp_path)
    task = Task(tmp_path)
    assert task.config.schema_version == "1.4"
    assert task.config.environment.network_mode == "no-network"
    assert task.instruction == "Do it.\n"
    assert task.paths.discovered_test_path_for(task.config.environment.os) is not None
    assert os.access(tmp_path / "tests/test.sh", os.X_OK)
    metadata = tomllib.loads((tmp_path / "task.toml").read_text())["metadata"]
    assert metadata["domain"] == "version_control"
    assert metadata["axes"] == {"skill": 'merge "it"'}
    assert metadata["notes"] == an_environment().notes


def test_the_dockerfile_is_base_deletions_and_layer_and_nothing_of_a_model(tmp_path: Path) -> None:
    write_folder(an_environment(), tmp_path / "plain")
    assert (tmp_path / "plain/environment/Dockerfile").read_text() == "FROM synth-base/x:1\nADD state.tar /\n"
    write_folder(an_environment(state=StateLayer(NOTHING, ("/a\nRUN evil",))), tmp_path / "deleted")
    assert "evil" not in (tmp_path / "deleted/environment/Dockerfile").read_text()
    assert (tmp_path / "deleted/environment/state.deleted").read_bytes() == b"/a\nRUN evil"


def test_text_that_no_file_can_hold_is_written_all_the_same(tmp_path: Path) -> None:
    write_folder(an_environment(instruction="half \ud800 pair"), tmp_path)
    assert (tmp_path / "instruction.md").read_text() == "half ? pair\n"


def test_the_digest_follows_content_and_rights_and_leaves_the_certificate_out(tmp_path: Path) -> None:
    write_folder(an_environment(), tmp_path)
    first = folder_digest(tmp_path)
    (tmp_path / "certificate.json").write_text("{}")
    assert folder_digest(tmp_path) == first
    (tmp_path / "solution/solve.sh").chmod(0o644)
    second = folder_digest(tmp_path)
    (tmp_path / "tests/checks.py").write_text("other\n")
    assert len({first, second, folder_digest(tmp_path)}) == 3
    assert folder_digest(tmp_path, "environment") != folder_digest(tmp_path)


def test_a_foreign_folder_has_no_scripts_of_evidence(tmp_path: Path) -> None:
    assert scripts(tmp_path, "wrong") == {}


def test_the_shipped_files_are_the_ones_beside_the_code(tmp_path: Path) -> None:
    write_folder(an_environment(), tmp_path)
    for name, text in grading.files().items():
        assert (tmp_path / "tests" / name).read_text() == text


def test_capabilities_are_told_to_stock_harbor_and_are_no_second_container(tmp_path: Path) -> None:
    base = Base("synth-base/x:1", "sha256:1", ("NET_ADMIN", "NET_RAW"))
    environment = an_environment(instruction="Do it.\n", base=base)
    write_folder(environment, tmp_path / "task")
    assert read_folder(tmp_path / "task") == environment
    file = tmp_path / "task" / "environment" / "docker-compose.yaml"
    assert yaml.safe_load(file.read_text()) == {"services": {"main": {"cap_add": ["NET_ADMIN", "NET_RAW"]}}}
    assert not several_containers(file.parent)
    whole = file.read_text()
    for more in ("    privileged: true\n", "  other:\n    image: redis\n", "      - SYS_ADMIN\n"):
        file.write_text(whole + more)
        assert several_containers(file.parent)
    file.unlink()
    assert not several_containers(file.parent)
