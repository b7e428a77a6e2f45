"""Conversations to make steps from: a run's records, and files of chat rows whoever made them.

Rows are read in the two shapes that terminal-agent sets are published in: `messages` of `role` and `content`, and
sharegpt's `conversations` of `from` and `value`; from JSON lines, one JSON array, or Parquet.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trajectories.record import Trajectory
from trajectories.replay.step import StepsError, read_lines

_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "model", "chatgpt"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "function_response"), "tool"),
    "system": "system",
}
"""What a speaker is called in the step, by what files call it."""


class Conversation(NamedTuple):
    """One trajectory's messages and what is known of them; empty texts where it is not known."""

    id: str
    task_id: str
    messages: tuple[dict[str, str], ...]
    """Of `role` and `content`."""
    run: str
    """Name of the run or file."""
    source: str
    """Where it says that it comes from; else the run."""
    domain: str
    topic: str
    scaffold: str

    @property
    def said(self) -> str:
        """SHA-256 of the messages: equal for the same conversation in another file or shape."""
        return hashlib.sha256(json.dumps(self.messages).encode()).hexdigest()


def of_record(trajectory: Trajectory, run: str) -> Conversation:
    """A record's conversation."""
    return Conversation(
        id=trajectory.id,
        task_id=trajectory.task_id,
        messages=tuple({"role": message.role, "content": message.content} for message in trajectory.messages),
        run=run,
        source=run,
        domain=trajectory.domain,
        topic=trajectory.topic,
        scaffold=f"{trajectory.scaffold.name} {trajectory.scaffold.version}",
    )


def read_conversations(path: Path) -> tuple[list[Conversation], dict[str, int]]:
    """Read a file of rows.

    Args:
        path: `.jsonl`, `.json` (an array) or `.parquet`.

    Returns:
        The conversations in the file's order, and how many rows were left out by reason: `no-messages` (neither of the
        two shapes) and `unknown-speaker`.

    Raises:
        StepsError: the file cannot be read, or holds no row.
    """
    found: list[Conversation] = []
    dropped: dict[str, int] = {}
    number = 0
    for number, row in enumerate(_rows(path), start=1):
        messages = _messages(row)
        if isinstance(messages, str):
            dropped[messages] = dropped.get(messages, 0) + 1
        else:
            found.append(_conversation(row, messages, path, number))
    if not number:
        raise StepsError(f"{path}: holds no row")
    return found, dropped


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.suffix == ".json":
        return _array(path)
    return (row for _, row in read_lines(path))


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=64):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise StepsError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def _array(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StepsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StepsError(f"{path}: not an array of objects")
    return rows


def _messages(row: Mapping[str, Any]) -> tuple[dict[str, str], ...] | str:
    """A row's messages, or why it has none."""
    said = row.get("messages") or row.get("conversations")
    if not isinstance(said, list) or not said or not all(isinstance(message, dict) for message in said):
        return "no-messages"
    messages = []
    for message in said:
        speaker = message.get("role") or message.get("from")
        if speaker not in _ROLES:
            return "unknown-speaker"
        content = message["content"] if "content" in message else message.get("value")
        messages.append({"role": _ROLES[speaker], "content": _text(content)})
    return tuple(messages)


def _text(content: Any) -> str:
    """A message's text; of one in parts, the texts one under the other. Halves of a character become question marks."""
    if isinstance(content, list):
        content = "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and part.get("text"))
    return content.encode(errors="replace").decode() if isinstance(content, str) else ""


def _conversation(
    row: Mapping[str, Any], messages: tuple[dict[str, str], ...], path: Path, number: int
) -> Conversation:
    metadata = row.get("metadata")
    known = {**(metadata if isinstance(metadata, dict) else {}), **row}

    def text(*names: str) -> str:
        return next((str(known[name]) for name in names if isinstance(known.get(name), str | int)), "")

    ident = text("id", "trajectory_id") or f"{path.stem}-{number:05d}"
    return Conversation(
        id=ident,
        task_id=text("task_id", "task") or ident,
        messages=messages,
        run=path.stem,
        source=text("source", "_source_file") or path.stem,
        domain=text("domain"),
        topic=text("topic"),
        scaffold=text("scaffold", "agent"),
    )
