"""Train and held-out, by family and never by row.

The hash of a family's name alone decides on which side all of it lies. So a family never changes sides when rows are
added, whatever run they come from, and a larger share keeps what a smaller one held out. A task for training that is
nearly one that is held out, although of another family, goes to neither side.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from trajectories.export.members import Member
from trajectories.export.order import ExportError
from trajectories.export.overlap import THRESHOLD, near

Side = Literal["train", "held_out"]
SIDES: tuple[Side, ...] = ("train", "held_out")


@dataclass(frozen=True)
class Split:
    """Where each task lies."""

    share: float
    """Of the families; 0 is no split."""
    sides: Mapping[str, Side]
    """By task id."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """Tasks on neither side: the held-out task that each nearly is, by task id."""

    def side(self, task_id: str) -> Side | None:
        """Where a task lies; None for one that is withheld."""
        return self.sides.get(task_id)


def lot(family: str) -> float:
    """Where a family lies between 0 and 1; below the share it is held out."""
    return int.from_bytes(hashlib.sha256(f"held out: {family}".encode()).digest()[:8], "big") / 2**64


def split(members: Iterable[Member], share: float) -> Split:
    """Put every task on a side.

    Args:
        members: tasks with ids and families.
        share: of the families that is held out, at least 0 and below 1.

    Raises:
        ExportError: all families fall on one side, so that there is no split; it says which shares make one.
    """
    known = {member.task_id: member for member in members if member.task_id is not None}
    if not share or not known:
        return Split(share, dict.fromkeys(sorted(known), "train"))
    lots = {task: lot(member.family or task) for task, member in known.items()}
    out = {task: known[task] for task in lots if lots[task] < share}
    rest = {task: known[task] for task in lots if task not in out}
    if not out or not rest:
        places = sorted({round(place, 4) for place in lots.values()})
        shares = f"shares above {places[0]} up to {places[-1]} make one" if len(places) > 1 else "there is but one"
        raise ExportError(
            f"--held-out {share:g}: leaves {'nothing held out' if rest else 'nothing to train on'}, because families go"
            f" whole ({len(places)} of them here: {shares})"
        )
    withheld = {ours: theirs for ours, theirs, _ in near(rest, out, THRESHOLD)}
    withheld.update({ours: theirs for theirs, ours in _twins(out, rest)})
    sides: dict[str, Side] = {
        task: "held_out" if task in out else "train" for task in sorted(known) if task not in withheld
    }
    return Split(share, sides, dict(sorted(withheld.items())))


def _twins(out: Mapping[str, Member], rest: Mapping[str, Member]) -> Iterable[tuple[str, str]]:
    """Held-out tasks and tasks of the other side with the same words."""
    by_text = {member.text_hash: task for task, member in out.items()}
    return [(by_text[member.text_hash], task) for task, member in rest.items() if member.text_hash in by_text]
