"""What state-equivalence found: a line for each step, and the shares with their intervals.

Both lie in the folder of the replay result whose answers were executed: `equivalence.jsonl` grows while steps are
executed, `equivalence.json` has the figures.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from trajectories.record import write_text
from trajectories.replay.result import ResultError
from trajectories.replay.score import interval
from trajectories.replay.step import StepsError, read_lines

ROWS, FIGURES = "equivalence.jsonl", "equivalence.json"
SHOWN = 50
"""Paths that a line holds at most."""


class StepEquivalence(BaseModel):
    """What became of one step's command, beside the teacher's."""

    task_id: str
    sample_idx: int
    step_idx: int
    answer: str
    """`answer_digest` of the text that was executed."""
    outcome: Literal["same", "differs", "unreadable", "broken"]
    """`unreadable`: no command can be read from the answer. `broken`: the step could not be executed, for a reason
    outside the answer; such a step is in no share."""
    same_files: bool = False
    """The file systems are the same, whatever the shells are."""
    changes: bool = False
    """The teacher's command changed anything at all."""
    same_keys: bool = False
    """Both typed the same, so that the teacher's second run stands for the answer's."""
    files: list[str] = []
    """Paths that differ, `SHOWN` at most."""
    shell: list[str] = []
    """What differs besides: working directory, exported variables, the program in front, processes."""
    unstable: list[str] = []
    """Paths that differ between two runs of the teacher's own command, and are left out."""
    detail: str | None = None
    """Why it is broken."""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, int, int]:
        """That of the step."""
        return self.task_id, self.sample_idx, self.step_idx


def answer_digest(text: str | None) -> str:
    """Names an answer, so that a line about another answer to the same step is not taken for this one's."""
    return hashlib.sha256((text or "").encode(errors="surrogatepass")).hexdigest()[:16]


def figures(rows: Sequence[StepEquivalence], skipped: Mapping[str, int]) -> dict[str, Any]:
    """The shares over all steps that were executed, in percent, with 95 % intervals by bootstrap over tasks.

    Args:
        rows: of the chosen steps.
        skipped: steps that could not be chosen, by reason.
    """
    whole = [row for row in rows if row.outcome != "broken"]
    changing = [row for row in whole if row.changes]

    def pct(chosen: Sequence[StepEquivalence], value: Callable[[StepEquivalence], bool]) -> float | None:
        return round(100 * sum(map(value, chosen)) / len(chosen), 1) if chosen else None

    def ends(chosen: Sequence[StepEquivalence]) -> list[float] | None:
        return [round(100 * end, 1) for end in interval(chosen, lambda row: float(_same(row)))] if chosen else None

    return {
        "schema_version": 1,
        "steps": len(whole),
        "tasks": len({row.task_id for row in whole}),
        "equivalent_pct": pct(whole, _same),
        "equivalent_interval": ends(whole),
        "same_files_pct": pct(whole, lambda row: row.same_files),
        "changing_steps": len(changing),
        "changing_equivalent_pct": pct(changing, _same),
        "changing_equivalent_interval": ends(changing),
        "unreadable": sum(row.outcome == "unreadable" for row in whole),
        "broken": dict(sorted(Counter(str(row.detail) for row in rows if row.outcome == "broken").items())),
        "skipped": dict(sorted(skipped.items())),
    }


def read_rows(folder: Path) -> list[StepEquivalence]:
    """The lines that earlier goes left; a torn last one is owed again.

    Raises:
        ResultError: another line is none.
    """
    path = folder / ROWS
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_text(path, whole)
    try:
        return [StepEquivalence.model_validate(row) for _, row in read_lines(path)]
    except (StepsError, ValidationError) as error:
        raise ResultError(f"{path}: {' '.join(str(error).split())[:200]}") from None


def add_row(row: StepEquivalence, folder: Path) -> None:
    """Append a line."""
    with (folder / ROWS).open("a", encoding="utf-8") as file:
        file.write(row.model_dump_json() + "\n")


def save(rows: Sequence[StepEquivalence], found: Mapping[str, Any], folder: Path) -> None:
    """Write the lines anew, sorted, and the figures."""
    ordered = sorted(rows, key=lambda row: row.key)
    write_text(folder / ROWS, "".join(f"{row.model_dump_json()}\n" for row in ordered))
    write_text(folder / FIGURES, json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def read_equivalence(folder: Path) -> dict[str, Any] | None:
    """The figures of a folder; None where it has none.

    Raises:
        ResultError: they cannot be read.
    """
    path = folder / FIGURES
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: {error}") from None
    if not isinstance(found, dict) or found.get("schema_version") != 1:
        raise ResultError(f"{path}: no figures of state-equivalence of version 1")
    return found


def _same(row: StepEquivalence) -> bool:
    return row.outcome == "same"
