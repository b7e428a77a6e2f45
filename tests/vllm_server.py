"""A real vLLM server on loopback with the tiny model, from the student environment; started, waited for, and ended."""

import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
STUDENT = ROOT / ".venv-student"
NAME = "tiny"
READY = "Application startup complete"
START_SECONDS = 600
"""On two idle cores it takes 20 to 40."""
STOP_SECONDS = 60


class NotStarted(Exception):
    """The server ended or took too long; the message is the end of its log."""


def missing() -> str | None:
    """Why there can be no server here, or None."""
    if not (STUDENT / "student-stamp").exists():
        return "there is no student environment (.venv-student); `make student` makes it"
    return None


def environment(cache: Path) -> dict[str, str]:
    """Nothing is looked up outside, nothing is reported, little memory is taken, and caches go where they are told."""
    own = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CACHE_ROOT": str(cache),
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**os.environ, **own, "PATH": f"{STUDENT / 'bin'}:{os.environ['PATH']}"}


def make_model(folder: Path, corpus: str, *vocabulary: int) -> None:
    """Write the tiny model of `tiny_model.py` into a folder; its tokenizer is trained on the corpus."""
    text = folder.with_suffix(".txt")
    text.write_text(corpus)
    script = [str(STUDENT / "bin/python"), str(ROOT / "tests/tiny_model.py"), str(folder), str(text)]
    script += map(str, vocabulary)
    made = subprocess.run(script, env=environment(folder), capture_output=True, text=True, check=False, timeout=300)
    assert made.returncode == 0, made.stderr[-3000:]


@contextmanager
def serving(model: Path, cache: Path, *more: str) -> Iterator[str]:
    """Serve a model under the name `NAME`.

    Args:
        model: its folder.
        cache: an empty folder.
        more: further arguments of `vllm serve`.

    Returns:
        The address up to and including `/v1`. Every process that was started has ended afterwards.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME, "--enforce-eager"]
    arguments += ["--dtype", "float32", "--max-model-len", "8192", "--max-num-seqs", "8", *more]
    process = subprocess.Popen(
        [str(STUDENT / "bin/vllm"), "serve", str(model), *arguments],
        env=environment(cache),
        cwd=cache,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    log: list[str] = []
    settled = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if READY in line:
                settled.set()
        settled.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        if not settled.wait(START_SECONDS) or process.poll() is not None or not any(READY in line for line in log):
            raise NotStarted("".join(log[-40:]))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _end(process)
        reader.join(STOP_SECONDS)


def _end(process: "subprocess.Popen[str]") -> None:
    """Ask it to end, which takes its children along; what is left of its group after a while is killed."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    if left := alive(process.pid):
        handles = [os.pidfd_open(each) for each in left]
        os.killpg(process.pid, signal.SIGKILL)
        for handle in handles:
            select.select([handle], [], [], STOP_SECONDS)
            os.close(handle)
    process.wait(STOP_SECONDS)
    assert not alive(process.pid)


def alive(group: int) -> list[int]:
    """Processes of a group that still run; the dead that nobody has buried yet do not."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue  # it ended while we looked
        if int(of_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found
