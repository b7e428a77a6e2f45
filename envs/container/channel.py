"""How commands get into a container: through the courier that is its first process, or one exec each.

The courier (see `courier.py`) answers in milliseconds and needs Python in the image. An image without Python is served
through the engine's exec, which costs about 100 ms of processor time a command.
"""

import asyncio
import json
import secrets
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from envs.container.packing import pack_files
from envs.errors import ContainerGone

COURIER_COMMAND = ("python3", "-ISc", "exec(input())")
"""Reads the courier's text as one line of Python: a process list inside the container stays readable."""

SILENCE = 60.0
"""Seconds beyond a command's own time limit after which its container counts as gone."""

Call = Callable[..., Awaitable[Any]]
"""Runs a function of the Docker SDK in a worker thread and maps its errors."""


@dataclass(frozen=True)
class Spec:
    """A command as the channel takes it."""

    argv: Sequence[str]
    user: str
    workdir: str | None
    env: Mapping[str, str]
    timeout: float
    limit: int
    """Bytes of standard output to keep: the first and the last half."""
    stdin: bytes = b""
    merge: bool = True
    """Standard error goes to standard output; else 64 KiB of it come back apart."""


@dataclass(frozen=True)
class Guard:
    """What the courier does itself, without any program or library of the image."""

    end: bool
    """End every process of the container first."""
    clear: Sequence[tuple[str, int]]
    """Absolute paths that become empty folders, with their modes, in this order."""
    protected: Sequence[str]
    """Paths to look at, with what lies below; `*` at the end stands for any rest of the name."""
    since: float
    """Which of them changed at this time of the container's clock or later is the answer, NUL between them."""
    timeout: float = 60.0
    limit: int = 1 << 20
    merge: bool = False


@dataclass(frozen=True)
class Reply:
    """What a command left. `dropped` counts the bytes cut from the middle of `out`."""

    exit_code: int
    out: bytes
    err: bytes
    timed_out: bool
    dropped: int


class Channel(Protocol):
    """A way to run commands in one container."""

    started: float | None
    """The container's clock when it was ready, in seconds since the epoch; None when the channel does not know."""

    async def call(self, spec: Spec | Guard) -> Reply:
        """Run a command to its end or to its time limit; ContainerGone when the container is.

        A Guard is understood only where `started` is known.
        """

    def close(self) -> None:
        """Let go of the container, which is about to be removed."""


class CourierChannel:
    """Speaks with a courier over the container's attached standard streams. Commands may overlap."""

    def __init__(self, attached: Any) -> None:
        """Take over a socket attached to a container that has not been started yet."""
        self._attached = attached
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._socket.settimeout(None)
        self._token = secrets.token_hex(16)
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[float] = self._loop.create_future()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._next = 0
        self._gone: str | None = None
        self._sending = threading.Lock()
        self._noise = b""
        self.started: float | None = None

    async def open(self, timeout: float = 30.0) -> bool:  # noqa: ASYNC109
        """Send the courier into the started container; False when it cannot run there."""
        threading.Thread(target=self._read, name="courier", daemon=True).start()
        await asyncio.to_thread(self._send, _bootstrap(self._token))
        try:
            self.started = await asyncio.wait_for(self._ready, timeout)
        except (TimeoutError, ContainerGone):
            self.close()
            return False
        return True

    async def call(self, spec: Spec | Guard) -> Reply:
        if self._gone is not None:
            raise ContainerGone(self._gone)
        self._next += 1
        ident, future = self._next, self._loop.create_future()
        self._waiting[ident] = future
        try:
            request = _request(ident, spec)
            # A small request fits the socket's buffer; a big one waits for the other side and must not hold the loop.
            if len(request) < 32768:
                self._send(request)
            else:
                await asyncio.to_thread(self._send, request)
            payload = await asyncio.wait_for(future, spec.timeout + SILENCE)
        except TimeoutError:
            raise ContainerGone("the container stopped answering") from None
        except asyncio.CancelledError:
            with suppress(ContainerGone):
                self._send(struct.pack(">IBI", ident, 1, 0))
            raise
        finally:
            self._waiting.pop(ident, None)
        return _reply(payload)

    def close(self) -> None:
        self._gone = self._gone or "the container was removed"
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The SDK hangs the whole HTTP response on the socket; closed after it, it complains when it is collected.
        with suppress(OSError, ValueError):
            getattr(self._attached, "_response", self._attached).close()

    def _send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError as error:
            raise ContainerGone(f"the container does not take commands any more: {error}") from None

    def _read(self) -> None:
        """In its own thread: take the engine's framing apart and hand answers to the event loop."""
        frames, inbox = bytearray(), bytearray()
        try:
            while data := self._socket.recv(1 << 18):
                frames += data
                while len(frames) >= 8:
                    kind, length = struct.unpack_from(">BxxxI", frames)
                    if len(frames) < 8 + length:
                        break
                    if kind == 1:
                        inbox += frames[8 : 8 + length]
                    else:
                        self._noise = (self._noise + frames[8 : 8 + length])[-2000:]
                    del frames[: 8 + length]
                self._take(inbox)
        except OSError:
            pass
        with suppress(RuntimeError):  # the loop may have ended before the container
            self._loop.call_soon_threadsafe(self._lost)

    def _take(self, inbox: bytearray) -> None:
        if self._token:
            # An image's own entry point may write first; what the courier writes begins with the token.
            mark = inbox.find(self._token.encode())
            end = inbox.find(b"\n", mark)
            if mark < 0 or end < 0:
                return
            clock = float(inbox[mark:end].split()[1])
            del inbox[: end + 1]
            self._token = ""
            self._loop.call_soon_threadsafe(_resolve, self._ready, clock)
        while len(inbox) >= 8:
            ident, length = struct.unpack_from(">II", inbox)
            if len(inbox) < 8 + length:
                return
            payload = bytes(inbox[8 : 8 + length])
            del inbox[: 8 + length]
            self._loop.call_soon_threadsafe(self._deliver, ident, payload)

    def _deliver(self, ident: int, payload: bytes) -> None:
        if future := self._waiting.get(ident):
            _resolve(future, payload)

    def _lost(self) -> None:
        noise = self._noise.decode(errors="replace").strip().splitlines()
        self._gone = self._gone or "the container ended" + (f": {noise[-1]}" if noise else "")
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._waiting.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(ContainerGone(self._gone))
                # Marks the exception as seen: nobody may be waiting any more.
                future.exception()


class ExecChannel:
    """One exec of the engine for each command, under `timeout` of the container."""

    def __init__(self, api: Any, call: Call, container: str) -> None:
        self._api = api
        self._call = call
        self._container = container
        self.started: float | None = None

    async def call(self, spec: Spec | Guard) -> Reply:
        if isinstance(spec, Guard):
            raise TypeError("an image without Python has no courier to guard it")
        argv = ["timeout", "-k", "1", str(max(spec.timeout, 0.001)), *spec.argv]
        if spec.stdin:
            name = f"stdin-{secrets.token_hex(8)}"
            await self._call(self._api.put_archive, self._container, "/tmp", pack_files({name: (spec.stdin, 0o600)}))  # noqa: S108
            argv = ["sh", "-c", 'f=$1; shift; "$@" <"$f"; c=$?; rm -f "$f"; exit $c', "sh", f"/tmp/{name}", *argv]  # noqa: S108
        command = await self._call(
            self._api.exec_create, self._container, argv, user=spec.user, workdir=spec.workdir, environment=spec.env
        )
        start = partial(self._api.exec_start, command["Id"], demux=True)
        began = time.monotonic()
        try:
            out, err = await asyncio.wait_for(self._call(start), spec.timeout + SILENCE)
        except TimeoutError:
            raise ContainerGone("the container stopped answering") from None
        code = (await self._call(self._api.exec_inspect, command["Id"]))["ExitCode"]
        out, err = out or b"", err or b""
        if spec.merge:
            out, err = out + err, b""
        dropped = max(0, len(out) - spec.limit)
        if dropped:
            half = spec.limit // 2
            out = out[:half] + out[len(out) - (spec.limit - half) :]
        timed_out = code in (124, 137) and time.monotonic() - began >= spec.timeout
        return Reply(124 if timed_out else code, out, err[-65536:], timed_out, dropped)

    def close(self) -> None:
        """Nothing is held between commands."""


def _bootstrap(token: str) -> bytes:
    texts = [Path(__file__).with_name(name).read_text() for name in ("guard.py", "courier.py")]
    return "".join([*(f"exec({text!a});" for text in texts), f"main({token!r})\n"]).encode()


def _request(ident: int, spec: Spec | Guard) -> bytes:
    facts = asdict(spec)
    stdin: bytes = facts.pop("stdin", b"")
    head = json.dumps(facts).encode()
    size = 4 + len(head) + len(stdin)
    return struct.pack(">IBII", ident, 2 if isinstance(spec, Guard) else 0, size, len(head)) + head + stdin


def _reply(payload: bytes) -> Reply:
    (size,) = struct.unpack_from(">I", payload)
    facts = json.loads(payload[4 : 4 + size])
    body = payload[4 + size :]
    return Reply(facts["exit"], body[: facts["out"]], body[facts["out"] :], facts["timed_out"], facts["dropped"])


def _resolve[T](future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
