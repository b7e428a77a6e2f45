"""End states: what commands left behind in a container, and how two containers differ.

Files are compared by kind, mode, owner and content, not by time; what the state layer leaves out
(`envs.state.VOLATILE`: /proc, /run, shell histories, ...) is left out here. A git index holds inode numbers and times,
so of an index the entries are compared. Beyond the files: the shell's working directory and exported variables, the
program in front, and the processes that were started and still run.
"""

import hashlib
import io
import re
import shlex
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from envs import state
from envs.container import Container

_NOT_COMPARED = {"OLDPWD", "PWD", "SHLVL", "_", "TMUX", "TMUX_PANE"}
"""Exported variables that say where the shell was before, or are compared otherwise."""
_DECLARED = re.compile(r"^declare -\S+ (\w+)", re.MULTILINE)
_VARYING = re.compile(r"[0-9a-f]{7,}|[0-9]+")


class Entry(NamedTuple):
    """A path's part of the state."""

    kind: bytes
    """Of the tar member."""
    mode: int
    uid: int
    gid: int
    content: str
    """Digest of a file, target of a link."""


@dataclass(frozen=True)
class Shell:
    """The terminal's side of the state."""

    alive: bool
    """False when what was typed ended the session."""
    cwd: str = ""
    front: str = ""
    """Program in front of the terminal; empty when the shell itself has it."""
    variables: Mapping[str, str] | None = None
    """Exported ones by name; None where the shell could not be asked."""
    processes: tuple[str, ...] = ()
    """Command lines of what was started and still runs, sorted."""


@dataclass(frozen=True)
class EndState:
    """What was left behind."""

    files: Mapping[str, Entry]
    """By path, of those that were asked for and are there."""
    shell: Shell


@dataclass(frozen=True)
class Differences:
    """How two end states differ."""

    files: list[str] = field(default_factory=list)
    shell: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.files or self.shell)


async def changed(container: Container) -> set[str]:
    """Paths that are not as in the image, volatile ones left out; of a deleted folder the folder alone."""
    return {
        change.path for change in await container.changes() if change.path != "/" and not state.volatile(change.path)
    }


async def entries(container: Container, paths: Iterable[str]) -> dict[str, Entry]:
    """What is at some paths now; those at which nothing is are not in it.

    Raises:
        ToolFailed: a file changes while it is read, or all of them are larger than 64 MiB.
    """
    there = await container.existing(sorted(paths))
    if not there:
        return {}
    found: dict[str, Entry] = {}
    with tarfile.open(
        fileobj=io.BytesIO(state.canonical(await container.collect(there))), errors="surrogateescape"
    ) as tar:
        for member in tar:
            path = f"/{member.name}"
            if member.islnk():
                content, kind = found[f"/{member.linkname}"].content, tarfile.REGTYPE
            elif member.isreg():
                file = tar.extractfile(member)
                content, kind = hashlib.sha256(file.read() if file else b"").hexdigest(), member.type
            else:
                content, kind = member.linkname, member.type
            found[path] = Entry(kind, member.mode, member.uid, member.gid, content)
    for path in [path for path in found if path.endswith("/index") and found[path].kind == tarfile.REGTYPE]:
        if (listed := await _index(container, path)) is not None:
            found[path] = found[path]._replace(content=listed)
    return found


def variables(declared: str) -> dict[str, str]:
    """Exported variables out of what `declare -px` prints, but for those that are compared otherwise."""
    found: dict[str, str] = {}
    end = len(declared)
    for one in reversed([*_DECLARED.finditer(declared)]):
        found[one[1]] = declared[one.start() : end].rstrip("\n")
        end = one.start()
    return {name: text for name, text in found.items() if name not in _NOT_COMPARED}


def differences(left: EndState, right: EndState) -> Differences:
    """Everything in which two states differ."""
    paths = left.files.keys() | right.files.keys()
    files = sorted(path for path in paths if left.files.get(path) != right.files.get(path))
    return Differences(files, _shells(left.shell, right.shell))


def stable(found: Differences, own: Differences, one: EndState, other: EndState) -> Differences:
    """Differences without what two runs of one command differ in too.

    Args:
        found: the differences to look at.
        own: those between two runs of the same command, which ended in `one` and `other`.
    """
    # A path that only one of the two runs made has a name that changes: its like is no difference either.
    names = {_masked(path) for path in own.files if (path in one.files) != (path in other.files)}
    return Differences(
        [path for path in found.files if path not in own.files and _masked(path) not in names],
        [said for said in found.shell if said not in own.shell],
    )


def _shells(left: Shell, right: Shell) -> list[str]:
    if not (left.alive and right.alive):
        return [] if left.alive == right.alive else ["session closed"]
    said = []
    if left.cwd != right.cwd:
        said.append("working directory")
    if left.front != right.front:
        said.append("program in front")
    if left.variables is None or right.variables is None:
        # Under one and the same program the shells cannot be asked, and nothing else is known of them.
        if (left.variables is None) != (right.variables is None):
            said.append("prompt")
    else:
        names = left.variables.keys() | right.variables.keys()
        said += [f"${name}" for name in sorted(names) if left.variables.get(name) != right.variables.get(name)]
    ours, theirs = _programs(left.processes), _programs(right.processes)
    said += [f"process {line}" for line in sorted((ours - theirs) + (theirs - ours))]
    return said


def _programs(lines: Sequence[str]) -> Counter[str]:
    return Counter(_masked(line)[:200] for line in lines)


def _masked(text: str) -> str:
    """A text with ids and numbers taken out: process ids, times and hashes differ from run to run."""
    return _VARYING.sub("#", text)


async def _index(container: Container, path: str) -> str | None:
    """Digest of a git index's entries; None for a file that is none."""
    folder = path.rpartition("/")[0]
    ran = await container.run(
        f"[ -e {shlex.quote(folder)}/HEAD ] && GIT_INDEX_FILE={shlex.quote(path)} git -c safe.directory='*'"
        f" --git-dir={shlex.quote(folder)} ls-files --stage | sha256sum",
        user="0:0",
        timeout=30,
    )
    # Of nothing, as of a file that git does not read as an index.
    empty = hashlib.sha256(b"").hexdigest()
    listed = ran.output.split()
    return listed[0] if ran.exit_code == 0 and listed and listed[0] != empty and len(listed[0]) == 64 else None
