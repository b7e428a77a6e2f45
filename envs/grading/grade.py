"""Runs the functions check_*() of checks.py and writes the verdict; the same file in every task folder.

It runs as root in the container that the agent worked in, with Python 3.9 or later and the standard library alone.
Whatever happens, `reward.json` is there afterwards: {"reward": 0 or 1, "<check>": 0 or 1, ...}, and `checks.json` with
the reasons and the files that each check opened. The reward is 1 when there is a check and all of them pass.

`inputs.tar` beside it has the graded inputs: files that the checks read and whoever is graded had no business changing.
Where one of them is not as given, the checks must pass on the state as left, and again with the inputs put back.
"""

# ruff: noqa: BLE001, PTH100, PTH101, PTH103, PTH105, PTH108, PTH110, PTH112, PTH113, PTH114, PTH118, PTH123, PTH208, S102, SIM115
# ruff: noqa: UP006, UP031, UP035
from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import select
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from types import CodeType
from typing import TYPE_CHECKING, Any, Tuple

if TYPE_CHECKING:
    import tarfile

CHECK_SECONDS = 60.0
ALL_SECONDS = 240.0
MESSAGE_LENGTH = 2000
READ_PATHS = 200
INITS = ("sh", "bash", "dash", "docker-init", "tini", "dumb-init", "catatonit")
STARTED = 19  # place of the start time, in ticks since boot, in what `status_of` gives
FIRST_TICKS = 200  # of a hundredth of a second, after the first process
SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib", "/etc/ssl/", "/etc/ld.so")
NO_INPUTS = ("/tests/", "/logs/", "/proc/", "/sys/", "/dev/", *SYSTEM)

Given = Tuple["tarfile.TarInfo", bytes]


def main(tests: str, logs: str, prelude: str = "") -> int:
    """Leave a verdict; 0 says that it is this program's own and final.

    `prelude` names Python source that every check's process runs before the check.
    """
    hide()
    kill_others()
    os.makedirs(logs, exist_ok=True)
    for name in ("reward.json", "reward.txt", "checks.json"):
        clear(os.path.join(logs, name))
    # The verdict that stands if this process is ended before it has another.
    write(logs, "reward.json", {"reward": 0})
    home = tempfile.mkdtemp(prefix="grade-")
    os.environ["HOME"] = home
    # What the checks run shall leave nothing beside the modules of the image, where nothing may change.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # Checks run as root and look into repositories of any owner, which git refuses unless it is told not to.
    os.environ.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
    results: list[dict[str, Any]] = []
    altered: list[str] = []
    problem = None
    try:
        # All that the verdict rests on is in memory before the first check runs something of the agent's.
        code, names = load(os.path.join(tests, "checks.py"))
        before = [load(prelude)[0]] if prelude else []
        given = load_inputs(os.path.join(tests, "inputs.tar"))
        altered = differing(given)
        results, problem = judge([*before, code], names, given, altered)
    except Exception as error:
        problem = "%s: %s" % (type(error).__name__, error)
    shutil.rmtree(home, ignore_errors=True)
    # What the checks have set off in the agent's files (hooks, wrappers) must not live to change the verdict.
    kill_others()
    reward = {"reward": int(problem is None and all(result["passed"] for result in results))}
    reward.update((result["name"], int(result["passed"])) for result in results)
    clear(os.path.join(logs, "reward.txt"))
    write(logs, "checks.json", {"problem": problem, "altered": altered, "checks": results})
    write(logs, "reward.json", reward)
    for result in results:
        print("%s %s: %s" % ("PASS" if result["passed"] else "FAIL", result["name"], result["message"] or "ok"))
    if problem:
        print("FAIL: " + problem)
    return 0


def judge(
    codes: list[CodeType], names: list[str], given: dict[str, Given], altered: list[str]
) -> tuple[list[dict[str, Any]], str | None]:
    """Run the checks; where graded inputs were altered, run them again with those as they were given."""
    end = time.monotonic() + ALL_SECONDS
    results = run_all(codes, names, end)
    if not results:
        return results, "checks.py has no check"
    passed = all(result["passed"] for result in results)
    if altered and passed:
        kill_others()
        for path in altered:
            restore(path, given[path])
        results = [again(*pair, altered) for pair in zip(results, run_all(codes, names, end))]  # noqa: B905
    elif altered:
        return results, None
    kill_others()
    late = differing(given)
    return results, "%s was changed while the checks ran" % ", ".join(late[:3]) if late else None


def again(first: dict[str, Any], second: dict[str, Any], altered: list[str]) -> dict[str, Any]:
    """The result of a check that passed on the state as left, and now ran with the inputs as they were given."""
    if not second["passed"]:
        more = " and %d more" % (len(altered) - 3) if len(altered) > 3 else ""
        second["message"] = "with %s%s as given: %s" % (", ".join(altered[:3]), more, second["message"])
    second["seconds"] = round(first["seconds"] + second["seconds"], 3)
    second["read"] = sorted({*first["read"], *second["read"]})[:READ_PATHS]
    return second


def load(path: str) -> tuple[CodeType, list[str]]:
    with open(path, encoding="utf-8") as file:
        source = file.read()
    tree = ast.parse(source, path)
    code = compile(source, path, "exec")
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")]
    warm(tree)
    return code, list(dict.fromkeys(names))


def run_all(codes: list[CodeType], names: list[str], end: float) -> list[dict[str, Any]]:
    return [run(codes, name, min(CHECK_SECONDS, max(0.0, end - time.monotonic()))) for name in names]


def load_inputs(path: str) -> dict[str, Given]:
    """The graded inputs as they were given: absolute path to its entry in the tar, and content."""
    if not os.path.exists(path):
        return {}
    import tarfile

    with tarfile.open(path) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
        return {"/" + member.name.strip("/"): (member, file.read()) for member, file in members if file}


def differing(given: dict[str, Given]) -> list[str]:
    """Those of the graded inputs that are no regular file of the given content."""
    found = []
    for path, (_, content) in given.items():
        try:
            # Without waiting for whoever may write to a pipe that lies there.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            found.append(path)
            continue
        with open(fd, "rb") as file:
            facts = os.fstat(fd)
            same = stat.S_ISREG(facts.st_mode) and facts.st_size == len(content) and file.read() == content
        if not same:
            found.append(path)
    return found


def restore(path: str, given: Given) -> None:
    """Put a graded input back; links on the way to it are replaced by folders, not followed."""
    member, content = given
    *parents, name = path.strip("/").split("/")
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    way = ""
    for parent in parents:
        way += "/" + parent
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(parent, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(parent, dir_fd=folder)
        with contextlib.suppress(FileExistsError):
            os.mkdir(parent, 0o755, dir_fd=folder)
        inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        os.close(folder)
        folder = inner
    # The way is one of real folders now, so the path leads where it says.
    clear(path)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    os.close(folder)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fchown(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode & 0o7777)
        os.utime(fd, (member.mtime, member.mtime))


def hide() -> None:
    """A change of the effective group makes the kernel keep the others, root or not, out of this process.

    They can neither trace it nor open what it has open; what is started from here is traceable again.
    """
    if os.geteuid() == 0:
        os.setegid(1)
        os.setegid(0)


def weaken() -> None:
    """Give up one right of root for good, here and in all that is started from here.

    The kernel lets nobody trace a process that has a right which he lacks, so what checks set off cannot get at the
    processes that wait for the verdict. The right, FSETID, matters to the set-id bits of files that root writes.
    """
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes

        libc = ctypes.CDLL(None)
        # PR_SET_NO_NEW_PRIVS: a program that is started does not get it back.
        libc.prctl(38, 1, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        sets = (ctypes.c_uint32 * 6)()
        if libc.capget(header, sets) == 0:
            for number in range(3):
                sets[number] &= ~(1 << 4)
            libc.capset(header, sets)


def warm(tree: ast.Module) -> None:
    """Import here, once, what every check would import in a process of its own."""
    with contextlib.suppress(ImportError):
        importlib.import_module("ctypes")
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def run(codes: list[CodeType], name: str, seconds: float) -> dict[str, Any]:
    """Run one check in a process of its own: it can neither end, hang nor alter the grader."""
    began = time.monotonic()
    read, write_end = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(read)
        in_child(codes, name, write_end)
    os.close(write_end)
    answer, timed_out = b"", False
    while True:
        left = began + seconds - time.monotonic()
        if left <= 0 or not select.select([read], [], [], left)[0]:
            timed_out = True
            break
        data = os.read(read, 65536)
        if not data:
            break
        answer += data
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    os.close(read)
    os.waitpid(child, 0)
    passed, message, files = False, "it ended without an answer", []
    if timed_out:
        message = "it did not end within %.0f seconds" % seconds
    else:
        with contextlib.suppress(ValueError):
            passed, message, files = json.loads(answer)
    return {
        "name": name,
        "passed": bool(passed),
        "message": message[:MESSAGE_LENGTH],
        "seconds": round(time.monotonic() - began, 3),
        "read": files,
    }


def in_child(codes: list[CodeType], name: str, channel: int) -> None:
    os.setsid()
    passed, message = False, ""
    opened: dict[str, None] = {}
    try:
        weaken()
        watch(opened)
        for code in codes:
            scope: dict[str, Any] = {"__name__": "checks", "__file__": code.co_filename}
            exec(code, scope)
        scope[name]()
        passed = True
    except AssertionError as error:
        message = str(error) or "an assertion does not hold: " + last_line()
    except BaseException as error:
        message = "%s: %s (%s)" % (type(error).__name__, error, last_line())
    sys.stdout.flush()
    view = memoryview(json.dumps([passed, message[:MESSAGE_LENGTH], inspected(opened)]).encode())
    while view:
        view = view[os.write(channel, view) :]
    os._exit(0)


def watch(opened: dict[str, None]) -> None:
    """Note every path that this process opens for reading from now on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and len(opened) < 4 * READ_PATHS:
            path, mode, flags = arguments
            reading = set(mode) & set("r+") if mode else flags & os.O_ACCMODE != os.O_WRONLY
        elif event == "sqlite3.connect":
            path, reading = arguments[0], True
        else:
            return
        if reading and isinstance(path, (str, bytes)):
            with contextlib.suppress(OSError, ValueError):
                opened.setdefault(os.path.abspath(os.fsdecode(path)))

    sys.addaudithook(hook)


def inspected(opened: dict[str, None]) -> list[str]:
    """The regular files among what was opened that are neither the grader's, the kernel's nor the system's."""
    found = set()
    for path in list(opened):
        real = os.path.realpath(path)
        if os.path.isfile(real) and not real.startswith(NO_INPUTS):
            found.add(real)
    return sorted(found)[:READ_PATHS]


def last_line() -> str:
    """Where in checks.py the exception came from."""
    frames = [f for f in traceback.extract_tb(sys.exc_info()[2]) if f.filename.endswith("checks.py")]
    return "line %s" % frames[-1].lineno if frames else "outside checks.py"


def kill_others() -> None:
    """End every process of the container but those that it lives by, this one and those that it descends from."""
    keep, pid = first_processes(), os.getpid()
    while pid > 1:
        keep.add(pid)
        pid = int(status_of(pid)[1])
    end = time.monotonic() + 5
    while living(keep) and time.monotonic() < end:
        # All are stopped before one is ended: none gets away by forking.
        signal_all(signal.SIGSTOP)
        for other in living(keep):
            with contextlib.suppress(OSError):
                os.kill(other, signal.SIGKILL)
        signal_all(signal.SIGCONT)
        time.sleep(0.002)


def first_processes() -> set[int]:
    """What the container lives by: its first process, and what that waits for where it is a shell or a small init.

    Those began with the container; what an agent left behind began later.
    """
    first = {1}
    with open("/proc/1/comm") as file:
        if file.read().strip() not in INITS:
            return first
    began = int(status_of(1)[STARTED])
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if int(status_of(int(name))[STARTED]) - began <= FIRST_TICKS:
                    first.add(int(name))
    return first


def living(keep: set[int]) -> list[int]:
    """Processes that are not dead, but those to keep."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in keep:
            with contextlib.suppress(OSError):
                if status_of(int(name))[0] not in "ZX":
                    found.append(int(name))
    return found


def signal_all(number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(-1, number)


def status_of(pid: int) -> list[str]:
    """What the kernel tells of a process, from its state letter on: the letter, the parent, ..."""
    with open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()


def clear(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def write(logs: str, name: str, value: Any) -> None:
    path = os.path.join(logs, name)
    temporary = tempfile.NamedTemporaryFile("w", dir=logs, prefix=".grade-", delete=False)
    with temporary as file:
        json.dump(value, file)
        file.write("\n")
    os.chmod(temporary.name, 0o644)
    if os.path.isdir(path):
        clear(path)
    os.replace(temporary.name, path)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
