"""Tasks that tell nothing about a model: all of its trials solve them, or none does. Of the latter, why that may be."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from envs.certificate import CertificateVersionError, read_certificate

Label = Literal["too-easy", "unsolved", "varied", "ungraded"]
"""All graded trials passed, none did, some did, or there is none."""

Cause = Literal["infrastructure", "design-flaw", "too-hard"]

FROM_OUTSIDE = ("timeout", "session-closed")
"""Endings that the model did not choose."""


class Triage(BaseModel):
    """Where to look first; a suspicion with its reason, not a finding."""

    cause: Cause
    because: str
    """One line."""
    check: str | None = None
    """The one check that stood in the way of every trial."""


class Tried(NamedTuple):
    """What is looked at of one trial."""

    reward: float | None
    ended: str | None
    checks: dict[str, float]
    """Verdict of each check; empty where they are not known."""


def label_of(trials: Sequence[Tried]) -> Label:
    """How the graded trials of a task went."""
    passed = [trial.reward >= 1 for trial in trials if trial.reward is not None]
    if not passed:
        return "ungraded"
    return "too-easy" if all(passed) else "varied" if any(passed) else "unsolved"


def triage(trials: Sequence[Tried], unproven: str | None) -> Triage | None:
    """Why no trial of a task passed.

    In this order: trials without a reward are more than those with one, or all were ended from outside
    (`infrastructure`); all but one check passed in most trials and that one in none, though the model held the task to
    be complete, or nothing proves that the task can be solved (`design-flaw`); else it is `too-hard`.

    Args:
        trials: all that are over.
        unproven: why the task is not known to be solvable, see `unproven`; None where it is certified.

    Returns:
        None where a trial passed, or none is over.
    """
    if not trials or label_of(trials) not in ("unsolved", "ungraded"):
        return None
    graded = [trial for trial in trials if trial.reward is not None]
    broken = len(trials) - len(graded)
    if broken > len(graded):
        return Triage(cause="infrastructure", because=f"{broken} of {len(trials)} trials ended without a reward")
    if all(trial.ended in FROM_OUTSIDE for trial in graded):
        endings = ", ".join(sorted({str(trial.ended) for trial in graded}))
        return Triage(cause="infrastructure", because=f"every trial was ended from outside ({endings})")
    if check := _in_the_way(graded):
        return Triage(
            cause="design-flaw",
            because=f"{check} failed in every trial, while all others passed and the model held it to be complete",
            check=check,
        )
    if unproven is not None:
        return Triage(cause="design-flaw", because=f"nothing proves that it can be solved: {unproven}")
    return Triage(cause="too-hard", because=_how_far(graded))


def unproven(folder: Path, digest: str) -> str | None:
    """Why a task folder's certificate does not say that the task can be solved; None where it does.

    Args:
        folder: of the task.
        digest: of its files as they are now.
    """
    try:
        certificate = read_certificate(folder)
    except FileNotFoundError:
        return "it has no certificate"
    except (CertificateVersionError, ValidationError, ValueError, OSError):
        return "its certificate cannot be read, or is of another version"
    if certificate.digests.folder != digest:
        return "its certificate is stale, the files have changed since"
    return None if certificate.certified else "its certificate says that a gate failed"


def _in_the_way(graded: Sequence[Tried]) -> str | None:
    """The one check that failed in every trial, where most trials passed all others and held the task to be complete.

    One trial alone shows no pattern, and one check alone has no others.
    """
    names = {name for trial in graded for name in trial.checks}
    if len(graded) < 2 or len(names) < 2 or any(set(trial.checks) != names for trial in graded):
        return None
    always = [name for name in sorted(names) if all(trial.checks[name] < 1 for trial in graded)]
    if len(always) != 1:
        return None
    alone = sum(
        trial.ended == "complete" and all(of >= 1 for name, of in trial.checks.items() if name != always[0])
        for trial in graded
    )
    return always[0] if 2 * alone > len(graded) else None


def _how_far(graded: Sequence[Tried]) -> str:
    counts = Counter(str(trial.ended) for trial in graded)
    endings = ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
    known = [trial.checks for trial in graded if trial.checks]
    if not known:
        return f"ended: {endings}"
    passed = sum(sum(of >= 1 for of in checks.values()) for checks in known) / len(known)
    return f"ended: {endings}; {passed:.1f} of {max(map(len, known))} checks passed on average"
