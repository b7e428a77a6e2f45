"""Wrong outputs that nobody wrote: made from what the reference left, so that every environment is held to them.

Each is the reference's own end state with the outputs that the task asks for spoiled: what still passes then is not
looked at closely enough. An output is one that the instruction names, or where it names none, that the checks open.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from envs.certificate import Gate
from envs.gates.attempts import Attempt
from envs.gates.outputs import EndState, internal, rewritten
from envs.state import StateLayer

KINDS = ("empty", "constant", "copied-input", "example")
WITHOUT = "without"
TAMPERED = "tampered-input"
MOST_INPUTS = 2
"""Inputs that are tampered with, each in a container of its own."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_COMMANDS = frozenset({"bash", "sh", "shell", "console", "zsh"})


def names(instruction: str, path: str) -> bool:
    """Whether an instruction names a file, by its path or by its name."""
    return _mention(instruction, path) is not None


def asked(end: EndState, instruction: str, read: Iterable[str]) -> list[str]:
    """The outputs that the task asks for: what the instruction names, or else all of them if the checks open any.

    Args:
        end: what the reference left.
        instruction: the task's.
        read: files that the checks opened when they passed.
    """
    for files in (end.created, end.modified):
        if named := sorted(path for path in files if names(instruction, path)):
            return named
    everything = end.outputs
    return [] if everything.keys().isdisjoint(read) else list(everything)


def spoiled(
    end: EndState, outputs: Sequence[str], initial: Mapping[str, bytes], instruction: str
) -> dict[str, Attempt | str]:
    """The derived wrong outputs by kind: what to attempt, or why there is nothing to.

    Args:
        end: what the reference left.
        outputs: those that are asked for (`asked`).
        initial: content of the state's regular files.
        instruction: the task's.
    """
    if not outputs:
        none = "the reference leaves no plain file that the instruction names or the checks open"
        return dict.fromkeys(KINDS, none)
    created = [path for path in outputs if path in end.created]
    plans: dict[str, Attempt | str] = {"empty": _attempt("empty", end, dict.fromkeys(outputs, b""))}
    if created:
        plans["constant"] = _attempt("constant", end, dict.fromkeys(outputs, b"0\n"))
    else:
        plans["constant"] = "every output was there before: it tells no more than `empty`"
    copies = _copies(created, end, initial)
    why = "no other file of the state could be copied to an output that the reference creates"
    plans["copied-input"] = _attempt("copied-input", end, copies) if copies else why
    samples = _samples(outputs, end, instruction)
    why = "the instruction has no example of an output that is not the output itself"
    plans["example"] = _attempt("example", end, samples) if samples else why
    return plans


def tampered(path: str, state: StateLayer, content: bytes, solution: str, kit: bytes | None) -> Attempt | str:
    """The reference run on another input: whether what it makes then is graded by the true one."""
    other = _tampered(content)
    if other == content:
        return "the input has nothing that could be changed"
    layer = StateLayer(rewritten(state.tar, {path: other}, only=[path]))
    return Attempt("derived", f"{TAMPERED} {path}", solution, kit, layer, watched=True)


def without(end: EndState, files: Iterable[str], gate: Gate) -> Attempt:
    """The reference's end state less some outputs: whether anything asks for them shows in the verdict."""
    gone = set(files)
    kept = [path for path in (f"/{member.name}" for member in end.layer.members()) if path not in gone]
    layer = StateLayer(rewritten(end.layer.tar, {}, only=kept), end.layer.deletions)
    return Attempt(gate, WITHOUT, laid=layer, expected=1.0)


def chosen_inputs(inputs: Iterable[str], initial: Mapping[str, bytes], instruction: str) -> list[str]:
    """The inputs to tamper with: those that the instruction names before others, larger ones before smaller."""
    known = [path for path in inputs if initial.get(path)]
    return sorted(known, key=lambda path: (not names(instruction, path), -len(initial[path]), path))[:MOST_INPUTS]


def _attempt(kind: str, end: EndState, files: Mapping[str, bytes]) -> Attempt:
    return Attempt("derived", kind, laid=StateLayer(rewritten(end.layer.tar, files), end.layer.deletions))


def _copies(created: Iterable[str], end: EndState, initial: Mapping[str, bytes]) -> dict[str, bytes]:
    """For each created output the unchanged file of the state that is nearest to it in suffix, folder and size."""
    unchanged = {
        path: content
        for path, content in initial.items()
        if content and not internal(path) and path not in end.modified and path not in end.layer.deletions
    }
    copies = {}
    for path in created:
        content = end.created[path]
        others = [other for other, text in unchanged.items() if text != content]
        if others:
            nearest = min(others, key=lambda other: _distance(path, content, other, unchanged[other]))
            copies[path] = unchanged[nearest]
    return copies


def _distance(path: str, content: bytes, other: str, text: bytes) -> tuple[bool, int, int, str]:
    suffix = posixpath.splitext(path)[1] != posixpath.splitext(other)[1]
    shared = posixpath.commonpath([posixpath.dirname(path), posixpath.dirname(other)])
    return suffix, -len(shared), abs(len(content) - len(text)), other


def _samples(outputs: Iterable[str], end: EndState, instruction: str) -> dict[str, bytes]:
    """For each output the example that follows its name in the instruction, or the only one that there is."""
    blocks = [
        (match.start(), match[3].encode(errors="replace"))
        for match in _FENCE.finditer(instruction)
        if match[2].lower() not in _COMMANDS and match[3].strip()
    ]
    samples = {}
    for path in outputs:
        mention = _mention(instruction, path)
        after = [text for start, text in blocks if mention is not None and start >= mention]
        text = after[0] if after else blocks[0][1] if len(blocks) == 1 else None
        # What the instruction gives word for word is the output, and no example of it.
        if text is not None and _words(text) != _words(end.outputs[path]):
            samples[path] = text
    return samples


def _words(text: bytes) -> list[bytes]:
    return text.split()


def _mention(instruction: str, path: str) -> int | None:
    """Where an instruction first names a file."""
    for text in (path, posixpath.basename(path)):
        found = re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w-]|\.\w)", instruction)
        if found:
            return found.start()
    return None


def _tampered(content: bytes) -> bytes:
    """The same text with other digits; what has none is cut in half."""
    if b"\0" not in content and re.search(rb"\d", content):
        return content.translate(bytes.maketrans(b"0123456789", b"1234567890"))
    return content[: len(content) // 2]
