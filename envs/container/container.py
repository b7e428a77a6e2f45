"""A running container, as everything above the engine sees it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from envs.container.channel import Channel, Guard, Reply, Spec
from envs.container.packing import pack_files
from envs.container.protected import PROTECTED, SYSTEM_PATH
from envs.errors import EngineError, ToolFailed

ROOT = "0:0"
READ_LIMIT = 64 << 20
"""Bytes that one read may bring to the host."""

WALK = [
    *("find", "/", "-xdev", "(", "-path", "/proc", "-o", "-path", "/sys", "-o", "-path", "/dev", ")", "-prune"),
    *("-o", "-printf", r"%C@\t%p\0"),
]
"""Change time and path of everything in the container's own file system."""

CLOCK_SLACK = 0.02
"""Seconds: file times come from the kernel's coarse clock, which lags behind the clock that a program reads."""


@dataclass(frozen=True)
class Ran:
    """What a command left: how it ended, and standard output and error in the order they were written."""

    exit_code: int
    """124 when it was ended for its time; 128 + n when signal n ended it; 126 when it could not be started."""
    output: str
    """UTF-8; bytes that are none are replaced. Where it was cut, a line in brackets says how much is missing."""
    timed_out: bool
    truncated: bool
    seconds: float
    errors: str = ""
    """Standard error, at most 64 KiB, where it was asked for apart from the output."""


@dataclass(frozen=True)
class Change:
    """A path that is not as it was in the image."""

    path: str
    """Absolute."""
    kind: Literal["added", "modified", "deleted"]


class Container:
    """A container that runs. It is made by `Engine.container` and gone when that context ends."""

    def __init__(
        self,
        ident: str,
        image: str,
        channel: Channel,
        user: str,
        listing: Callable[[], Awaitable[frozenset[str]]],
        remove: Callable[[], Awaitable[None]],
        another: Callable[[], Awaitable["Container"]],
    ) -> None:
        """Wrap a started container.

        `listing` tells every path of its image, `user` runs commands by default, `another` starts one just like it.
        """
        self.id = ident
        self.image = image
        self._channel = channel
        self._user = user
        self._listing = listing
        self._remove = remove
        self.another = another

    async def run(
        self,
        command: str,
        *,
        user: str | int | None = None,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109
        output_limit: int = 65536,
        merge: bool = True,
    ) -> Ran:
        """Run a bash command to its end.

        Args:
            command: for `bash -c`.
            user: name or id, with `:group` or not; None is the image's own user.
            workdir: absolute; None is the image's own.
            env: added to the container's environment.
            timeout: seconds; then the command and its children get SIGTERM, and SIGKILL a second later.
            output_limit: bytes to keep of the output: the first and the last half.
            merge: whether standard error goes into the output.

        Raises:
            ContainerGone: the container ended or does not answer.
        """
        began = time.monotonic()
        who = self._user if user is None else str(user)
        reply = await self._channel.call(
            Spec(["bash", "-c", command], who, workdir, dict(env or {}), timeout, output_limit, merge=merge)
        )
        return Ran(
            exit_code=reply.exit_code,
            output=_text(reply, output_limit),
            timed_out=reply.timed_out,
            truncated=reply.dropped > 0,
            seconds=time.monotonic() - began,
            errors=reply.err.decode(errors="replace"),
        )

    async def put(self, path: str, tar: bytes) -> None:
        """Unpack a tar into a folder, which is made if need be; owners, modes and times are the tar's.

        Raises:
            ToolFailed: it could not be unpacked; the message has tar's reason.
        """
        script = 'mkdir -p -- "$1" && exec tar -xpf - --numeric-owner --same-owner -C "$1"'
        reply = await self._tool(["bash", "-c", script, "put", path], stdin=tar)
        if reply.exit_code != 0:
            raise ToolFailed(f"cannot unpack into {path}: {_reason(reply)}")

    async def put_files(self, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Write files as root: absolute path to (content, mode). Missing folders are made, with mode 0755."""
        await self.put("/", pack_files(files))

    async def read(self, path: str) -> bytes:
        """Content of a file.

        Raises:
            FileNotFoundError: there is no file of this name that can be read.
            ToolFailed: it is larger than 64 MiB.
        """
        reply = await self._tool(["cat", "--", path])
        if reply.exit_code != 0:
            raise FileNotFoundError(f"{path} in the container: {_reason(reply)}")
        return _whole(reply, path)

    async def pack(self, path: str) -> bytes:
        """A tar of what lies in a folder, names relative to it; empty bytes when there is no such folder."""
        script = 'cd -- "$1" 2>/dev/null || exit 44; exec tar -cf - --numeric-owner .'
        reply = await self._tool(["bash", "-c", script, "pack", path])
        if reply.exit_code == 44:
            return b""
        # 1: a file changed while it was read, which is no reason to lose the others.
        if reply.exit_code not in (0, 1):
            raise ToolFailed(f"cannot read {path}: {_reason(reply)}")
        return _whole(reply, path)

    async def collect(self, paths: list[str]) -> bytes:
        """A tar of exactly these paths, folders without their contents; sockets are left out.

        Raises:
            ToolFailed: a path is not there, or all of it is larger than 64 MiB.
        """
        names = b"\0".join(b"." + path.encode(errors="surrogateescape") for path in paths)
        argv = ["tar", "-cf", "-", "-C", "/", "--no-recursion", "--numeric-owner", "--format=gnu", "--null", "-T", "-"]
        reply = await self._tool([*argv, "--warning=no-file-ignored"], stdin=names + b"\0")
        if reply.exit_code != 0:
            raise ToolFailed(f"cannot collect files: {_reason(reply)}")
        return _whole(reply, "the changed files")

    async def existing(self, paths: list[str]) -> list[str]:
        """Those of the paths that are there, dangling links included."""
        script = r'while IFS= read -r -d "" p; do if [ -e "$p" ] || [ -L "$p" ]; then printf "%s\0" "$p"; fi; done'
        names = b"".join(path.encode(errors="surrogateescape") + b"\0" for path in paths)
        reply = await self._tool(["bash", "-c", script], stdin=names)
        return _whole(reply, "the list of files").decode(errors="surrogateescape").split("\0")[:-1]

    async def paths(self) -> dict[str, float]:
        """Every path in the container's own file system, with its change time in seconds since the epoch.

        Names that are no UTF-8 have their bytes as lone surrogates (`surrogateescape`).
        """
        reply = await self._tool(WALK)
        if reply.exit_code != 0:
            raise ToolFailed(f"cannot list the container's files: {_reason(reply)}")
        found: dict[str, float] = {}
        for line in _whole(reply, "the list of files").decode(errors="surrogateescape").split("\0")[:-1]:
            clock, _, path = line.partition("\t")
            found[path] = float(clock)
        return found

    async def changes(self) -> list[Change]:
        """What differs from the image, sorted by path; of a deleted folder only the folder is told.

        A path that was touched since the container started counts as modified even if its content is the same. The
        engine's own answer to this question takes ten times as long: it compares the whole image.
        """
        began = self._since()
        then, now = await self._listing(), await self.paths()
        deleted = then - now.keys()
        found = [Change(path, "deleted") for path in deleted if path.rpartition("/")[0] not in deleted]
        for path, clock in now.items():
            if path not in then:
                found.append(Change(path, "added"))
            elif clock >= began:
                found.append(Change(path, "modified"))
        return sorted(found, key=lambda change: change.path)

    async def tampered(self) -> list[str]:
        """What a verdict here would rest on and that changed since the container started: see `PROTECTED`.

        Whoever was root may have replaced every program of the image, so none of them is asked: the container's first
        process looks itself. Paths are sorted; of a folder only what changed in it is told, if something did.

        Raises:
            EngineError: its image has no Python, so there is nobody to look.
            ToolFailed: its first process cannot look any more.
        """
        return await self.guard()

    async def guard(self, *, end: bool = False, clear: Sequence[tuple[str, int]] = ()) -> list[str]:
        """As `tampered`; before, end every process and put empty folders in the place of whatever lies at some paths.

        Args:
            end: whether to end every process.
            clear: absolute paths and the modes of the folders that shall be there. Links on the way to them are
                replaced by folders, not followed.
        """
        since = self._since()
        reply = await self._channel.call(Guard(end, clear, list(PROTECTED), since))
        if reply.exit_code != 0:
            raise ToolFailed(f"the container's first process cannot look after it: {_reason(reply)}")
        found = set(reply.out.decode(errors="surrogateescape").split("\0")) - {""}
        above = {path.rpartition("/")[0] for path in found}
        for path in list(above):
            while path := path.rpartition("/")[0]:
                above.add(path)
        return sorted(found - above)

    async def delete(self, paths: list[str]) -> None:
        """Remove paths with what lies below them; that one is not there, or is mounted, does no harm."""
        names = b"".join(path.encode(errors="surrogateescape") + b"\0" for path in paths)
        await self._tool(["xargs", "-0", "-r", "rm", "-rf", "--"], stdin=names)

    async def overwrite(self, path: str, content: bytes) -> None:
        """Write into a file that is there, also where it is mounted and cannot be replaced, or make one."""
        reply = await self._tool(["tee", "--", path], stdin=content)
        if reply.exit_code != 0:
            raise ToolFailed(f"cannot write {path}: {_reason(reply)}")

    @property
    def guarded(self) -> bool:
        """Whether `guard` and `changes` can be asked: the image has the Python that the first process needs."""
        return self._channel.started is not None

    def _since(self) -> float:
        if self._channel.started is None:
            raise EngineError("this container cannot tell what changed: its image has no Python")
        return self._channel.started - CLOCK_SLACK

    async def remove(self) -> None:
        """End the container now; doing so twice does no harm."""
        self._channel.close()
        await self._remove()

    async def _tool(self, argv: list[str], stdin: bytes = b"") -> Reply:
        """Run one of the image's own programs as root with bytes in and bytes out."""
        env = {"LC_ALL": "C", "PATH": SYSTEM_PATH}
        return await self._channel.call(Spec(argv, ROOT, "/", env, 120.0, READ_LIMIT, stdin, merge=False))


def _text(reply: Reply, limit: int) -> str:
    if not reply.dropped:
        return reply.out.decode(errors="replace")
    half = limit // 2
    head, tail = reply.out[:half].decode(errors="replace"), reply.out[half:].decode(errors="replace")
    return f"{head}\n[... {reply.dropped} bytes left out ...]\n{tail}"


def _reason(reply: Reply) -> str:
    lines = reply.err.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {reply.exit_code}"


def _whole(reply: Reply, what: str) -> bytes:
    if reply.dropped or reply.timed_out:
        raise ToolFailed(f"{what}: more than {READ_LIMIT >> 20} MiB, or too slow to read")
    return reply.out
