"""Task folders of many shapes, written by hand, each sound or with one defect."""

import asyncio
import importlib.metadata
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import docker
import pytest

from envs.engine import Engine, EngineMissing, owner
from envs.images import ImageStore
from envs.verify.bases import Map
from envs.verify.report import Report
from envs.verify.tasks import verify

OUTSIDE = "python:3.12-slim"
"""An image that strangers' tasks name; ours takes its place."""

INSTRUCTION = "Write the sum of the numbers in /data/numbers.txt to /data/sum.txt, as one line.\n"
DOCKERFILE = f"FROM {OUTSIDE}\nRUN mkdir -p /data && seq 10 >/data/numbers.txt\nWORKDIR /data\n"
SOLUTION = "#!/bin/bash\nawk '{ s += $1 } END { print s }' /data/numbers.txt >/data/sum.txt\n"
TEST = """\
#!/bin/bash
if [ "$(cat /data/sum.txt 2>/dev/null)" = 55 ]; then reward=1; else reward=0; fi
echo $reward >/logs/verifier/reward.txt
"""
PYTEST = '''\
from pathlib import Path


def test_sum():
    """The sum is right."""
    assert Path("/data/sum.txt").read_text() == "55\\n"
'''

SOUND: Mapping[str, str] = {
    "task.toml": 'schema_version = "1.4"\n[environment]\nnetwork_mode = "no-network"\n',
    "instruction.md": INSTRUCTION,
    "environment/Dockerfile": DOCKERFILE,
    "solution/solve.sh": SOLUTION,
    "tests/test.sh": TEST,
}

Write = Callable[..., Path]


def write(folder: Path, changes: Mapping[str, str | None] | None = None) -> Path:
    """Write a task folder: the sound one with some files of other content, further ones, or (None) without."""
    for name, text in {**SOUND, **(changes or {})}.items():
        if text is not None:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if name.endswith(".sh") else 0o644)
    return folder


def with_pytest(folder: Path) -> str:
    """Lay pytest itself into a build context; returns a Dockerfile that has it."""
    for package in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for file in importlib.metadata.files(package) or []:
            if not {"..", "__pycache__"} & set(file.parts):
                target = folder / "environment" / "site" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target)
    return DOCKERFILE + "COPY site /opt/site\nENV PYTHONPATH=/opt/site\n"


def base_image() -> str:
    """The base image of version_control; skips where there is no engine, or no such image."""
    try:
        client = docker.from_env()
        image = ImageStore(client).status("version_control")
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine: {error}")
    client.close()
    if image is None:
        pytest.skip("the base image of version_control is not there; `make setup` builds it")
    return image.reference


def verified(folders: Sequence[Path], *, repeats: int = 2) -> Report:
    """Verify folders with `OUTSIDE` mapped to the base image; nothing may be left behind."""
    maps = [Map("python", base_image())]

    async def work() -> Report:
        try:
            engine = Engine.connect(owner(f"test-{secrets.token_hex(6)}"), max_containers=8)
        except EngineMissing as error:
            pytest.skip(str(error))
        async with engine:
            try:
                report = await verify(folders, engine, repeats=repeats, maps=maps)
                left = [engine._sdk.api.containers(all=True, filters=mine(engine))]
                left += [engine._sdk.api.images(filters=mine(engine))]
                assert left == [[], []]
                return report
            finally:
                await engine.reap(own=True)

    return asyncio.run(work())


def mine(engine: Engine) -> dict[str, str]:
    """Filter of what an engine's owner has."""
    return {"label": f"synth.owner={engine.owner}"}
