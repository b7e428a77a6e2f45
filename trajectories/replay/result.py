"""A replay result: a folder with what a student answered, how each answer scores, and under which conditions.

`predictions.jsonl` holds the answers in the order in which they came, `per_step.jsonl` a score for each step of the set
in the set's order, and `result.json` the rest; it is written last, so a folder without it is a replay that is not over.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from trajectories.record import write_text
from trajectories.replay.score import StepScore
from trajectories.replay.step import StepsError, read_lines
from trajectories.template import Audit

RESULT, SCORES, PREDICTIONS = "result.json", "per_step.jsonl", "predictions.jsonl"


class ResultError(ValueError):
    """A folder that holds no replay result that can be read: one line that says where and what."""


class Prediction(BaseModel):
    """What a student answered to one step."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    sample_idx: int
    step_idx: int
    text: str
    prompt_tokens: int | None = None
    """As whoever ran the model counted them; None where it did not say. The same holds for the next two."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    """The part of `prompt_tokens` that came from the prefix cache."""
    finish_reason: str | None = None
    """`stop`, or `length` where the answer was cut off at the limit."""
    seconds: float | None = None
    """From the request to its answer, where each step was a request of its own."""

    @property
    def key(self) -> tuple[str, int, int]:
        """That of the step."""
        return self.task_id, self.sample_idx, self.step_idx


class ReplayResult(BaseModel):
    """All that is known of a replay but the answers and the scores of single steps."""

    schema_version: Literal[1] = 1
    student: str
    """The name that it goes by."""
    backend: Literal["vllm", "endpoint"]
    versions: dict[str, str]
    """Of what ran: names of packages and their versions."""
    steps_sha256: str
    """`step.digest` of the step set."""
    audit: Audit
    sampling: dict[str, JsonValue]
    """Every setting that bears on the answers, by name."""
    skipped: dict[str, int]
    """Steps without an answer, by reason: `too-long`, `failed`. They score 0 in `aggregate`."""
    load_seconds: float | None
    """Loading the model; None over an endpoint."""
    seconds_per_step: float | None
    """Wall time of asking divided by the steps that were answered; None where nothing was."""
    cache_hit_rate: float | None
    """Cached prompt tokens divided by all prompt tokens; None where nobody counted them."""
    rank_eligible: bool
    rank_reasons: list[str]
    """Why it is not ranked; empty where it is."""
    training: dict[str, JsonValue] = {}
    """What the checkpoint says of its training - `audit`, `base`, `data` - where it is one of ours."""
    aggregate: dict[str, Any]
    """As `score.aggregate` makes it, over the whole step set."""


def save(result: ReplayResult, scores: Sequence[StepScore], folder: Path) -> None:
    """Write `per_step.jsonl`, then `result.json`, each whole or not at all."""
    lines = [json.dumps(score.model_dump(), ensure_ascii=False) + "\n" for score in scores]
    write_text(folder / SCORES, "".join(lines))
    write_text(folder / RESULT, json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n")


def load(folder: Path) -> ReplayResult:
    """Read `result.json`.

    Raises:
        ResultError: it is missing, or is no result of this version.
    """
    path = folder / RESULT
    try:
        return ReplayResult.model_validate_json(path.read_bytes())
    except OSError as error:
        why = "holds no replay result" if folder.is_dir() else "there is no such folder"
        raise ResultError(f"{folder}: {why} ({RESULT}: {error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ResultError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def load_scores(folder: Path) -> list[StepScore]:
    """Read `per_step.jsonl`: a score for each step of the set, in the set's order.

    Raises:
        ResultError: it cannot be read, or a line is no score.
    """
    path = folder / SCORES
    try:
        return [StepScore.model_validate(row) for _, row in read_lines(path)]
    except StepsError as error:
        raise ResultError(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ResultError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
