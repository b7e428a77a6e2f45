"""What a user does wrong ends in one clear line and the documented exit code, and never in a traceback."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxonomy.catalog import SHIPPED
from tests.factory.commands import Ended, synth

GENERATE = ("generate", "--domain", "version_control", "--n", "1", "--run", "run")


def one_line(ended: Ended, code: int, *wanted: str) -> None:
    """It ended with `code` and said so in one line that holds all of `wanted`."""
    lines = ended.err.strip().splitlines()
    assert ended.code == code, ended.err
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("synth: ")
    for text in wanted:
        assert text in lines[0]
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("generate", "--domain", "cooking", "--n", "1"), ["'cooking' is not a domain", "version_control"]),
        (("generate", "--domain", "version_control", "--n", "0"), ["--n"]),
        (("generate", "--domain", "version_control", "--n", "many"), ["--n", "integer"]),
        (("generate", "--n", "1"), ["--domain"]),
        (("generate", "--domain", "version_control", "--n", "1", "--max-candidates", "0"), ["--max-candidates"]),
        (("generate", "--domain", "version_control", "--n", "1", "--policy", "strict"), ["'strict'", "verified"]),
        (("generate", "--domain", "version_control", "--n", "1", "--config", "no.toml"), ["no.toml"]),
        (("frobnicate",), ["frobnicate"]),
        (("clean", "--everything"), ["--everything"]),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], wanted: list[str], tmp_path: Path) -> None:
    one_line(synth(*arguments, folder=tmp_path), 2, *wanted)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("seed = [", ["synth.toml", "not readable as TOML"]),
        ("sede = 3", ["synth.toml", "sede", "no such setting"]),
        ("seed = 'three'", ["synth.toml", "seed", "integer"]),
        ("[rollout]\nmax_turn = 3", ["synth.toml", "rollout.max_turn", "no such setting"]),
        ("[roles]\nteacher = 'acme:best'", ["teacher", "'acme'"]),
        ("[roles]\nchef = 'sim:sim'", ["'chef' is not a role"]),
        ("benchmarks = ['no/tasks']", ["no/tasks: there is no such file or folder"]),
        ("domains = ['herbs.yaml']", ["herbs.yaml", "cannot be read"]),
        ("[meaning]\ncap = 0", ["meaning.cap"]),
        ("[roles]\nembedder = 'sim:sim'", ["roles.embedder", "no embeddings"]),
        ("[upstreams.acme]\nurl = 'http://127.0.0.1:1/v1'\nkey_env = 'sk-abcdef0123456789'", ["key_env", "NAME"]),
        ("[upstreams.acme]\nurl = 'http://127.0.0.1:1/v1'\napi_key = 'sk-abcdef0123456789'", ["key_env"]),
    ],
)
def test_wrong_settings(text: str, wanted: list[str], tmp_path: Path) -> None:
    (tmp_path / "synth.toml").write_text(text)
    ended = synth(*GENERATE, folder=tmp_path)
    one_line(ended, 2, *wanted)
    assert "sk-abcdef" not in ended.err


def test_a_domain_that_the_built_in_model_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "herbs.yaml").write_text((SHIPPED / "domains" / "security.yaml").read_text())
    (tmp_path / "synth.toml").write_text('domains = ["herbs.yaml"]')
    ended = synth("generate", "--domain", "herbs", "--n", "1", folder=tmp_path)
    one_line(ended, 2, "no scenarios for herbs", "version_control", "real model")


def test_wrong_variables(tmp_path: Path) -> None:
    one_line(synth(*GENERATE, folder=tmp_path, extra={"SYNTH_SEAD": "1"}), 2, "SYNTH_SEAD")
    one_line(synth(*GENERATE, folder=tmp_path, extra={"SYNTH_SEED": "one"}), 2, "seed")


def test_unset_key(tmp_path: Path) -> None:
    (tmp_path / "synth.toml").write_text(
        '[roles]\nteacher = "acme:best"\n[upstreams.acme]\nurl = "http://127.0.0.1:9/v1"\nkey_env = "ACME_TEST_KEY"\n'
    )
    one_line(synth(*GENERATE, folder=tmp_path), 3, "ACME_TEST_KEY")


def test_no_docker(tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}
    one_line(synth(*GENERATE, folder=tmp_path, extra=nowhere), 3, "Docker", "synth doctor")
    one_line(synth("clean", folder=tmp_path, extra=nowhere), 3, "Docker")


def test_run_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    one_line(synth(*GENERATE, folder=tmp_path), 2, "run")
    one_line(synth("status", "nowhere", folder=tmp_path), 3, "no ledger")


@pytest.mark.docker
@pytest.mark.usefixtures("base")
def test_run_folder_of_another_configuration(tmp_path: Path) -> None:
    (tmp_path / "synth.toml").write_text("[sim]\ninfeasible_tasks = 1.0\n")
    assert synth(*GENERATE, "--max-candidates", "1", folder=tmp_path).code == 1
    one_line(synth(*GENERATE, "--seed", "5", folder=tmp_path), 2, "other settings", "seed (was 0, now 5)")
    # A ledger that cannot be read is an error, never a start from zero.
    ledger = tmp_path / "run" / "ledger.sqlite"
    ledger.write_bytes(b"not a database" * 100)
    one_line(synth(*GENERATE, folder=tmp_path), 3, "ledger.sqlite")
    assert ledger.read_bytes() == b"not a database" * 100
    ledger.unlink()
    with sqlite3.connect(ledger) as other:
        other.execute("CREATE TABLE mine (x)")
    one_line(synth(*GENERATE, folder=tmp_path), 3, "ledger.sqlite")


@pytest.mark.docker
@pytest.mark.usefixtures("base")
def test_upstream_that_is_down(tmp_path: Path) -> None:
    (tmp_path / "synth.toml").write_text(
        '[roles]\nsampler = "acme:best"\n[upstreams.acme]\nurl = "http://127.0.0.1:9/v1"\n'
        "attempts = 2\npatience_seconds = 1\n"
    )
    ended = synth(*GENERATE, folder=tmp_path)
    assert ended.code == 3, ended.err
    assert "acme" in ended.err.strip().splitlines()[-1]
    assert "Traceback" not in ended.err


def test_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    ended = synth("generate", "--domain", "version_control", "--n", "1", "--run", "/proc/run", folder=tmp_path)
    one_line(ended, 2, "/proc/run", "cannot be used as a run folder")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 20 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_no_disk(small_disk: Path, tmp_path: Path) -> None:
    order = ("generate", "--domain", "version_control", "--n", "1", "--run", str(small_disk / "run"))
    one_line(synth(*order, folder=tmp_path), 3, "MB are free")
