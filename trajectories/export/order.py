"""What an export is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROWS = ("messages", "sharegpt", "prompt-completion", "preference", "world-model")
"""Formats that are a file of rows; each is a configuration for `datasets`."""
FOLDERS = ("harbor", "atif")
"""Formats that are a folder with a folder or a file for each item."""
DEFAULT = ("messages", "sharegpt")


class ExportError(ValueError):
    """An export that cannot be made as asked for: one line that says what is wrong."""


def parse_formats(given: Iterable[str]) -> tuple[str, ...]:
    """Formats from what was given, several in one with commas; `all` is every one, nothing is the default.

    Raises:
        ExportError: there is no such format.
    """
    names = [name for part in given for name in part.replace(",", " ").split()]
    known = (*ROWS, *FOLDERS)
    for name in names:
        if name not in (*known, "all"):
            raise ExportError(f"--format {name}: there is no such format; known are {', '.join(known)} and all")
    if not names:
        return DEFAULT
    return tuple(name for name in known if name in names or "all" in names)


@dataclass(frozen=True)
class Order:
    """Which formats, and from what besides the accepted trajectories."""

    formats: Sequence[str] = DEFAULT
    """Of `ROWS` and `FOLDERS`; the first that has rows is the default configuration."""
    others: Mapping[str, Path] = field(default_factory=dict)
    """Graded trajectories that are not accepted: `trajectory.json` by id. Preference pairs are made with them."""
    tasks: Mapping[str, Path] = field(default_factory=dict)
    """Proven task folders by task id: the Harbor dataset, and what the split looks at."""
    held_out: float = 0.0
    """Share of the families, by hash, whose rows go into the split `held_out`; 0 is no split."""
    against: Sequence[Path] = ()
    """Other sets that the report on overlap compares with."""

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise ExportError(f"--held-out {self.held_out:g}: is a share of the families, at least 0 and below 1")
