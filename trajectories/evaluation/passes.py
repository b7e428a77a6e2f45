"""How often a model passes: pass@k of a task and of a set, and how sure that is.

pass@k is the chance that at least one of k trials of a task passes. From n trials of which c passed it is estimated
without bias as 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, section 2.1). A set's pass@k is the mean
over its tasks. Two standard errors stand beside it, since two things vary: what the same model does when it is run
again (over runs), and which tasks were taken (over tasks).
"""

import math
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from judges.agreement import wilson
from trajectories.evaluation.triage import Label, Triage, Tried, label_of, triage
from trajectories.replay.score import interval


class TrialLine(BaseModel):
    """What came of one trial; a line of `trials.jsonl`."""

    task_id: str
    repeat: int
    """From 0; the trials of one repeat are one run over all tasks."""
    seed: int
    reward: float | None
    """None where the trial broke for a reason outside the model; that is never a reward of 0."""
    ended: str | None = None
    """Why the model stopped."""
    turns: int = 0
    checks: dict[str, float] = {}
    """The verifier's result of each check, by name; empty where it told none."""
    tokens: dict[str, int] = {}
    """`prompt`, `completion`, `cached`."""
    cost_usd: float | None = None
    """None when it is not known."""
    seconds: float = 0.0
    broken: int = 0
    """Earlier tries of this trial that broke for a reason outside the model."""
    failed: str | None = None
    """Why there is no reward; None where there is one."""

    @property
    def passed(self) -> bool:
        """Whether it earned the full reward."""
        return self.reward is not None and self.reward >= 1


class TaskFigures(BaseModel):
    """One task: how its trials went."""

    task_id: str
    domain: str = ""
    digest: str = ""
    """Of the task folder's files."""
    trials: int
    """Graded ones."""
    passed: int
    failed: int = 0
    """Trials without a reward, for reasons outside the model."""
    mean_reward: float | None
    pass_at_1: float | None
    """None where no trial was graded."""
    pass_at_1_interval: tuple[float, float] | None
    """95 %, by Wilson."""
    pass_at_k: float | None
    """None where fewer than k trials were graded."""
    pass_at_k_interval: tuple[float, float] | None
    """95 %: the ends of Wilson's interval for one trial, taken to k independent ones."""
    label: Label | None = None
    """None in results that were written before there were labels."""
    triage: Triage | None = None
    """Where to look first when no trial passed."""


class Estimate(BaseModel):
    """A figure over all tasks."""

    value: float | None
    """Mean over the tasks that have it; None where none has."""
    tasks: int
    """How many have it."""
    se_runs: float | None
    """Standard error over repeated runs, by the jackknife; for pass@1 it is the runs' standard deviation / sqrt(runs).
    None below two runs, or where k needs every run that there is."""
    se_tasks: float | None
    """Standard error over tasks: their standard deviation / sqrt(tasks). None below two tasks."""
    interval: tuple[float, float] | None
    """95 %, by bootstrap over tasks. None below two tasks, and where all fare alike, so that it would see no spread."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate of pass@k from `n` trials of which `c` passed.

    Raises:
        ValueError: not 0 <= c <= n, or not 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} cannot be estimated from {c} of {n} trials")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def task_figures(
    task_id: str,
    lines: Sequence[TrialLine],
    k: int,
    domain: str = "",
    digest: str = "",
    unproven: str | None = None,
) -> TaskFigures:
    """The figures of one task's trials.

    Args:
        task_id, domain, digest: of the task.
        lines: its trials that are over.
        k: of pass@k.
        unproven: why the task is not known to be solvable; None where it is certified.
    """
    rewards = [line.reward for line in lines if line.reward is not None]
    n, c = len(rewards), sum(line.passed for line in lines)
    ends = wilson(c, n) if n else None
    of_k = n >= k
    tried = [Tried(line.reward, line.ended, line.checks) for line in lines]
    return TaskFigures(
        task_id=task_id,
        domain=domain,
        digest=digest,
        trials=n,
        passed=c,
        failed=len(lines) - n,
        mean_reward=math.fsum(rewards) / n if n else None,
        pass_at_1=c / n if n else None,
        pass_at_1_interval=ends,
        pass_at_k=pass_at_k(n, c, k) if of_k else None,
        pass_at_k_interval=(_of_k(ends[0], k), _of_k(ends[1], k)) if of_k and ends else None,
        label=label_of(tried),
        triage=triage(tried, unproven),
    )


def runs(lines: Sequence[TrialLine]) -> dict[int, float]:
    """pass@1 of each run by repeat: the share of its graded trials that passed."""
    graded: dict[int, list[bool]] = {}
    for line in lines:
        if line.reward is not None:
            graded.setdefault(line.repeat, []).append(line.passed)
    return {repeat: sum(passed) / len(passed) for repeat, passed in sorted(graded.items())}


def estimate(lines: Sequence[TrialLine], k: int) -> Estimate:
    """pass@k over all tasks, with both standard errors."""
    by_task: dict[str, dict[int, bool]] = {}
    for line in lines:
        if line.reward is not None:
            by_task.setdefault(line.task_id, {})[line.repeat] = line.passed
    values = _by_task(by_task, k)
    if not values:
        return Estimate(value=None, tasks=0, se_runs=None, se_tasks=None, interval=None)
    mean = _mean(values)
    several = len(values) > 1
    variance = math.fsum((value - mean) ** 2 for value in values.values()) / (len(values) - 1) if several else 0.0
    return Estimate(
        value=mean,
        tasks=len(values),
        se_runs=_jackknife({task: by_task[task] for task in values}, k),
        se_tasks=math.sqrt(variance / len(values)) if several else None,
        interval=interval([_Value(task_id=task, value=one) for task, one in values.items()], lambda one: one.value)
        if len(set(values.values())) > 1
        else None,
    )


class _Value(BaseModel):
    task_id: str
    value: float


def _by_task(by_task: Mapping[str, Mapping[int, bool]], k: int, without: int | None = None) -> dict[str, float]:
    """pass@k of each task that has enough trials, one run left out or none."""
    values = {}
    for task, passed in by_task.items():
        counted = [one for repeat, one in passed.items() if repeat != without]
        if len(counted) >= k:
            values[task] = pass_at_k(len(counted), sum(counted), k)
    return values


def _jackknife(by_task: Mapping[str, Mapping[int, bool]], k: int) -> float | None:
    repeats = sorted({repeat for passed in by_task.values() for repeat in passed})
    left = [_by_task(by_task, k, without=repeat) for repeat in repeats]
    if len(repeats) < 2 or any(len(values) < len(by_task) for values in left):
        return None
    means = [_mean(values) for values in left]
    middle = math.fsum(means) / len(means)
    return math.sqrt((len(means) - 1) / len(means) * math.fsum((mean - middle) ** 2 for mean in means))


def _mean(values: Mapping[str, float]) -> float:
    return math.fsum(values.values()) / len(values)


def _of_k(share: float, k: int) -> float:
    return float(1 - (1 - share) ** k)
