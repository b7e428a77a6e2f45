"""Whether the answer lies in the agent's reach: the texts of solution and tests, and files that are the output."""

import posixpath
import re
from collections.abc import Iterable, Mapping

from envs.container import Container
from envs.gates.attempts import SOLUTION, Attempt
from envs.gates.derived import names
from envs.gates.outputs import EndState, contents, internal, rewritten, told
from envs.grading import TESTS
from envs.state import StateLayer, canonical

SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "media", "mnt", "proc", "run", "sbin", "sys",
          "usr", "var")  # fmt: skip
"""Top folders of an image that hold the system, and are not looked through where there is no state layer."""

FILE_LIMIT = 1 << 20
"""Bytes of a file that is compared with the texts."""

SHARE = 0.6
"""Of the solution's or the checks' lines that a file must hold to hold their text."""

FEWEST = 3
"""Lines that make a text."""

_ANSWER = re.compile(
    r"(?:^|[/._-])(?:solutions?|solved|answers?|expected|oracle|golden|gold|reference|correct)(?:[/._-]|$)",
    re.IGNORECASE,
)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n.*?^\s*\2\s*$", re.MULTILINE | re.DOTALL)
_MOVING = re.compile(
    r"\b(?:restor\w*|recover\w*|cop(?:y|ies|ied|ying)|mov(?:e|es|ed|ing)|renam\w*|back(?:ed)?[ -]?up\w*|"
    r"revert\w*|roll(?:ed)?[ -]?back|deploy\w*|install\w*|publish\w*|extract\w*|unpack\w*|archiv\w*|sync\w*|"
    r"mirror\w*|duplicat\w*|organi[sz]\w*|collect\w*|staging|releas\w*)\b",
    re.IGNORECASE,
)


async def harness(container: Container) -> list[str]:
    """What lies in an image where tests and solution come later, in a container that nothing has been done in."""
    found = await container.run(f"ls -dA {TESTS}/* {SOLUTION}/* 2>/dev/null | head -n 3", user="root", workdir="/")
    return [f"{path} is in the image" for path in found.output.split()]


async def reach(container: Container) -> dict[str, bytes]:
    """Content of the regular files of an image outside the system's folders, where no state layer tells it.

    Raises:
        ToolFailed: they are too many to read, or the image lacks the programs for it.
    """
    paths = [path for path in await container.paths() if path.split("/")[1] not in SYSTEM and told(path)]
    return contents(canonical(await container.collect(paths))) if paths else {}


def texts(initial: Mapping[str, bytes], solution: str, checks: str) -> list[str]:
    """Files of the initial state that hold the solution's or the checks' text, a line each."""
    wanted = {"the solution": _commands(solution), "the checks": _assertions(checks)}
    problems = []
    for path, content in initial.items():
        if internal(path) or len(content) > FILE_LIMIT:
            continue
        lines = {line.strip() for line in content.decode(errors="replace").splitlines()}
        for what, those in wanted.items():
            held = those & lines
            if len(those) >= FEWEST and len(held) >= max(FEWEST, SHARE * len(those)):
                problems.append(f"{path} holds {len(held)} of {len(those)} lines of {what}")
    return problems


def answers(initial: Mapping[str, bytes], end: EndState, instruction: str) -> list[str]:
    """Files of the initial state that are an output which the reference creates, by content and by name."""
    made = {content: path for path, content in end.created.items() if content.strip()}
    return [
        f"{path} is the same as {made[content]}, which the reference creates"
        for path, content in initial.items()
        if content in made and _ANSWER.search(path) and not internal(path)
        if not _given(instruction, path, made[content])
    ]


def copied(initial: Mapping[str, bytes], end: EndState, instruction: str) -> Attempt | str:
    """The attempt that copies every output from a file which has its content already; or why there is none.

    A task that asks for files to be restored, moved or copied is solved so, and says so.
    """
    outputs = {path: content for path, content in end.outputs.items() if content.strip()}
    if not outputs:
        return "the reference leaves no plain file"
    there = {content for path, content in initial.items() if not internal(path)}
    if missing := next((path for path, content in outputs.items() if content not in there), None):
        return f"no file of the initial state has the content of {missing}"
    if said := _MOVING.search(instruction):
        return f"the instruction asks for files that are there (`{said[0]}`)"
    layer = StateLayer(rewritten(end.layer.tar, {}, only=outputs))
    return Attempt("leaks", "copied-answer", laid=layer)


def _given(instruction: str, path: str, output: str) -> bool:
    """Whether an instruction hands a file out: by its path, or by a name that is not the output's own."""
    return path in instruction or (posixpath.basename(path) != posixpath.basename(output) and names(instruction, path))


def _commands(script: str) -> set[str]:
    """Lines of a script that say what it does; text that it writes into files may well be in the state."""
    return {line for line in _lines(_HEREDOC.sub("", script)) if not re.match(r"(?:set|cd|export|echo|exit)\b", line)}


def _assertions(checks: str) -> set[str]:
    return {line for line in _lines(checks) if line.startswith(("assert ", "def check_", "raise "))}


def _lines(text: str) -> Iterable[str]:
    stripped = (line.strip() for line in text.splitlines())
    return (line for line in stripped if len(line) >= 12 and not line.startswith("#"))
