"""The contract as it is executed: a file that is asked for by a check has to be asked for by the instruction."""

import posixpath
import re
from collections.abc import Iterable

from envs.gates.derived import names
from envs.gates.outputs import EndState

_TOKEN = re.compile(r"[\w./<>{}$*%\[\]-]{3,}")
_BLANK = re.compile(
    r"<[^<>/]*>|\{[^{}/]*\}|\$\w+|\*+|%\w|\[[^\[\]/]*\]|\b(?:YYYY|MM|DD|HH|NN+|N|X+)\b|(?<=[-_])[NXn](?=\b|[-_.])"
)


def unstated(end: EndState, read: Iterable[str], instruction: str, checks: str) -> list[str]:
    """Files that the reference creates and the checks open, and that the instruction does not name.

    A name counts as said where it fits a pattern of the instruction (`<user>.txt`), or where it is one of several files
    below a folder that the instruction names.
    """
    wanted = set(read)
    # What the checks come upon as they list a folder is the solution's own affair.
    opened = [path for path in end.created if path in wanted and posixpath.basename(path) in checks]
    patterns = _patterns(instruction)
    unsaid = [
        path
        for path in opened
        if not names(instruction, path)
        and not any(one.fullmatch(path) or one.fullmatch(posixpath.basename(path)) for one in patterns)
    ]
    return sorted(path for path in unsaid if not any(_one_of_many(above, end, instruction) for above in _above(path)))


def _above(path: str) -> list[str]:
    """The folders that a file lies in, but those right below the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(3, len(parts) + 1)]


def _one_of_many(folder: str, end: EndState, instruction: str) -> bool:
    """Whether an instruction names a folder that more than one file is created in, at any depth."""
    below = sum(path.startswith(f"{folder}/") for path in end.created)
    return below > 1 and re.search(rf"{re.escape(folder)}(?![\w-])", instruction) is not None


def _patterns(instruction: str) -> list[re.Pattern[str]]:
    """Names with a blank in them, such as `/app/out/<user>.txt`."""
    found = []
    for token in _TOKEN.findall(instruction):
        pieces = _BLANK.split(token.strip("."))
        if len(pieces) > 1 and any(piece.strip("/.") for piece in pieces):
            found.append(re.compile("[^/]+".join(map(re.escape, pieces))))
    return found
