"""Scoring and asking of replay steps: `.venv/bin/python benchmarks/replay.py`.

Scoring beside the published rules written down directly, over steps of realistic size: one to eight commands each, now
and then a here-document, predictions that are equal, near or other. The direct rules are given the first tenth of them;
that is slow enough.

Asking in the order of `synth replay run` beside shuffled order, in vLLM with a tiny model: how much of the prompts the
prefix cache holds when it has room for a part of the trajectories alone, as on any large set. It needs `make student`.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import vllm_server
from tests.trajectories.replay import direct
from trajectories.replay import vllm_worker
from trajectories.replay.answer import read_answer
from trajectories.replay.build import write_steps
from trajectories.replay.conversations import read_conversations
from trajectories.replay.progress import in_order
from trajectories.replay.score import aggregate, score_step
from trajectories.replay.step import Step, read_steps
from trajectories.template import load_student_template
from trajectories.worker import run_worker, student_python

STEPS = 10_000
RECORDED = Path(__file__).parents[1] / "tests/student/trajectories.jsonl"
CACHE_TOKENS = 8192
"""Room in the cache; the recorded trajectories together take several times as much."""
BLOCK = 128
"""Tokens of a cache block of vLLM on a CPU."""
PROGRAMS = (
    "ls -la",
    "cat",
    "grep -rn",
    "sed -n 1,40p",
    "python3 -m pytest -q",
    "git log --oneline -n 5",
    "head -20",
    "find . -name",
)
PLACES = (
    "/app/src/main.py",
    "/srv/data/orders.csv",
    "/etc/nginx/nginx.conf",
    "tests/test_api.py",
    "README.md",
    "build/",
)


def command(rng: Random) -> str:
    """A line as an agent types it; one in fifty writes a file of up to 300 lines."""
    if rng.random() < 0.02:
        lines = "".join(
            f"value_{rng.randrange(999)} = compute({n}, {rng.randrange(99)})\n" for n in range(rng.randrange(40, 300))
        )
        return f"cat > /app/new_{rng.randrange(9)}.py <<'EOF'\n{lines}EOF\n"
    return f"{rng.choice(PROGRAMS)} {rng.choice(PLACES)} 2>&1 | head -n {rng.randrange(5, 60)}\n"


def answer(commands: list[str]) -> str:
    """A whole Terminus answer."""
    typed = [{"keystrokes": one, "duration": 0.1} for one in commands]
    return json.dumps(
        {"analysis": "What the screen shows. " * 12, "plan": "Go on.", "commands": typed, "task_complete": False}
    )


def scoring() -> None:
    """Score all steps both ways and print the times and whether the scores agree."""
    rng = Random(0)
    steps, texts = [], []
    for number in range(STEPS):
        wanted = [command(rng) for _ in range(rng.randint(1, 8))]
        said = [one if rng.random() < 0.4 else command(rng) for one in wanted][: rng.randint(1, 8)]
        steps.append(Step(task_id=f"t{number // 20}", step_idx=number % 20, ref_raw=answer(wanted)))
        texts.append(answer(said))
    began = time.process_time()
    scores = [score_step(step, text) for step, text in zip(steps, texts, strict=True)]
    ours = time.process_time() - began
    began = time.process_time()
    found = aggregate(scores)
    summed = time.process_time() - began
    tenth = list(zip(steps, texts, strict=True))[: STEPS // 10]
    began = time.process_time()
    for step, text in tenth:
        score_step(step, text)
    ours_of_tenth = time.process_time() - began
    began = time.process_time()
    plain = [direct.scores(read_answer(text).units, read_answer(step.ref_raw).units) for step, text in tenth]
    theirs = time.process_time() - began
    same = all(round(one[3], 4) == score.command_f1 for one, score in zip(plain, scores, strict=False))
    print(f"{STEPS} steps, mean F1 {found['avg_command_f1']:.4f}")
    print(f"this scorer: {ours:.1f} s, and {summed:.1f} s for the aggregate with its intervals")
    print(
        f"the first {len(tenth)}: this scorer {ours_of_tenth:.1f} s, the rules direct {theirs:.1f} s; same F1: {same}"
    )


def asking() -> None:
    """Ask recorded steps in both orders and print the shares of cached prompt tokens."""
    if (reason := vllm_server.missing()) is not None:
        print(f"prefix cache: skipped: {reason}")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_steps(read_conversations(RECORDED)[0], folder / "steps.jsonl", Counter())
        steps = in_order(read_steps(folder / "steps.jsonl"))
        corpus = "\n".join(message["content"] for step in steps for message in step.messages[-1:])
        vllm_server.make_model(folder / "model", corpus)
        shuffled = list(steps)
        Random(0).shuffle(shuffled)
        for order, asked in (("grouped", steps), ("shuffled", shuffled)):
            answers, seconds = ask(asked, folder)
            prompts, cached = (sum(said[count] for said in answers) for count in ("prompt_tokens", "cached_tokens"))
            share = f"{100 * cached / prompts:.1f} % from a cache of {CACHE_TOKENS}"
            print(f"{order:<8} {len(answers)} steps, {prompts} prompt tokens, {share}; {seconds:.1f} s")


def ask(steps: Sequence[Step], folder: Path) -> tuple[list[dict[str, Any]], float]:
    """Ask steps in the given order, 4 at once; the answers, and the seconds that it took once the model was there."""
    template = load_student_template(str(folder / "model"))
    lines = [json.dumps({"key": step.key, "prompt": template.prompt(step.messages)}) for step in steps]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    answers: list[dict[str, Any]] = []
    times: list[float] = []

    def on_line(said: dict[str, Any]) -> None:
        times.append(time.monotonic())
        if "text" in said:
            answers.append(said)

    engine = {"max_model_len": 4096, "max_num_seqs": 4, "num_gpu_blocks_override": CACHE_TOKENS // BLOCK}
    settings = {
        "model": str(folder / "model"),
        "engine": {**engine, "block_size": BLOCK, "dtype": "float32"},
        "prompts": str(folder / "prompts.jsonl"),
        "sampling": {"temperature": 0.0, "max_tokens": 16},
        "end_of_turn": template.end_of_turn,
        "schema": None,
    }
    environment = {name: vllm_server.environment(folder)[name] for name in ("HF_HUB_OFFLINE", "VLLM_CPU_KVCACHE_SPACE")}
    run_worker(student_python(), Path(vllm_worker.__file__), settings, folder, on_line, environment)
    return answers, times[-1] - times[0]


if __name__ == "__main__":
    scoring()
    asking()
