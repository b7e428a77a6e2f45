"""Steps: one replay question each - all messages so far, and the teacher's next action as the reference."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trajectories.replay.answer import read_answer


class StepsError(ValueError):
    """A file of steps or predictions that cannot be used: one line that says where and what."""


class Step(BaseModel):
    """One question. The fields are those of the published step files; further fields of a file are kept."""

    model_config = ConfigDict(extra="allow")

    task_id: str
    step_idx: int
    """From 0 within a trajectory."""
    ref_raw: str
    """What the teacher answered, to the letter."""
    sample_idx: int = 0
    """Which trajectory of the task."""
    total_steps: int | None = None
    source: str = ""
    source_group: str = ""
    messages: list[dict[str, Any]] = []
    """The whole conversation up to the question."""
    domain: str = ""
    """Empty where it is not known, as the next ones."""
    topic: str = ""
    scaffold: str = ""
    """Name and version of the program around the teacher."""
    trajectory: str = ""
    """Id of the row or record that it was made from."""
    run: str = ""
    """Name of the run or file that holds the trajectory."""

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from other steps: task, sample, place."""
        return self.task_id, self.sample_idx, self.step_idx


def bucket(step_idx: int) -> str:
    """Where in a trajectory a step lies: `early` (0 and 1), `mid` (2 to 4) or `late`."""
    return "early" if step_idx <= 1 else "mid" if step_idx <= 4 else "late"


def position(step_idx: int) -> str:
    """Where in a trajectory a step lies, finer than `bucket`: its index up to 9, then tens: `10-19`, `20-29`, ..."""
    if step_idx < 10:
        return str(step_idx)
    tens = step_idx // 10 * 10
    return f"{tens}-{tens + 9}"


def read_steps(path: Path) -> list[Step]:
    """Read a JSONL file of steps.

    Raises:
        StepsError: it cannot be read, a line is no step, or a step is there twice.
    """
    steps: dict[tuple[str, int, int], Step] = {}
    for number, row in read_lines(path):
        try:
            step = Step.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise StepsError(f"{path}: line {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if steps.setdefault(step.key, step) is not step:
            raise StepsError(f"{path}: line {number}: step {step.key} is there twice")
    if not steps:
        raise StepsError(f"{path}: holds no step")
    return list(steps.values())


def read_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and object of every line of a JSONL file that is not blank.

    Raises:
        StepsError: it cannot be read, or a line is no JSON object.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError:
                    raise StepsError(f"{path}: line {number}: not JSON") from None
                if not isinstance(row, dict):
                    raise StepsError(f"{path}: line {number}: not an object")
                yield number, row
    except (OSError, UnicodeDecodeError) as error:
        raise StepsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def digest(steps: Iterable[Step]) -> str:
    """SHA-256 of a set of steps: what is asked and what is expected, in the file's order.

    Results on sets of different digests are not comparable.
    """
    hashed = hashlib.sha256()
    for step in steps:
        asked = [*step.key, step.ref_raw, [(m.get("role"), m.get("content")) for m in step.messages]]
        hashed.update(json.dumps(asked, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
    return hashed.hexdigest()


def usable(steps: Sequence[Step]) -> tuple[list[Step], dict[str, int]]:
    """The steps whose reference can be scored against, and how many were left out by reason.

    A reference that is no JSON (`bad-reference`) or has no command unit (`no-commands`) scores 0 whatever is predicted.
    """
    kept: list[Step] = []
    dropped: dict[str, int] = {}
    for step in steps:
        answer = read_answer(step.ref_raw)
        reason = "bad-reference" if not answer.valid_json else "no-commands" if not answer.units else None
        if reason is None:
            kept.append(step)
        else:
            dropped[reason] = dropped.get(reason, 0) + 1
    return kept, dropped
