"""The runner of workers, with small scripts that this very interpreter executes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.vllm_server import alive
from trajectories.worker import StudentMissing, WorkerFailed, WorkerRefused, run_worker, student_python

PYTHON = Path(sys.executable)
VERSIONS = 'import json, sys\nprint(json.dumps({"versions": {"python": "3"}}))\n'


def script(folder: Path, text: str) -> Path:
    path = folder / "small_worker.py"
    path.write_text(text)
    return path


def ran(folder: Path, text: str, settings: dict[str, Any] | None = None) -> tuple[dict[str, str], list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    return run_worker(PYTHON, script(folder, text), settings or {}, folder, lines.append), lines


def test_it_is_given_settings_and_its_lines_come_as_they_are_said(tmp_path: Path) -> None:
    (tmp_path / "typing.py").write_text("raise SystemExit('a file beside the script was imported')\n")
    versions, lines = ran(
        tmp_path,
        VERSIONS
        + "import typing\n"
        + "given = json.load(open(sys.argv[1]))\n"
        + "print('a library prints this')\n"
        + "print('{ and this')\n"
        + "print(json.dumps({'twice': given['name'] * 2}))\n"
        + "print(json.dumps([1]))\n"
        + "print('and this, as a warning', file=sys.stderr)\n",
        {"name": "ä"},
    )
    assert versions == {"python": "3"}
    assert lines == [{"twice": "ää"}]
    log = (tmp_path / "small_worker.log").read_text()
    for words in ("a library prints this", "{ and this", "[1]", "and this, as a warning"):
        assert words in log


def test_a_worker_that_breaks_is_named_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"exit status 1: ValueError: the third page \(its log: .*small_worker\.log"):
        ran(tmp_path, VERSIONS + "raise ValueError('the third page')\n")
    with pytest.raises(WorkerFailed, match="signal 9"):
        ran(tmp_path, VERSIONS + "import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(WorkerFailed, match="exit status 0: it said nothing"):
        ran(tmp_path, "")


def test_a_refusal_is_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(WorkerRefused, match=r"^no end in sight$"):
        ran(tmp_path, VERSIONS + "print(json.dumps({'refused': 'no end in sight'}))\nsys.exit(4)\n")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudentMissing, match="has no no_such_package"):
        ran(tmp_path, VERSIONS + "import no_such_package.part\n")
    with pytest.raises(StudentMissing, match="nowhere/python: no interpreter"):
        student_python(Path("nowhere/python"))
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(StudentMissing, match="cannot be started"):
        run_worker(tmp_path / "text", script(tmp_path, ""), {}, tmp_path, print)
    assert student_python(PYTHON) == PYTHON.absolute()
    beside = tmp_path / "project/.venv-student/bin/python"
    beside.parent.mkdir(parents=True)
    beside.symlink_to(PYTHON)
    (tmp_path / "project/runs").mkdir()
    monkeypatch.chdir(tmp_path / "project/runs")
    assert student_python() == beside


def test_nothing_of_a_worker_is_left_when_its_caller_gives_up(tmp_path: Path) -> None:
    groups: list[int] = []

    def give_up(line: dict[str, Any]) -> None:
        groups.append(line["group"])
        raise RuntimeError("enough")

    long = (
        VERSIONS
        + "import os, subprocess, time\n"
        + "subprocess.Popen(['sleep', '600'])\n"
        + "print(json.dumps({'group': os.getpgid(0)}))\n"
        + "time.sleep(600)\n"
    )
    with pytest.raises(RuntimeError, match="enough"):
        run_worker(PYTHON, script(tmp_path, long), {}, tmp_path, give_up)
    assert len(groups) == 1
    assert alive(groups[0]) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_caller_ends_the_worker_first(tmp_path: Path, number: signal.Signals) -> None:
    script(
        tmp_path, VERSIONS + "import os, time\nprint(json.dumps({'pid': os.getpid()}), flush=True)\ntime.sleep(600)\n"
    )
    caller = tmp_path / "caller.py"
    caller.write_text(
        "import sys\nfrom pathlib import Path\nfrom trajectories.worker import run_worker\n"
        "here = Path(sys.argv[1])\n"
        "try:\n"
        "    worker = here / 'small_worker.py'\n"
        "    run_worker(Path(sys.executable), worker, {}, here, lambda line: print(line['pid'], flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(
        [sys.executable, str(caller), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert alive(worker) == [worker]
    process.send_signal(number)
    assert process.wait(60) == 130
    assert alive(worker) == []
    process.stdout.close()


def test_in_another_thread_it_runs_too(tmp_path: Path) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ran(tmp_path, VERSIONS)))
    thread.start()
    thread.join(60)
    assert found == [({"python": "3"}, [])]
