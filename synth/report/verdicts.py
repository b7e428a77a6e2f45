"""What became of the tasks that a run's judges let through: the verdict against executed solvability.

A task that is turned away is not built, so a run alone tells the precision of "feasible" and never its recall. The
recall can be estimated where a share of what was turned away was built all the same (`judge.audit`).
"""

from pathlib import Path

from pydantic import BaseModel

from judges.agreement import Interval, Share, share
from judges.verdict import Judgement
from synth.ledger import Ledger


class Outcomes(BaseModel):
    """What became of one group of tasks."""

    judged: int
    built: int
    """Those of which the gates have said certified or not, or the builder that it cannot be built."""
    certified: Share
    """Of the built ones, those that passed every gate."""
    solved: Share
    """Of the certified ones with a graded trial, those that some trial solved."""


class Executed(BaseModel):
    """A run's verdicts against execution."""

    run: str
    passed: Outcomes
    """Found feasible. The share that is certified is the precision of the verdict, as far as the builder is able: what
    it fails to build counts against the verdict, too."""
    audited: Outcomes
    """Found infeasible and built all the same."""
    turned_away: int
    """Found infeasible, the audited ones among them; not what drifted or had no valid verdict."""
    lost: float | None
    """Estimated number of certified environments that the judges cost: certified share of the audited x turned away.
    None where nothing was audited."""
    recall: float | None
    """Estimated share of the tasks that would be certified which the judges let through; None likewise, and where
    nothing was certified at all."""
    recall_interval: Interval | None
    """95 %, as far as the number of audited tasks goes."""


def executed(run: Path, ledger: Ledger) -> Executed:
    """Count a run's verdicts and what came of them."""
    passed: list[str] = []
    audited: list[str] = []
    away = 0
    for row in ledger.rows(stage="judge"):
        if row.status == "done":
            (audited if Judgement.model_validate(row.data).audited else passed).append(row.item)
        away += row.status == "rejected" and (row.reason or "").startswith("infeasible-")
    ours, theirs = _outcomes(passed, ledger), _outcomes(audited, ledger)
    away += len(audited)
    lost = None if theirs.certified.value is None else theirs.certified.value * away
    kept, rate = ours.certified.count, theirs.certified.interval

    def recall(lost_share: float) -> float | None:
        return kept / (kept + lost_share * away) if kept + lost_share * away else None

    ends = None if rate is None else (recall(rate[1]), recall(rate[0]))
    return Executed(
        run=str(run),
        passed=ours,
        audited=theirs,
        turned_away=away,
        lost=lost,
        recall=None if theirs.certified.value is None else recall(theirs.certified.value),
        recall_interval=None if ends is None or ends[0] is None or ends[1] is None else (ends[0], ends[1]),
    )


def _outcomes(tasks: list[str], ledger: Ledger) -> Outcomes:
    built = certified = tried = solved = 0
    for task in tasks:
        rows = [row for stage in ("build", "gates") if (row := ledger.get(task, stage)) is not None]
        proven = any(row.stage == "gates" and row.status == "done" for row in rows)
        built += proven or any(row.status == "rejected" for row in rows)
        certified += proven
        rewards = [
            reward
            for row in ledger.rows(stage="rollout", parent=task, status="done")
            if isinstance(reward := row.data.get("reward"), int | float)
        ]
        tried += proven and bool(rewards)
        solved += proven and any(reward >= 1 for reward in rewards)
    return Outcomes(judged=len(tasks), built=built, certified=share(certified, built), solved=share(solved, tried))
