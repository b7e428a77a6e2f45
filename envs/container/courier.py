"""The first process of a container: runs the commands that arrive on its standard input, answers on its output.

It is sent into the container as text (see `channel.py`) and needs Python 3.8 and the standard library only. Starting a
command this way costs a fork, where an exec through the Docker engine costs about 100 ms of processor time.

Request: `>IBI` (id, kind, length) and a payload. Kind 0 runs a command: the payload is `>I` length of a JSON object
(argv, env, user, workdir, timeout, limit, merge), that object, and the bytes of the command's standard input. Kind 1
ends the command of that id. Kind 2 has the courier itself look after the container, see `guard.py`; its JSON object is
(end, clear, protected, since, timeout, limit, merge). Answer: `>II` (id, length) and a payload of the same form, the
JSON object being (exit, timed_out, dropped, out) and the bytes standard output, then standard error; `out` is the
length of the former.
"""

# Old Pythons, few imports, and faults that must reach whoever waits: several rules of the host side do not fit here.
# ruff: noqa: BLE001, PTH109, PTH118, PTH123, PTH208, S606, SIM105, UP031, UP035
from __future__ import annotations

import fcntl
import functools
import json
import os
import pwd
import selectors
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    # In the container both texts run in one namespace, `guard.py` first.
    from envs.container.guard import guard, others

GRACE = 1.0  # seconds from SIGTERM to SIGKILL
LINGER = 0.05  # seconds to wait for output that a command's children still hold back after it has ended
PATIENCE = 5.0  # seconds for ended processes to be gone


class Stream:
    """Keeps the first and the last half of `limit` bytes of what it is fed."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd = fd
        self.half = limit // 2
        self.keep = limit - self.half
        self.head = bytearray()
        self.tail = bytearray()
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        room = self.half - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        if len(self.tail) > 2 * self.keep + 65536:
            self.trim()

    def trim(self) -> None:
        extra = max(0, len(self.tail) - self.keep)
        del self.tail[:extra]
        self.dropped += extra


class Job:
    """One command: its process, its streams, and when to lose patience with it."""

    def __init__(self, ident: int, pid: int, streams: list[Stream], deadline: float) -> None:
        self.ident = ident
        self.pid = pid
        self.streams = streams
        self.open = len(streams)
        self.deadline = deadline
        self.timed_out = False
        self.status: int | None = None
        self.answered = False


class Courier:
    """The loop: requests in, children's output in, children's ends in, answers out."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.jobs: dict[int, Job] = {}
        self.inbox = bytearray()
        # As the image has it: whoever is root later may put another one in a folder that comes first.
        shells = (os.path.join(folder, "bash") for folder in os.get_exec_path())
        self.programs = {"bash": next((path for path in shells if os.access(path, os.X_OK)), None)}
        # Held from the start: who is root later may put a pipe there that nobody writes to.
        self.nothing = os.open("/dev/null", os.O_RDONLY)
        self.wake, wake_write = os.pipe()
        for fd in (0, self.wake, wake_write):
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The kernel shields process 1 from signals of its own container only where it has no handler.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.selector.register(0, selectors.EVENT_READ, self.receive)
        self.selector.register(self.wake, selectors.EVENT_READ, self.reap)

    def serve(self) -> None:
        while True:
            now = time.monotonic()
            due = [job.deadline for job in self.jobs.values()]
            for key, _ in self.selector.select(max(0.0, min(due) - now) if due else None):
                key.data()
            now = time.monotonic()
            for job in [job for job in self.jobs.values() if job.deadline <= now]:
                self.expire(job, now)

    def receive(self) -> None:
        data = os.read(0, 1 << 20)
        if not data:
            self.selector.unregister(0)
        self.inbox += data
        while len(self.inbox) >= 9:
            ident, kind, length = struct.unpack_from(">IBI", self.inbox)
            if len(self.inbox) < 9 + length:
                return
            payload = bytes(self.inbox[9 : 9 + length])
            del self.inbox[: 9 + length]
            if kind == 0:
                self.start(ident, payload, become)
            elif kind == 2:
                self.start(ident, payload, guard)
            elif ident in self.jobs:
                self.jobs[ident].deadline = 0.0

    def start(self, ident: int, payload: bytes, work: Callable[[dict[str, Any], int, int, int], None]) -> None:
        (size,) = struct.unpack_from(">I", payload)
        spec = json.loads(payload[4 : 4 + size])
        if "argv" in spec and "PATH" not in spec["env"]:
            spec["program"] = self.programs.get(spec["argv"][0])
        fds: list[int] = []
        try:
            if spec.get("end"):
                self.end_all()
            stdin = self.stdin(payload[4 + size :])
            fds.append(stdin)
            pipes = []
            for _ in range(1 if spec["merge"] else 2):
                pipes.append(os.pipe())
                fds += pipes[-1]
            pid = os.fork()
        except OSError as error:
            # No room for a process or a file: whoever is root here can bring that about, and must not end this process.
            for fd in fds:
                os.close(fd)
            text = ("cannot start: %s\n" % error).encode()
            facts = {"exit": 126, "timed_out": False, "dropped": 0, "out": len(text) if spec["merge"] else 0}
            self.answer(ident, facts, [text])
            return
        if pid == 0:
            work(spec, stdin, pipes[0][1], pipes[-1][1])
        os.close(stdin)
        streams = []
        for number, (read, write) in enumerate(pipes):
            os.close(write)
            os.set_blocking(read, False)
            streams.append(Stream(read, spec["limit"] if number == 0 else 65536))
        job = self.jobs[ident] = Job(ident, pid, streams, time.monotonic() + spec["timeout"])
        for stream in streams:
            self.selector.register(stream.fd, selectors.EVENT_READ, functools.partial(self.drain, job, stream))

    def stdin(self, content: bytes) -> int:
        """A file with this content to read from."""
        if not content:
            return os.dup(self.nothing)
        file = os.memfd_create("stdin")
        view = memoryview(content)
        while view:
            view = view[os.write(file, view) :]
        os.lseek(file, 0, os.SEEK_SET)
        return file

    def end_all(self) -> None:
        """End every process but this one and those that it descends from; none gets away by forking."""
        try:
            if os.getpid() == 1:
                os.kill(-1, signal.SIGKILL)
            else:
                # The image's own entry point is above: all are stopped, which shuts them out from forking too.
                os.kill(-1, signal.SIGSTOP)
                for pid in others():
                    os.kill(pid, signal.SIGKILL)
                os.kill(-1, signal.SIGCONT)
        except ProcessLookupError:
            pass
        # They count against the limit of processes until they are reaped, and there may be no room for a fork.
        end = time.monotonic() + PATIENCE
        while others() and time.monotonic() < end:
            self.reap()
            time.sleep(0.001)
        self.reap()

    def drain(self, job: Job, stream: Stream) -> None:
        try:
            data = os.read(stream.fd, 1 << 18)
        except BlockingIOError:
            return
        if data:
            # What a child left behind writes later is read and dropped, so that it does not die of a broken pipe.
            if not job.answered:
                stream.feed(data)
            return
        self.selector.unregister(stream.fd)
        os.close(stream.fd)
        job.open -= 1
        if job.open == 0 and job.status is not None and not job.answered:
            self.finish(job)

    def reap(self) -> None:
        try:
            os.read(self.wake, 4096)
        except BlockingIOError:
            pass
        ended = {}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ended[pid] = status
        for job in [job for job in self.jobs.values() if job.pid in ended]:
            job.status = ended[job.pid]
            if job.open:
                job.deadline = time.monotonic() + LINGER
            else:
                self.finish(job)

    def expire(self, job: Job, now: float) -> None:
        if job.status is not None:
            self.finish(job)
        elif not job.timed_out:
            job.timed_out = True
            job.deadline = now + GRACE
            kill_session(job.pid, signal.SIGTERM)
        else:
            job.deadline = now + GRACE
            kill_session(job.pid, signal.SIGKILL)

    def finish(self, job: Job) -> None:
        if job.timed_out:
            kill_session(job.pid, signal.SIGKILL)
        status = job.status or 0
        code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        for stream in job.streams:
            stream.trim()
        facts = {
            "exit": 124 if job.timed_out else code,
            "timed_out": job.timed_out,
            "dropped": job.streams[0].dropped,
            "out": len(job.streams[0].head) + len(job.streams[0].tail),
        }
        parts = [part for stream in job.streams for part in (stream.head, stream.tail)]
        del self.jobs[job.ident]
        job.answered = True
        self.answer(job.ident, facts, parts)

    def answer(self, ident: int, facts: dict[str, Any], parts: list[Any]) -> None:
        head = json.dumps(facts).encode()
        body = struct.pack(">I", len(head)) + head + b"".join(parts)
        view = memoryview(struct.pack(">II", ident, len(body)) + body)
        while view:
            view = view[os.write(1, view) :]


def become(spec: dict[str, Any], stdin: int, out: int, err: int) -> None:
    """In the child: turn into the command, never return."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(stdin, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        # Short of memory, the kernel shall end commands before it ends process 1, and the container with it.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("300")
        env = dict(os.environ)
        switch_user(spec["user"], env)
        env.update(spec["env"])
        os.chdir(spec["workdir"] or os.getcwd())
        os.execvpe(spec.get("program") or spec["argv"][0], spec["argv"], env)
    except BaseException as error:
        os.write(2, ("%s: %s\n" % (spec["argv"][0], error)).encode())
    os._exit(126)


def switch_user(text: str, env: dict[str, str]) -> None:
    name, _, group = text.partition(":")
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if not name.isdigit():
            raise
        entry = None
    uid = entry.pw_uid if entry else int(name)
    gid = entry.pw_gid if entry else 0
    if group:
        import grp

        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    env["HOME"] = entry.pw_dir if entry else "/"
    if (uid, gid) == (os.getuid(), os.getgid()):
        return
    if entry:
        os.initgroups(entry.pw_name, gid)
    else:
        os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def kill_session(session: int, number: int) -> None:
    """Signal every process of a session: also those that a shell has put into process groups of their own."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as file:
                    fields = file.read().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    os.kill(int(name), number)
            except (OSError, IndexError):
                pass


def main(token: str) -> None:
    # A change of the effective group clears the kernel's "dumpable" flag: no process of the container, root or not,
    # can trace this one or open its standard streams.
    os.setegid(1)
    os.setegid(0)
    os.write(1, ("%s %.6f\n" % (token, time.time())).encode())
    try:
        Courier().serve()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
