"""What a container does for those above it: through the courier, and through execs where the image has no Python."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from envs.container.protected import protected
from envs.engine import LABEL, Container, ContainerGone, Engine, EngineError, Limits
from envs.errors import ToolFailed

pytestmark = pytest.mark.docker


@pytest.fixture(params=["courier", "exec"])
async def container(
    request: pytest.FixtureRequest, engine: Engine, base: str, tmp_path: Path
) -> AsyncIterator[Container]:
    image = base
    if request.param == "exec":
        (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN rm -f /usr/bin/python3*\n")
        image = engine.tag("without-python")
        await engine.build(tmp_path, image)
    async with engine.container(image, env={"FROM_OUTSIDE": "yes"}) as started:
        assert type(started._channel).__name__.lower().startswith(request.param)
        yield started


async def test_a_command_answers_with_its_output_and_exit_code(container: Container) -> None:
    ran = await container.run("echo out; echo err >&2; echo $FROM_OUTSIDE $MINE; exit 3", env={"MINE": "ö 'x'"})
    assert ran.exit_code == 3
    assert sorted(ran.output.splitlines()) == ["err", "out", "yes ö 'x'"]
    assert not ran.timed_out
    assert not ran.truncated


async def test_standard_error_comes_apart_when_asked_for(container: Container) -> None:
    ran = await container.run("echo out; echo err >&2", merge=False)
    assert (ran.output, ran.errors) == ("out\n", "err\n")


async def test_user_and_folder_are_as_asked(container: Container) -> None:
    assert (await container.run("id -u; pwd; echo $HOME", workdir="/")).output == "0\n/\n/root\n"
    assert (await container.run("id -un", user="nobody", workdir="/tmp")).output == "nobody\n"
    assert (await container.run("id -u; id -g", user="1234:4321", workdir="/tmp")).output == "1234\n4321\n"
    assert (await container.run("true", user="nosuch")).exit_code == 126


async def test_a_command_that_takes_too_long_is_ended_with_its_children(container: Container) -> None:
    began = time.monotonic()
    ran = await container.run("echo early; trap '' TERM; sleep 4321 & sleep 4321", timeout=0.5)
    assert time.monotonic() - began < 8
    assert ran.timed_out
    assert ran.exit_code == 124
    left = await container.run("sleep 0.2; pgrep -fc '[s]leep 4321'")
    assert left.output.strip() == "0"


async def test_binary_and_big_output_is_cut_in_the_middle(container: Container) -> None:
    ran = await container.run(r"printf 'a\0\377b'; head -c 5000000 /dev/zero; echo end", output_limit=1000)
    assert ran.truncated
    assert ran.output.startswith("a\0\ufffdb")
    assert ran.output.endswith("end\n")
    assert "bytes left out" in ran.output
    assert len(ran.output) < 1100
    whole = await container.run("head -c 3000000 /dev/zero | tr '\\0' x", output_limit=3_000_000)
    assert len(whole.output) == 3_000_000
    assert not whole.truncated


async def test_what_runs_on_in_the_background_neither_blocks_nor_breaks(container: Container) -> None:
    began = time.monotonic()
    ran = await container.run("setsid sh -c 'while sleep 0.1; do echo tick; done' >/tmp/ticks 2>&1 & echo started")
    assert ran.output == "started\n"
    assert time.monotonic() - began < 5
    await asyncio.sleep(0.5)
    assert (await container.run("grep -c tick /tmp/ticks")).exit_code == 0


async def test_files_go_in_and_come_out_whole(container: Container) -> None:
    content = bytes(range(256)) * 4096
    await container.put_files({"/new/ä ö/x.bin": (content, 0o640), "/new/run.sh": (b"#!/bin/sh\necho ran\n", 0o755)})
    assert await container.read("/new/ä ö/x.bin") == content
    assert (await container.run("/new/run.sh; stat -c '%a %U' '/new/ä ö/x.bin'")).output == "ran\n640 root\n"
    with pytest.raises(FileNotFoundError, match=r"/new/none"):
        await container.read("/new/none")
    assert await container.pack("/nowhere") == b""
    with pytest.raises(ToolFailed, match="unpack"):
        await container.put("/new", b"no tar" * 200)


async def test_commands_overlap(container: Container) -> None:
    began = time.monotonic()
    answers = await asyncio.gather(*(container.run(f"sleep 1; echo {number}") for number in range(6)))
    assert [ran.output for ran in answers] == [f"{number}\n" for number in range(6)]
    assert time.monotonic() - began < 5


async def test_it_has_no_network_and_few_rights(container: Container) -> None:
    ran = await container.run("ls /sys/class/net; grep -h -E 'NoNewPrivs|CapBnd' /proc/self/status")
    interfaces, *status = ran.output.splitlines()
    assert interfaces == "lo"
    assert [line.split() for line in status] == [["CapBnd:", "00000000000404fb"], ["NoNewPrivs:", "1"]] or [
        line.split() for line in status
    ] == [["NoNewPrivs:", "1"], ["CapBnd:", "00000000000404fb"]]


async def test_the_first_process_cannot_be_ended_or_looked_into(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        ran = await container.run("kill -9 1; kill -INT 1; kill -TERM 1; kill -STOP 1; kill -9 -1; cat /proc/1/environ")
        assert ran.exit_code != 0
        assert "Permission denied" in ran.output
        assert (await container.run("echo x >/proc/1/fd/1")).exit_code != 0
        assert (await container.run("echo alive")).output == "alive\n"


async def test_what_a_verdict_rests_on_is_seen_to_change(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        await container.run(
            "mkdir -p /usr/local/x /opt/y /usr/share/z; echo 1 >/usr/local/bin/bash; useradd bob; echo x >/etc/issue;"
            " touch /usr/local/lib/x.py; ls -lR /usr/lib >/dev/null; python3 -c 'import json, sqlite3'"
        )
        assert await container.tampered() == []
        seen: set[str] = set()
        for command, path in {
            "touch /usr/bin/git": "/usr/bin/git",
            "echo >>/usr/lib/python3.11/os.py": "/usr/lib/python3.11/os.py",
            "chmod 700 /usr/lib/git-core/git-bisect": "/usr/lib/git-core/git-bisect",
            "rm /usr/lib/python3.11/abc.py": "",
            "echo x >/etc/ld.so.preload": "/etc/ld.so.preload",
            "echo x >/etc/ld.so.conf.d/x.conf": "/etc/ld.so.conf.d/x.conf",
            "ln /usr/bin/env /opt/env": "/usr/bin/env",
            "mkdir /usr/libexec/x; rmdir /usr/libexec/x": "/usr/libexec",
            "ln -sfn x /etc/alternatives/which": "/etc/alternatives/which",
            "rm /bin; ln -s usr/bin /bin": "/bin",
            "echo >>/etc/ssl/openssl.cnf": "/etc/ssl/openssl.cnf",
            "touch -d 2001-01-01 /etc/nsswitch.conf": "/etc/nsswitch.conf",
            "touch /usr/pyvenv.cfg": "/usr/pyvenv.cfg",
            "touch /etc/python3.11/x": "/etc/python3.11/x",
        }.items():
            assert path not in seen
            assert (await container.run(command)).exit_code == 0
            now = set(await container.tampered())
            assert now >= seen, command
            assert path in now | {""}, (command, now - seen)
            seen = now
        assert not [path for path in seen if not protected(path)]


async def test_room_is_made_without_a_program_of_the_image(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        await container.run(
            "mkdir -p /keep/deep /tests/a/b/c /tests/d; echo 1 | tee /keep/x /tests/a/b/x /tests/d/y;"
            " ln -s /keep /tests/a/link; ln -s /keep /logs; setsid sleep 1000 >/dev/null 2>&1 & chmod a-x /usr/bin/rm"
        )
        assert await container.guard(end=True, clear=[("/tests", 0o755), ("/logs/verifier", 0o777)]) == ["/usr/bin/rm"]
        looked = await container.run("find /tests /logs /keep -printf '%p %y %m\\n' | sort; pgrep -c sleep")
    assert looked.output.splitlines() == [
        "/keep d 755", "/keep/deep d 755", "/keep/x f 644", "/logs d 755", "/logs/verifier d 777", "/tests d 755", "0"
    ]  # fmt: skip


async def test_an_image_without_python_cannot_be_looked_at(engine: Engine, base: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN rm -f /usr/bin/python3*\n")
    image = engine.tag("without-python")
    await engine.build(tmp_path, image)
    async with engine.container(image) as container:
        assert not container.guarded
        with pytest.raises(EngineError, match="no Python"):
            await container.tampered()


async def test_cancelling_a_command_ends_it_in_the_container(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        running = asyncio.create_task(container.run("sleep 1234"))
        await asyncio.sleep(0.3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0.3)
        assert (await container.run("pgrep -fc '[s]leep 1234'")).output.strip() == "0"


async def test_memory_and_processes_are_limited(engine: Engine, base: str) -> None:
    async with engine.container(base, limits=Limits(memory_mb=64, processes=40, file_mb=1)) as container:
        hog = await container.run("python3 -c 'x = b\"x\" * (200 << 20)'", timeout=30)
        assert hog.exit_code in (1, 137)
        forks = await container.run("for i in $(seq 100); do sleep 5 & done", timeout=20)
        assert "Resource temporarily unavailable" in forks.output or "fork" in forks.output
        big = await container.run("head -c 3000000 /dev/zero >/tmp/big; stat -c %s /tmp/big", timeout=20)
        assert "1048576" in big.output
        await asyncio.sleep(0.1)
        assert (await container.run("echo alive")).output == "alive\n"


async def test_a_container_that_ends_is_told_at_once(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        running = asyncio.create_task(container.run("sleep 100"))
        await asyncio.sleep(0.3)
        engine._sdk.api.kill(container.id)
        with pytest.raises(ContainerGone, match="ended"):
            await asyncio.wait_for(running, 10)
        with pytest.raises(ContainerGone):
            await container.run("true")


async def test_changes_are_what_differs_from_the_image(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        assert await container.changes() == []
        await container.run(
            "echo x >/etc/issue; chmod 700 /srv; mkdir /opt/new; touch '/opt/new/ü\n1'; rm -r /etc/issue.net /var/mail;"
            " mv /etc/debian_version /etc/moved"
        )
        changes = {(change.path, change.kind) for change in await container.changes()}
    assert changes >= {
        ("/etc/issue", "modified"),
        ("/srv", "modified"),
        ("/opt/new", "added"),
        ("/opt/new/ü\n1", "added"),
        ("/etc/issue.net", "deleted"),
        ("/var/mail", "deleted"),
        ("/etc/moved", "added"),
        ("/etc/debian_version", "deleted"),
    }
    assert {path for path, kind in changes if kind == "modified"} <= {"/", "/etc", "/etc/issue", "/opt", "/srv", "/var"}


async def test_an_image_that_is_being_listed_when_its_reader_is_cancelled_leaves_no_container(
    engine: Engine, base: str
) -> None:
    async with engine.container(base) as container:
        asking = asyncio.create_task(container.changes())
        while not engine._listings:  # noqa: ASYNC110 - the listing begins within the next turns of the loop
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await engine.settle()
    assert engine._sdk.api.containers(all=True, filters={"label": f"{LABEL}={engine.owner}"}) == []
