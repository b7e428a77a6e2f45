"""What a solution leaves behind: the files that it creates and changes, with their content."""

import io
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from envs.container import Container
from envs.errors import ToolFailed
from envs.state import StateLayer, canonical, volatile

VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".bzr"})
"""Folders of a version control's own files: bound to times and hashes, and never what a task asks to be written."""

BARE = frozenset({"objects", "refs", "logs", "info", "HEAD", "ORIG_HEAD", "packed-refs", "index"})
"""What a bare repository (`<name>.git`) has of such files."""

BY_THE_WAY = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", "node_modules"})
"""Folders that programs fill by the way."""


@dataclass(frozen=True)
class EndState:
    """All that differs between a container before and after a script."""

    layer: StateLayer
    """What is new and changed, and what is gone."""
    created: Mapping[str, bytes] = field(default_factory=dict)
    """Content of the regular files that were not there, by absolute path; none of a version control's own."""
    modified: Mapping[str, bytes] = field(default_factory=dict)
    """The same of those that were there and have, as far as is known, other content."""

    @property
    def outputs(self) -> dict[str, bytes]:
        """Created and modified, sorted by path."""
        return dict(sorted({**self.created, **self.modified}.items()))


async def end_state(container: Container, before: Mapping[str, float], initial: Mapping[str, bytes]) -> EndState | None:
    """Look at what a script changed; nothing in the container is.

    Args:
        container: where it ran.
        before: the container's paths before it ran, with their change times (`Container.paths`).
        initial: known content of the initial state by absolute path: a file that was rewritten with the same content
            is no output.

    Returns:
        None where it cannot be told: a file vanished meanwhile, or there is more than one read may bring.
    """
    try:
        after = await container.paths()
        changed = [path for path, clock in after.items() if before.get(path) != clock and told(path)]
        tar = canonical(await container.collect(changed)) if changed else canonical(b"\0" * 10240)
    except ToolFailed:
        return None
    gone = {path for path in before.keys() - after.keys() if told(path)}
    deletions = tuple(sorted(path for path in gone if posixpath.dirname(path) not in gone))
    created, modified = {}, {}
    for path, content in contents(tar).items():
        if internal(path):
            continue
        if path not in before:
            created[path] = content
        elif initial.get(path) != content:
            modified[path] = content
    return EndState(StateLayer(tar, deletions), created, modified)


def told(path: str) -> bool:
    """Whether a path may be part of a state."""
    return path != "/" and not volatile(path)


def internal(path: str) -> bool:
    """Whether a path is a version control's own or written by the way: no output, whatever its content."""
    parts = path.split("/")
    return (
        not VERSION_CONTROL.isdisjoint(parts)
        or not BY_THE_WAY.isdisjoint(parts)
        or any(one.endswith(".git") and two in BARE for one, two in pairwise(parts))
    )


def contents(tar: bytes) -> dict[str, bytes]:
    """Content of the regular files of a canonical tar, hard links included, by absolute path."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as source:
        for member in source:
            if member.isreg():
                file = source.extractfile(member)
                found[f"/{member.name}"] = file.read() if file else b""
            elif member.islnk():
                found[f"/{member.name}"] = found.get(f"/{member.linkname}", b"")
    return found


def rewritten(tar: bytes, files: Mapping[str, bytes], only: Iterable[str] | None = None) -> bytes:
    """A tar with other content in some of its files, by absolute path; owners, modes and times stay.

    Args:
        tar: canonical.
        files: new content; each a regular file or hard link of the tar.
        only: leave out everything but these files.
    """
    kept = None if only is None else set(only)
    whole = contents(tar)
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as source,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as target,
    ):
        for member in source:
            path = f"/{member.name}"
            if kept is not None and path not in kept:
                continue
            if path in whole:
                content = files.get(path, whole[path])
                member.type, member.linkname, member.size = tarfile.REGTYPE, "", len(content)
                target.addfile(member, io.BytesIO(content))
            else:
                target.addfile(member)
    return buffer.getvalue()


def differing(one: EndState, other: EndState) -> list[str]:
    """Paths of outputs that two runs do not agree on, sorted."""
    first, second = one.outputs, other.outputs
    return sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))
