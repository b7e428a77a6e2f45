"""Which part of an environment is at fault when a gate fails: one table, from what was seen to what is rewritten.

An environment has four parts that are written one after the other. A gate tells that something is wrong; where it is
wrong shows in how: a check that crashed is at fault itself, a check that was not met speaks against the solution.
"""

from dataclasses import dataclass

from envs.builder_settings import Part
from envs.certificate import Gate, GateResult
from envs.grading import VOID

PARTS: dict[str, tuple[Part, ...]] = {
    "build-broken": ("state",),
    "state-differs": ("state",),
    "nothing-passes": ("tests", "state"),
    "no-verdict": ("tests",),
    "flaky": ("solution", "tests"),
    "partial-passes": ("tests",),
    "wrong-passes": ("tests",),
    "alternative-fails": ("tests", "instruction", "solution"),  # the second one: it may be that one which is wrong
    "cheat-passes": ("tests",),
    "clock-dependent": ("tests", "solution"),
    "answer-leaked": ("state",),
    "unwritten-check": ("instruction", "tests"),
    "unchecked-demand": ("tests", "instruction"),
    "script-failed": ("solution", "state", "tests"),
    "check-crashed": ("tests", "solution", "state"),
    "check-unmet": ("solution", "tests", "state"),
    "no-solution": ("solution",),
}
"""Parts at fault, most likely first, by the reason of a rejection or, for `reference-fails` and `contract-broken`, by
what was seen."""

OF_THE_OUTPUT = ("FileNotFoundError", "NotADirectoryError", "JSONDecodeError", "UnicodeDecodeError")
"""Exceptions that tell of what a check looked at, though the check did not expect them."""


@dataclass(frozen=True)
class Finding:
    """What a gate found against an environment."""

    reason: str
    """Of the rejection, in kebab-case."""
    detail: str
    """One line for a person."""
    parts: tuple[Part, ...]
    """At fault, most likely first."""
    gate: Gate
    name: str = ""
    """Of the result that shows it."""


def finding(reason: str, detail: str, gate: Gate, name: str = "", seen: str = "") -> Finding:
    """A finding with its parts out of the table; `seen` where the reason alone does not tell them."""
    return Finding(reason, " ".join(detail.split())[:300], PARTS[seen or reason], gate, name)


def of_reference(results: list[GateResult]) -> Finding:
    """What failed repeats of the reference say: flaky, or wrong, and whose fault it is."""
    result = next(one for one in results if not one.passed)
    rewards = ", ".join("none" if one.reward is None else f"{one.reward:g}" for one in results)
    if any(one.passed for one in results):
        return finding("flaky", f"the reference scored {rewards} in {len(results)} runs", "reference", result.name)
    said = next(iter(result.messages.items()), None)
    why = f": {said[0]}: {said[1]}" if said else ""
    if result.exit_code:
        seen, why = "script-failed", f" and ended with exit code {result.exit_code}{why}"
    else:
        # Where grading was refused no check had a say: what the solution did is why.
        graded = result.checks or VOID in result.messages
        seen = "check-crashed" if any(map(crashed, result.messages.values())) or not graded else "check-unmet"
    return finding("reference-fails", f"the reference scored {rewards}{why}", "reference", result.name, seen)


def crashed(message: str) -> bool:
    """Whether a check's message tells of its own failure, such as `KeyError: 'x' (line 4)`, and of no assertion."""
    name, colon, _ = message.partition(":")
    return bool(colon) and name.isidentifier() and name.endswith(("Error", "Exception")) and name not in OF_THE_OUTPUT
