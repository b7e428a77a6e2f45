"""From rows to the texts that are learnt from: rendered with the student's own template, with the spans of the loss."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from taxonomy.chat_template import TokenizerUnusable
from trajectories.record import write_text
from trajectories.replay.conversations import read_conversations
from trajectories.sft.settings import SftError, SftSettings
from trajectories.template import Audit, Rendered, StudentTemplate, check_match, without_thinking

FILES = ("messages.jsonl", "messages.parquet", "sharegpt.jsonl", "sharegpt.parquet")
"""What is looked for in an export's or a run's folder, in this order."""
_EXPORT = "export.json"


class Example(NamedTuple):
    """One text to learn from."""

    id: str
    """Of the row, and the answer's place in it where each answer is an example of its own."""
    rendered: Rendered
    tokens: int


class Prepared(BaseModel):
    """What became of the rows."""

    rows: int
    examples: int = 0
    answers: int = 0
    """Assistant's answers that are learnt from."""
    tokens: int = 0
    """Of all examples."""
    learnt_tokens: int = 0
    """Of all spans."""
    longest: int = 0
    """Tokens of the longest example."""
    dropped: dict[str, int] = {}
    """What is not learnt from, by reason. Rows: `no-messages`, `unknown-speaker`, `no-answer`, `template`. Answers:
    `too-long`, `no-action`."""
    sample: list[str] = []
    """What the loss sees of the first example: each span, decoded from its tokens."""


def data_file(path: Path) -> Path:
    """The file of rows that a path means.

    Args:
        path: a file, an export's folder, or a run's folder.

    Raises:
        SftError: there is none.
    """
    if path.is_file():
        return path
    for folder in (path, path / "rows"):
        for name in FILES:
            if (folder / name).is_file():
                return folder / name
    raise SftError(f"--data {path}: neither a file of rows nor a folder with {FILES[0]}")


def check_export(file: Path, audit: Audit) -> None:
    """Hold a training against the audit of the export that its rows come from, where that has one.

    Raises:
        Mismatch: they differ.
        SftError: the export's own list of files cannot be read.
    """
    manifest = file.parent / _EXPORT
    if not manifest.is_file():
        return
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        said = found.get("audit")
        made = None if said is None else Audit.model_validate(said)
    except (OSError, ValueError, AttributeError) as error:
        raise SftError(f"{manifest}: cannot be read: {' '.join(str(error).split())[:200]}") from error
    if made is not None:
        check_match(made, audit)


def file_sha256(file: Path) -> str:
    """SHA-256 of a file of rows.

    Raises:
        SftError: it cannot be read.
    """
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise SftError(f"{file}: cannot be read: {error.strerror}") from error


def check_template(template: StudentTemplate) -> None:
    """See that a student learns to stop: the end-of-turn token lies within what the loss sees.

    Raises:
        SftError: the template marks the assistant's words without it.
        TokenizerUnusable: there is no such token, or no tokenizer to count with.
    """
    end = template.end_of_turn
    if template.marks_end is False:
        raise SftError(
            f"the chat template's generation marks leave the end-of-turn token {end} out, so that the loss never sees"
            " it and the student does not learn to stop"
        )
    if template.count(end) is None:
        raise TokenizerUnusable("there is no tokenizer.json, so tokens cannot be counted")


def prepare(file: Path, template: StudentTemplate, settings: SftSettings) -> tuple[list[Example], Prepared]:
    """Render the rows of a file.

    Raises:
        SftError: nothing is left to learn from, or a span's tokens do not end in the end-of-turn token.
        StepsError: the file cannot be read.
        TokenizerUnusable: see `check_template`.
    """
    check_template(template)
    conversations, dropped = read_conversations(file)
    prepared = Prepared(rows=len(conversations) + sum(dropped.values()), dropped=dict(dropped))
    examples: list[Example] = []
    why = ""
    for conversation in conversations:
        try:
            examples += _examples(conversation.id, conversation.messages, template, settings, prepared)
        except TokenizerUnusable as error:
            _count(prepared, "template")
            why = why or str(error)
    if not examples:
        reasons = ", ".join(f"{name} {count}" for name, count in prepared.dropped.items())
        raise SftError(f"{file}: nothing to learn from ({reasons}){f'; {why}' if why else ''}")
    prepared.examples = len(examples)
    prepared.sample = _sample(examples[0].rendered, template)
    for example in examples:
        prepared.answers += len(example.rendered.spans)
        prepared.tokens += example.tokens
        prepared.longest = max(prepared.longest, example.tokens)
        prepared.learnt_tokens += sum(
            template.count(example.rendered.text[start:end]) or 0 for start, end in example.rendered.spans
        )
    return examples, prepared


def write_examples(examples: Iterable[Example], path: Path) -> None:
    """Write the examples as JSON lines of `id`, `text` and `spans`."""
    lines = ({"id": each.id, "text": each.rendered.text, "spans": each.rendered.spans} for each in examples)
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _examples(
    ident: str,
    messages: Sequence[Mapping[str, Any]],
    template: StudentTemplate,
    settings: SftSettings,
    prepared: Prepared,
) -> Iterator[Example]:
    """The examples of one row, and counts of what is left out of it."""
    if settings.target == "json":
        messages, learnt = _actions(messages)
        for _ in range(learnt.count(False)):
            _count(prepared, "no-action")
    else:
        learnt = [True for message in messages if message["role"] == "assistant"]
    if not learnt:
        _count(prepared, "no-answer")
    several = template.examples(messages)
    whole = len(several) == 1
    for place, rendered in enumerate(several):
        wanted = learnt if whole else [learnt[place]]
        spans = [span for span, good in zip(rendered.spans, wanted, strict=True) if good]
        kept, tokens = _fitting(rendered.text, spans, template, settings.max_length)
        for _ in range(len(spans) - len(kept)):
            _count(prepared, "too-long")
        if kept:
            name = ident if whole else f"{ident}-{place + 1}"
            yield Example(name, Rendered(rendered.text[: kept[-1][1]], tuple(kept)), tokens)


def _fitting(
    text: str, spans: Sequence[tuple[int, int]], template: StudentTemplate, limit: int
) -> tuple[list[tuple[int, int]], int]:
    """The first spans that end within a number of tokens, and the tokens up to the last of these."""
    kept = list(spans)
    while kept:
        tokens = template.count(text[: kept[-1][1]]) or 0
        if tokens <= limit:
            return kept, tokens
        kept.pop()
    return [], 0


def _actions(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[bool]]:
    """The messages with each answer cut down to its thinking and its JSON action, and which answers have one."""
    cut: list[Mapping[str, Any]] = []
    good: list[bool] = []
    for message in messages:
        if message["role"] != "assistant":
            cut.append(message)
            continue
        content = str(message["content"])
        answer = str(without_thinking(message)["content"])
        action = _action(answer)
        good.append(action is not None)
        cut.append(message if action is None else {**message, "content": content.removesuffix(answer) + action})
    return cut, good


def _action(answer: str) -> str | None:
    """The first JSON object of an answer, as it is written, that holds commands or says that the task is complete."""
    place = answer.find("{")
    while place >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(answer, place)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            commands = found.get("commands")
            if (isinstance(commands, list) and commands) or found.get("task_complete") is True:
                return answer[place:end]
        place = answer.find("{", place + 1)
    return None


def _sample(rendered: Rendered, template: StudentTemplate) -> list[str]:
    """Each span's text as its tokens say it.

    Raises:
        SftError: one does not end in the end-of-turn token.
    """
    decoded = [template.decoded(rendered.text[start:end]) for start, end in rendered.spans]
    for text in decoded:
        if not text.rstrip().endswith(template.end_of_turn):
            raise SftError(f"the tokens that the loss sees end in {text[-20:]!r}, not in {template.end_of_turn}")
    return decoded


def _count(prepared: Prepared, reason: str) -> None:
    prepared.dropped[reason] = prepared.dropped.get(reason, 0) + 1
