"""What a replay has so far, on disk: what was asked for, every answer as it came, every step that was set aside.

A replay that was stopped goes on from here. Answers to another step set, or made with other settings, are not mixed in:
the folder is refused, and the difference is named.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Self, TextIO

from pydantic import JsonValue, ValidationError

from trajectories.record import write_text
from trajectories.replay.result import PREDICTIONS, Prediction
from trajectories.replay.step import Step

_ASKED, _SET_ASIDE, _SESSIONS = "asked.json", "set_aside.jsonl", "sessions.jsonl"
TOO_LONG, FAILED = "too-long", "failed"
"""Why a step has no answer: its prompt does not fit, for good; or asking failed, and it is asked again next time."""


class ReplayMismatch(ValueError):
    """A folder holds answers that were asked for otherwise. One line that names the first difference."""


class Progress:
    """A replay's folder while it is worked on; a context, within which answers are written as they come."""

    def __init__(
        self,
        folder: Path,
        asked: Mapping[str, JsonValue],
        steps: Sequence[Step],
        watch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Open a folder, made if it is missing.

        Args:
            folder: a new one, or one in which the same was asked before.
            asked: everything that bears on the answers, by name.
            steps: of the set.
            watch: told how many steps are settled, each time one more is.

        Raises:
            ReplayMismatch: something else was asked there, or it holds something else.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReplayMismatch(f"{folder}: cannot be a result's folder: {error.strerror}") from None
        _check_asked(folder, asked)
        known = {step.key for step in steps}
        self.predictions: dict[tuple[str, int, int], Prediction] = {}
        for row in _whole_lines(folder / PREDICTIONS):
            try:
                prediction = Prediction.model_validate(row)
            except ValidationError:
                raise ReplayMismatch(f"{folder / PREDICTIONS}: holds a line that is no prediction") from None
            if prediction.key in known:
                self.predictions[prediction.key] = prediction
        self.too_long = {_key(row["key"]) for row in _whole_lines(folder / _SET_ASIDE)} & known
        self.failed: dict[tuple[str, int, int], str] = {}
        """Why, by step; only of this session."""
        self.owed = [
            step for step in in_order(steps) if step.key not in self.predictions | dict.fromkeys(self.too_long)
        ]
        """Steps that are still to be asked, those of one trajectory together and in their order."""
        self._watch = watch
        self._began: float | None = None
        self._last = 0.0
        self._session: dict[str, Any] = {"versions": {}}
        self._count = 0

    def __enter__(self) -> Self:
        self._answers: TextIO = (self.folder / PREDICTIONS).open("a", encoding="utf-8")
        self._set_aside: TextIO = (self.folder / _SET_ASIDE).open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._set_aside.close()
        if self._began is not None:
            self._session |= {"seconds": round(max(self._last - self._began, 0.0), 3), "answered": self._count}
            with (self.folder / _SESSIONS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._session) + "\n")

    def begun(self, load_seconds: float | None, max_model_len: int | None) -> None:
        """The student is ready, after so long and for so many tokens; what it is asked from now on is timed."""
        self._session |= {"load_seconds": load_seconds, "max_model_len": max_model_len}
        self._began = monotonic()

    def made_with(self, versions: Mapping[str, str]) -> None:
        """What ran, by name."""
        self._session["versions"] = {**self._session["versions"], **versions}

    def answered(self, prediction: Prediction) -> None:
        """Keep an answer."""
        self.predictions[prediction.key] = prediction
        self._count += 1
        self._last = monotonic()
        self._answers.write(prediction.model_dump_json() + "\n")
        self._answers.flush()
        self._watch(len(self.predictions) + len(self.too_long))

    def set_aside(self, key: tuple[str, int, int], prompt_tokens: int | None) -> None:
        """Keep that a prompt is too long for the student."""
        self.too_long.add(key)
        self._set_aside.write(json.dumps({"key": key, "reason": TOO_LONG, "prompt_tokens": prompt_tokens}) + "\n")
        self._set_aside.flush()
        self._watch(len(self.predictions) + len(self.too_long))

    @property
    def skipped(self) -> dict[str, int]:
        """Steps without an answer, by reason."""
        counts = {TOO_LONG: len(self.too_long), FAILED: len(self.failed)}
        return {reason: number for reason, number in counts.items() if number}

    def sessions(self) -> list[dict[str, Any]]:
        """What is known of each time the student was asked: `versions`, `load_seconds`, `max_model_len`, `seconds`,
        `answered`."""
        return _whole_lines(self.folder / _SESSIONS)


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Steps of one trajectory together, the earlier first, so that a prompt finds its beginning in the prefix cache."""
    places: dict[tuple[str, int], int] = {}
    for step in steps:
        places.setdefault(step.key[:2], len(places))
    return sorted(steps, key=lambda step: (places[step.key[:2]], step.step_idx))


def _check_asked(folder: Path, asked: Mapping[str, JsonValue]) -> None:
    path = folder / _ASKED
    if not path.exists():
        there = next(iter(sorted(each.name for each in folder.iterdir())), None)
        if there is not None:
            raise ReplayMismatch(f"{folder}: holds {there} and is no replay of this kind")
        write_text(path, json.dumps(asked, ensure_ascii=False, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReplayMismatch(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    for name in sorted({*before, *asked}):
        if before.get(name) != asked.get(name):
            was, now = (_short(each.get(name)) for each in (before, asked))
            raise ReplayMismatch(f"{folder}: holds answers of another replay: {name} was {was} there and is {now} now")


def _short(value: Any) -> str:
    said = json.dumps(value, ensure_ascii=False)
    return said if len(said) <= 90 else f"{said[:90]}..."


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that is written line by line; a torn last line is cut off, so that it can go on."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError:
        raise ReplayMismatch(f"{path}: holds a line that is no JSON") from None


def _key(key: Sequence[Any]) -> tuple[str, int, int]:
    task, sample, step = key
    return str(task), int(sample), int(step)
