"""The engine: its errors in one line, containers surely gone, images, and the reaper."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import docker
import docker.errors
import pytest
import requests

from envs import reaper
from envs.engine import (
    CAPABILITIES_LABEL,
    BuildFailed,
    DiskFull,
    Engine,
    EngineError,
    EngineMissing,
    ImageMissing,
    owner,
)
from envs.owner import LABEL, alive, run_of
from envs.reaper import BASE_LABEL
from envs.sdk import mapped

ROOT = Path(__file__).parents[2]


def mine(engine: Engine) -> list[str]:
    found = engine._sdk.api.containers(all=True, filters={"label": f"{LABEL}={engine.owner}"})
    return [container["Id"] for container in found]


def test_no_engine_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineMissing, match=r"^no Docker engine answers: [^\n]+$"):
        Engine.connect("x")


def test_errors_of_the_sdk_become_ours() -> None:
    full = docker.errors.APIError("500", explanation="write /var/lib: no space left on device")
    assert isinstance(mapped(full), DiskFull)
    assert isinstance(mapped(docker.errors.ImageNotFound("no such image")), ImageMissing)
    assert isinstance(mapped(requests.ConnectionError("refused")), EngineMissing)
    assert type(mapped(requests.ReadTimeout("slow"))) is EngineError
    assert "\n" not in str(mapped(docker.errors.APIError("a\nb")))


@pytest.mark.docker
async def test_an_image_that_is_not_there_is_named(engine: Engine) -> None:
    with pytest.raises(ImageMissing, match="synth-env:none"):
        async with engine.container("synth-env:none"):
            pass


@pytest.mark.docker
async def test_containers_are_gone_after_the_context_whatever_happens(engine: Engine, base: str) -> None:
    async with engine.container(base):
        assert len(mine(engine)) == 1
    with pytest.raises(ZeroDivisionError):
        async with engine.container(base):
            raise ZeroDivisionError
    assert mine(engine) == []


@pytest.mark.docker
@pytest.mark.parametrize("after", [0.01, 0.05, 0.15, 0.3, 1.0])
async def test_containers_are_gone_when_cancelled_at_any_moment(engine: Engine, base: str, after: float) -> None:
    async def use() -> None:
        async with engine.container(base) as container:
            await container.run("sleep 60")

    tasks = [asyncio.create_task(use()) for _ in range(2)]
    await asyncio.sleep(after)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await engine.settle()
    assert mine(engine) == []


@pytest.mark.docker
async def test_no_more_containers_than_allowed_are_open(base: str) -> None:
    open_now, most = 0, 0
    async with Engine.connect(owner("test-limit"), max_containers=2) as engine:

        async def use() -> None:
            nonlocal open_now, most
            async with engine.container(base) as container:
                open_now += 1
                most = max(most, open_now)
                await container.changes()
                open_now -= 1

        await asyncio.gather(*(use() for _ in range(5)))
        assert most == 2
        assert mine(engine) == []


@pytest.mark.docker
async def test_an_entry_point_that_talks_and_an_image_user_are_respected(
    engine: Engine, base: str, tmp_path: Path
) -> None:
    (tmp_path / "entry.sh").write_text('#!/bin/sh\necho hello from the image\nexport SEEN=entry\nexec "$@"\n')
    (tmp_path / "entry.sh").chmod(0o755)
    (tmp_path / "Dockerfile").write_text(
        f'FROM {base}\nCOPY entry.sh /entry.sh\nUSER nobody\nWORKDIR /srv\nENTRYPOINT ["/entry.sh"]\n'
    )
    tag = engine.tag("entry")
    await engine.build(tmp_path, tag)
    async with engine.container(tag) as container:
        assert (await container.run("id -un; pwd; echo $SEEN")).output == "nobody\n/srv\nentry\n"
        assert (await container.run("id -un", user="root")).output == "root\n"


@pytest.mark.docker
async def test_an_entry_point_that_does_not_start_commands_is_put_aside(
    engine: Engine, base: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f'FROM {base}\nENTRYPOINT ["/bin/false"]\n')
    tag = engine.tag("false")
    await engine.build(tmp_path, tag)
    async with engine.container(tag) as container:
        assert (await container.run("echo fine")).output == "fine\n"


@pytest.mark.docker
async def test_a_broken_build_says_where(engine: Engine, base: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo about to fail && exit 7\n")
    with pytest.raises(BuildFailed, match="7") as caught:
        await engine.build(tmp_path, engine.tag("broken"))
    assert "about to fail" in caught.value.log


@pytest.mark.docker
async def test_the_same_content_has_one_name_and_removing_twice_is_fine(
    engine: Engine, base: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\n")
    tag = engine.tag("sha256:0123456789abcdef0123")
    assert tag == engine.tag("sha256:0123456789abcdef0123")
    assert tag.startswith("synth-env:0123456789abcdef-")
    assert await engine.build(tmp_path, tag) == await engine.build(tmp_path, tag)
    await engine.remove_image(tag)
    await engine.remove_image(tag)
    with pytest.raises(ImageMissing):
        await engine.image(tag)


@pytest.mark.docker
async def test_a_cancelled_build_leaves_no_image(engine: Engine, base: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nLABEL test={tmp_path.name}\nRUN sleep 2\n")
    tag = engine.tag("cancelled")
    api = engine._sdk.api
    started = api.events(decode=True, filters={"event": "start", "label": f"test={tmp_path.name}"})
    building = asyncio.create_task(engine.build(tmp_path, tag))
    await asyncio.to_thread(next, started)
    started.close()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    # Whoever goes on after a cancellation waits for what is under way before it counts.
    await engine.settle()
    assert not await engine.has_image(tag)
    assert api.images(filters={"label": f"{LABEL}={engine.owner}"}) == []


def test_owners_live_as_long_as_their_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "from envs.owner import owner; print(owner('a:b')); input()"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    text = child.stdout.readline().strip()
    assert run_of(text) == "a:b"
    assert alive(text)
    child.kill()
    child.wait()
    assert not alive(text)
    run, pid, started, place = text.rsplit(":", 3)
    # The same process id with another start time is another process.
    assert not alive(f"{run}:{os.getpid()}:{int(started) + 1}:{place}")
    machine, boot, namespace = place.split("-")
    assert not alive(f"{run}:{pid}:{started}:{machine}-000000000000-{namespace}")
    # What cannot be judged from here is left alone.
    assert alive(f"{run}:{pid}:{started}:000000000000-{boot}-{namespace}")
    assert alive(f"{run}:{pid}:{started}:{machine}-{boot}-1")
    assert alive("something else")


CHILD = """
import asyncio, sys
from pathlib import Path
from envs.engine import Engine, owner

async def main():
    engine = Engine.connect(owner(sys.argv[3]))
    await engine.build(Path(sys.argv[2]), engine.tag("child"))
    async with engine.container(sys.argv[1]), engine.container(engine.tag("child")):
        print(engine.owner, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.docker
async def test_what_a_killed_process_left_is_reaped_and_nothing_else(engine: Engine, base: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCMD one\n")
    run = run_of(engine.owner) + "-child"
    children = [
        subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", textwrap.dedent(CHILD), base, str(tmp_path), name],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for name in (run, f"{run}-living")
    ]  # fmt: skip
    owners = []
    for child in children:
        assert child.stdout is not None
        owners.append((await asyncio.to_thread(child.stdout.readline)).strip())
    dead, living = owners
    api = engine._sdk.api

    def left(text: str) -> tuple[int, int]:
        filters = {"label": f"{LABEL}={text}"}
        return len(api.containers(all=True, filters=dict(filters))), len(api.images(filters=dict(filters)))

    try:
        async with engine.container(base) as own:
            assert left(dead) == left(living) == (2, 1)
            assert (await engine.reap(run)).containers == 0
            children[0].send_signal(signal.SIGKILL)
            children[0].wait()
            assert left(dead) == (2, 1)
            assert (await engine.reap("another run")).containers == 0
            # What a build killed before its image had a name leaves: the label alone.
            (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCMD two\n")
            assert list(api.build(path=str(tmp_path), labels={LABEL: dead}, rm=True))
            reaped = await engine.reap(run)
            assert (reaped.containers, reaped.images) == (2, 2)
            assert left(dead) == (0, 0)
            assert left(living) == (2, 1)
            assert (await own.run("echo alive")).output == "alive\n"
    finally:
        for child in children:
            child.kill()
            child.wait()
        deadline = time.monotonic() + 20
        while left(living) != (0, 0) and time.monotonic() < deadline:
            await engine.reap(f"{run}-living")
    assert left(living) == (0, 0)


@pytest.mark.docker
async def test_what_a_build_killed_between_two_instructions_left_is_reaped(
    engine: Engine, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The engine names the owner in a build's last instruction, so until then an image has its base's label alone.
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nENV HALF={os.getpid()}\n")
    api = engine._sdk.api
    last = list(api.build(path=str(tmp_path), rm=True, decode=True))[-2]
    half = last["stream"].split()[-1] if "stream" in last else last["aux"]["ID"]

    assert api.inspect_image(half)["Config"]["Labels"].keys() == {BASE_LABEL}
    await engine.reap()
    assert await engine.has_image(half)  # its build may be living
    # Not less: other tests are building.
    monkeypatch.setattr(reaper, "HALF_BUILT_S", 5.0)
    container = api.create_container(half, command="sleep")["Id"]
    await asyncio.sleep(6)
    try:
        await engine.reap()
        assert await engine.has_image(half)  # a step of a build stands on it
    finally:
        api.remove_container(container)
    await engine.reap()
    assert not await engine.has_image(half)


@pytest.mark.docker
async def test_an_image_gets_the_capabilities_it_asks_for_where_it_has_no_network(
    engine: Engine, base: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nLABEL {CAPABILITIES_LABEL}=NET_ADMIN,SYS_ADMIN\n")
    tag = engine.tag("asking")
    await engine.build(tmp_path, tag)

    async def granted(image: str, network: bool) -> int:
        async with engine.container(image, network=network) as container:
            status = (await container.run("grep CapEff /proc/self/status")).output
        return int(status.split()[1], 16)

    net_admin, sys_admin = 1 << 12, 1 << 21
    asking = await granted(tag, network=False)
    assert asking & net_admin
    assert not asking & sys_admin, "an image may ask for what is on the list, and no more"
    assert not await granted(tag, network=True) & net_admin
    assert not await granted(base, network=False) & net_admin
