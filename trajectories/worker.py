"""Runs a worker: a small script that the student's Python executes, apart from the factory's own environment.

A worker imports nothing of ours. It is given one JSON file of settings, writes one JSON object a line to its standard
output - the first is `{"versions": {...}}` - and whatever else it or its libraries say goes to a log file. It refuses
its work with a line `{"refused": "why"}`.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trajectories.record import write_text

_BESIDE = Path(".venv-student/bin/python")
_GRACE_SECONDS = 10.0
_NO_MODULE = "ModuleNotFoundError: No module named "


class StudentMissing(Exception):
    """There is no interpreter for the student's work, or it lacks a package. One line that names it."""


class WorkerFailed(Exception):
    """A worker ended before its work was done. One line: the last one of its log, and where that log is."""


class WorkerRefused(Exception):
    """A worker looked at what it was given and will not do it. One line that says why."""


def student_python(given: Path | None = None) -> Path:
    """The interpreter that has vLLM and TRL.

    Args:
        given: the user's own; by default `.venv-student` in the working directory or above it, or beside this package.

    Raises:
        StudentMissing: there is none.
    """
    if given is not None:
        path = given.expanduser()
        if path.is_file() and os.access(path, os.X_OK):
            return path.absolute()
        raise StudentMissing(f"{given}: no interpreter")
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).absolute().parent.parent):
        if os.access(folder / _BESIDE, os.X_OK):
            return folder / _BESIDE
    raise StudentMissing(f"no student environment: there is no {_BESIDE} here")


def run_worker(
    python: Path,
    script: Path,
    settings: Mapping[str, Any],
    folder: Path,
    on_line: Callable[[dict[str, Any]], None],
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Run a worker to its end.

    When the caller is interrupted (Ctrl-C, SIGTERM), or `on_line` raises, the worker and every process that it started
    are ended first.

    Args:
        python: the interpreter; see `student_python`.
        script: the worker's file; `NAME.py` leaves `NAME.json` (the settings) and `NAME.log` in the folder.
        settings: what the worker reads; anything that JSON can hold.
        folder: an existing folder.
        on_line: called with each JSON object that follows the versions, as it comes.
        environment: variables set on top of the caller's own.

    Returns:
        The versions that the worker said first, by name.

    Raises:
        StudentMissing: the interpreter does not start, or a package is not installed in it.
        WorkerFailed: the worker ended with another exit status than 0, or said nothing.
        WorkerRefused: the worker refused.
    """
    given = folder / f"{script.stem}.json"
    write_text(given, json.dumps(settings, ensure_ascii=False, indent=1) + "\n")
    log = folder / f"{script.stem}.log"
    versions: dict[str, str] | None = None
    with _terminable(), log.open("w", encoding="utf-8") as errors:
        process = _started(python, script, given, errors, environment or {})
        try:
            for line in process.stdout or ():
                said = _said(line)
                if said is None:
                    errors.write(line)
                    errors.flush()
                elif versions is None and "versions" in said:
                    versions = dict(said["versions"])
                elif "refused" in said:
                    raise WorkerRefused(str(said["refused"]))
                else:
                    on_line(said)
            status = process.wait()
        finally:
            _end(process)
    if status != 0 or versions is None:
        raise _failure(python, script, status, log)
    return versions


@contextmanager
def _terminable() -> Iterator[None]:
    """A request to end us ends the worker too: it is taken as an interrupt, as Ctrl-C is.

    Also where we were started with interrupts ignored, as a shell starts what it puts into the background.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's business
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(
    python: Path, script: Path, given: Path, errors: Any, environment: Mapping[str, str]
) -> "subprocess.Popen[str]":
    own = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",  # some packages call their own programs
        "PYTHONSAFEPATH": "1",  # files beside the script are not modules for its libraries to find
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        return subprocess.Popen(
            [str(python), str(script.absolute()), str(given.absolute())],
            env={**inherited, **own, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise StudentMissing(f"{python} cannot be started: {error.strerror or error}") from error


def _said(line: str) -> dict[str, Any] | None:
    """A JSON object, or None for any other line: libraries print too."""
    if not line.startswith("{"):
        return None
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _failure(python: Path, script: Path, status: int, log: Path) -> Exception:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if last.startswith(_NO_MODULE):
        return StudentMissing(f"{python} has no {last.removeprefix(_NO_MODULE).strip(chr(39))}")
    how = f"exit status {status}" if status >= 0 else f"signal {-status}"
    return WorkerFailed(f"the {script.stem} worker ended with {how}: {last[:300]} (its log: {log})")


def _end(process: "subprocess.Popen[str]") -> None:
    """Ask the worker's whole group to end; what is left of it after a while is killed."""
    for sign, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    if process.stdout is not None:
        process.stdout.close()
