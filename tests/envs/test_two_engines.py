"""An environment rebuilt on another machine is the same to the bit: a second Docker engine stands for that machine."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from envs.engine import Engine, owner
from envs.folder import read_folder, write_folder
from envs.state import StateLayer, canonical

from .conftest import Sample

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """Address of a second engine that shares nothing with the first but the kernel."""
    if os.getuid() != 0 or shutil.which("dockerd") is None or shutil.which("unshare") is None:
        pytest.skip("a second Docker engine needs root, dockerd and unshare")
    # A socket's path must be short, and the engine's folders may not lie on the file system of a container.
    address = f"unix://{tmp_path}/s"
    folders = ("--data-root", f"{tmp_path}/data", "--exec-root", f"{tmp_path}/exec", "--pidfile", f"{tmp_path}/pid")
    # In a network namespace of its own: without a bridge it would take away that of the first engine.
    network = ("--bridge", "none", "--iptables=false", "--ip6tables=false")
    with (tmp_path / "log").open("w") as log:
        command = ["unshare", "--net", "dockerd", *folders, *network, "--host", address]
        engine = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                docker.DockerClient(address).close()
                break
            except docker.errors.DockerException:
                assert engine.poll() is None, (tmp_path / "log").read_text()[-2000:]
                assert time.monotonic() < end, "the second engine does not answer"
                # It tells nobody when it is ready.
                time.sleep(0.2)
        yield address
    finally:
        engine.terminate()
        engine.wait(60)
        for folder in ("data", "exec"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)


async def rebuilt(engine: Engine, folder: Path, layer: StateLayer) -> str:
    """Build a task folder's environment and name the state that a container of it holds."""
    tag = engine.tag("sha256:" + "0" * 64)
    await engine.build(folder / "environment", tag)
    async with engine.container(tag) as container:
        back = await container.existing(list(layer.deletions))
        tar = canonical(await container.collect([f"/{member.name}" for member in layer.members()]))
    await engine.remove_image(tag)
    return StateLayer(tar, tuple(path for path in layer.deletions if path not in back)).digest


async def test_fresh_builds_on_two_engines_hold_the_same_state(
    sample: Sample, elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "task"
    write_folder(await sample.make(), folder)
    layer = read_folder(folder).state
    assert layer.deletions, "the sample deletes a file of the image"
    first, second = docker.from_env(), docker.DockerClient(elsewhere)
    try:
        assert second.images.list() == []
        second.images.load(b"".join(first.images.get(sample.base).save(named=True)))
    finally:
        first.close()
        second.close()
    here = await rebuilt(sample.engine, folder, layer)
    monkeypatch.setenv("DOCKER_HOST", elsewhere)
    async with Engine.connect(owner("elsewhere")) as engine:
        assert await engine.version()
        there = await rebuilt(engine, folder, layer)
        again = await rebuilt(engine, folder, layer)
    assert here == there == again == layer.digest
