"""Certified environments are Harbor's own tasks: `harbor run`, as it comes, grades them the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factory.commands import synth

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DOMAINS = ("networking", "system_admin", "version_control")
"""One whose containers need more capabilities, one that works on the whole system, one that works on repositories."""


def compose() -> bool:
    """Whether the `docker` program has its compose plugin; stock Harbor starts every container by it."""
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def rewards(tasks: Path, agent: str, jobs: Path) -> dict[str, float | None]:
    """Reward by task after `harbor run` with one of Harbor's built-in agents."""
    command = [str(Path(sys.executable).with_name("harbor")), "run", "--path", str(tasks), "--agent", agent]
    ended = subprocess.run(
        [*command, "--jobs-dir", str(jobs), "--job-name", agent, "--n-concurrent", "1", "--quiet"],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "HARBOR_TELEMETRY": "off", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, float | None] = {}
    for file in (jobs / agent).glob("*/result.json"):
        result = json.loads(file.read_text())
        verdict = result["verifier_result"]
        found[Path(result["task_id"]["path"]).name] = verdict["rewards"]["reward"] if verdict else None
    return found


@pytest.mark.skipif(not compose(), reason="the docker program has no compose plugin, which stock Harbor works by")
def test_stock_harbor_grades_certified_environments_the_same(tmp_path: Path) -> None:
    made = synth(
        *("generate", "--domain", ",".join(DOMAINS), "--n", "3", "--policy", "everything", "--run", "run", "--json"),
        folder=tmp_path,
    )
    assert made.code == 0, made.err
    tasks = tmp_path / "tasks"
    shutil.copytree(tmp_path / "run" / "tasks", tasks)
    for file in tasks.glob("*/task.toml"):
        # Without a network stock Harbor pulls a helper image from a registry, which not every machine reaches.
        file.write_text(file.read_text().replace('network_mode = "no-network"', 'network_mode = "public"'))
    names = {folder.name for folder in tasks.iterdir()}
    assert {name.rpartition("-")[0] for name in names} == set(DOMAINS)
    assert rewards(tasks, "oracle", tmp_path / "jobs") == dict.fromkeys(names, 1.0)
    assert rewards(tasks, "nop", tmp_path / "jobs") == dict.fromkeys(names, 0.0)
