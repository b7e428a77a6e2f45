"""`synth eval`: how often a model passes, live."""

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from synth.cli.errors import BUDGET, DONE, INTERRUPTED, SHORT
from synth.evaluation import Evaluation, evaluate
from synth.settings import load
from taxonomy.task import Rejection
from trajectories.evaluation.passes import Estimate, TrialLine
from trajectories.evaluation.result import EvaluationResult

CODES = {"done": DONE, "short": SHORT, "interrupted": INTERRUPTED, "budget": BUDGET}

RUNS = 4
"""Trials of each task where the user does not say: one run is noise."""


class Lines:
    """Tells on stderr how it goes: a line for every trial that is over."""

    def began(self, stage: str) -> None:
        """See `synth.bookkeeping.Watch`, as for the next two: what they tell, the trial's own line tells better."""

    def ended(self, stage: str, rejection: Rejection | None) -> None:
        """See `began`."""

    def left(self, stage: str) -> None:
        """See `began`."""

    def say(self, line: str) -> None:
        """Something that a person should know."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def trial(self, line: TrialLine, over: int, of: int) -> None:
        """A trial is over."""
        how = f"failed: {line.failed}" if line.failed else f"reward {line.reward:g}, {line.ended}, {line.turns} turns"
        self.say(f"{over}/{of} {line.task_id} #{line.repeat}: {how}")


def evaluation(
    tasks: Sequence[Path],
    model: str,
    endpoint: str | None,
    key_env: str | None,
    k: int,
    repeats: int | None,
    out: Path | None,
    flags: Mapping[str, object],
    config: Path | None,
    as_json: bool,
) -> int:
    """Work on the evaluation and tell how it went; returns the exit code."""
    settings = load(flags, file=config)
    place = out or out_path(tasks, model)
    often = max(k, RUNS) if repeats is None else repeats
    asked = Evaluation(tuple(tasks), model, endpoint, key_env, k, often, place, settings)
    lines = Lines()
    result = asyncio.run(evaluate(asked, lines, os.environ, lines.trial))
    print(result.model_dump_json() if as_json else told(result, place))
    if result.ended == "interrupted":
        sys.stderr.write("synth: interrupted; the same command goes on from here.\n")
    return CODES[result.ended]


def out_path(tasks: Sequence[Path], model: str) -> Path:
    """The default folder: the same for the same tasks and model, so that an evaluation is found again."""
    paths = [path.resolve() for path in tasks]
    names = [path.parent.name if path.name == "tasks" else path.name for path in paths]
    return Path("evals") / re.sub(r"[^\w.+-]+", "-", f"{'+'.join(names)}-{model}")


def told(result: EvaluationResult, out: Path) -> str:
    """The figures for a person."""
    width = max(len(task.task_id) for task in result.tasks)
    lines = [f"{'task':<{width}} passed  pass@1 [95 %]          pass@{result.k} [95 %]          label"]
    for task in result.tasks:
        one = _share(task.pass_at_1, task.pass_at_1_interval)
        many = _share(task.pass_at_k, task.pass_at_k_interval)
        failed = f"  {task.failed} failed" if task.failed else ""
        counted = f"{task.task_id:<{width}} {task.passed:>2} of {task.trials:<2}"
        lines.append(f"{counted} {one:<22} {many:<22} {task.label or ''}{failed}".rstrip())
    lines += _triage(result)
    lines += ["", f"pass@1 {_estimate(result.pass_at_1)}"]
    if result.k > 1:
        lines.append(f"pass@{result.k} {_estimate(result.pass_at_k)}")
    lines.append("runs: " + ", ".join(f"{100 * share:.1f}" for share in result.runs.values()))
    cost = "unknown" if result.cost_usd is None else f"${result.cost_usd:.4f}"
    lines.append(f"{result.trials} trials graded, {result.failed} without a reward, {result.broken} made again; {cost}")
    lines += [f"left out: {path}: {why}" for path, why in result.unusable.items()]
    if result.ended == "short":
        lines.append("trials without a reward broke for reasons outside the model: the same command tries them again")
    if result.ended == "budget":
        lines.append("stopped at the budget: raise --max-cost and run the same command again")
    return "\n".join([*lines, f"results: {out}"])


def _triage(result: EvaluationResult) -> list[str]:
    """What tells nothing about the model, and why that may be."""
    labels = Counter(task.label for task in result.tasks if task.label)
    found = ["", "tasks: " + ", ".join(f"{count} {label}" for label, count in labels.most_common())]
    for task in result.tasks:
        if task.triage is not None:
            found.append(f"{task.label}: {task.task_id}: {task.triage.cause}? {task.triage.because}")
    return found


def _share(value: float | None, ends: tuple[float, float] | None) -> str:
    if value is None or ends is None:
        return "-"
    return f"{value:.3f}  [{ends[0]:.3f}, {ends[1]:.3f}]"


def _estimate(found: Estimate) -> str:
    if found.value is None:
        return "-: too few graded trials"
    runs = "-" if found.se_runs is None else f"{100 * found.se_runs:.1f}"
    tasks = "-" if found.se_tasks is None else f"{100 * found.se_tasks:.1f}"
    ends = "" if found.interval is None else f", 95 % {100 * found.interval[0]:.1f} to {100 * found.interval[1]:.1f}"
    return f"{100 * found.value:.1f} %  (standard error {runs} over runs, {tasks} over {found.tasks} tasks{ends})"
