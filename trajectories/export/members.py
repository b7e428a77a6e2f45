"""What a set of rows is about: its tasks, each with its family and its text, however the set is written.

A family is what tasks of one kind share: domain and topic. Tasks of one topic vary names and numbers of the same work
(the built-in model's scenarios do so by construction), so that a model which saw one has seen the others.
"""

import hashlib
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trajectories.export.instruction import first_prompt, instruction_of
from trajectories.export.order import ExportError
from trajectories.record import Trajectory

_WORD = re.compile(r"\w+")
_RUN = 3
"""Words of a shingle, as for near-duplicates of tasks."""


@dataclass(frozen=True)
class Member:
    """One task of a set."""

    task_id: str | None
    """None where the set does not say."""
    family: str | None
    """`domain/topic`; None where the set does not say."""
    text: str
    """The instruction."""

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.task_id or f"text {self.text_hash[:12]}"

    @cached_property
    def _words(self) -> list[str]:
        return _WORD.findall(unicodedata.normalize("NFKC", self.text).casefold())

    @cached_property
    def text_hash(self) -> str:
        """SHA-256 of the text's words; case, punctuation and layout do not count."""
        return hashlib.sha256(" ".join(self._words).encode()).hexdigest()

    @cached_property
    def shingles(self) -> frozenset[str]:
        """The word 3-shingles of the text; a shorter text is one shingle."""
        words = self._words
        return frozenset(" ".join(words[start : start + _RUN]) for start in range(max(1, len(words) - _RUN + 1)))


def family_of(domain: str | None, topic: str | None) -> str | None:
    """The name of a family; None where either part is not known."""
    return f"{domain}/{topic}" if domain and topic else None


def of_trajectory(trajectory: Trajectory) -> Member:
    """The task of a trajectory."""
    text = instruction_of(first_prompt(trajectory.messages))
    return Member(trajectory.task_id, family_of(trajectory.domain, trajectory.topic), text)


def of_folder(folder: Path) -> Member:
    """The task of a Harbor task folder, ours or not.

    Raises:
        ExportError: `task.toml` or `instruction.md` cannot be read.
    """
    try:
        metadata = tomllib.loads((folder / "task.toml").read_text(encoding="utf-8")).get("metadata", {})
        text = (folder / "instruction.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExportError(f"{folder}: no Harbor task that can be read: {error}") from None
    known = metadata if isinstance(metadata, dict) else {}
    return Member(
        str(known.get("task_id") or folder.name), family_of(known.get("domain"), known.get("topic")), text.strip()
    )


def read_set(path: Path) -> dict[str, Member]:
    """The tasks of a set that lies somewhere: an export, a run's rows, a file of rows or of steps, Harbor folders.

    Looked at are every folder with a `task.toml` and every JSONL file at or below the path whose lines hold `messages`,
    `conversations` or `prompt`.

    Returns:
        Members by name; one for each task, and one for each text where the set names no tasks.

    Raises:
        ExportError: there is no such path, a file cannot be read, or nothing in it is a set.
    """
    if not path.exists():
        raise ExportError(f"{path}: there is no such file or folder to compare with")
    found: dict[str, Member] = {}
    for member in _members(path):
        known = found.get(member.name)
        if known is None or (member.text and not known.text):
            found[member.name] = member
    if not found:
        raise ExportError(f"{path}: holds no rows, steps or Harbor tasks to compare with")
    # Some formats name no task; where another file of the set does, the two are one.
    named = {member.text_hash for member in found.values() if member.task_id}
    return {name: member for name, member in found.items() if member.task_id or member.text_hash not in named}


def _members(path: Path) -> Iterator[Member]:
    if path.is_file():
        yield from _of_lines(path)
        return
    tasks = {each.parent for each in path.rglob("task.toml")}
    for task in sorted(tasks):
        yield of_folder(task)
    for file in sorted(path.rglob("*.jsonl")):
        if tasks.isdisjoint(file.parents):  # what lies in a task's folder is its data, not a set
            yield from _of_lines(file)


def _of_lines(path: Path) -> Iterator[Member]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        row = json.loads(line)
                    except ValueError:
                        raise ExportError(f"{path}: line {number}: not JSON") from None
                    if (member := _of_row(row)) is not None:
                        yield member
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _of_row(row: Any) -> Member | None:
    if not isinstance(row, Mapping):
        return None
    screen_alone = "next_screen" in row  # a world-model row shows no instruction; what it is about stands beside it
    places = () if screen_alone else ("messages", "conversations", "prompt")
    prompt = next((_first(row[key]) for key in places if key in row), None)
    metadata = row.get("metadata")
    known: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else row
    task_id = known.get("task_id")
    if prompt is None and not (screen_alone and task_id):
        return None
    text = "" if prompt is None else instruction_of(prompt)
    return Member(str(task_id) if task_id else None, family_of(known.get("domain"), known.get("topic")), text)


def _first(said: Any) -> str | None:
    """The first words of a user in whatever shape a conversation has; None where it has none."""
    if isinstance(said, str):
        return said
    for message in said if isinstance(said, list) else []:
        if isinstance(message, Mapping) and message.get("role", message.get("from")) in ("user", "human"):
            text = message.get("content", message.get("value"))
            return text if isinstance(text, str) else None
    return None
