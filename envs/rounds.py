"""Rounds of repair: what one was about, and which part the next one rewrites."""

from collections.abc import Sequence
from dataclasses import dataclass

from envs.builder_settings import PARTS, Part
from taxonomy.task import Rejection

UNWORKABLE = "state-unworkable"
"""Reason of a solver that finds no script to be of use on a state."""


@dataclass(frozen=True)
class Round:
    """One round of repair that was made."""

    round: int
    """From 1."""
    part: Part
    """What was rewritten."""
    reason: str
    """Why: the reason of the gates' rejection."""
    detail: str
    outcome: str = ""
    """Empty where the part was rewritten; else the reason why it could not be."""
    seconds: float = 0.0


def part_at_fault(rejection: Rejection, earlier: Sequence[Round]) -> Part:
    """Which part to rewrite next.

    The state where the solver of the last round found that no script can work on it. Else the first that the gates
    name; where the same reason comes again although that was rewritten, the next one, and after the last the first.

    Args:
        rejection: of stage `gates`; its evidence has the `parts` at fault, most likely first.
        earlier: the rounds so far.
    """
    if earlier and earlier[-1].outcome == UNWORKABLE:
        return "state"
    named = rejection.evidence.get("parts")
    parts: list[Part] = [part for part in named if part in PARTS] if isinstance(named, list) else []
    parts = parts or ["tests"]
    tried = sum(one.reason == rejection.reason for one in earlier)
    return parts[tried % len(parts)]
