"""The state layer: what the setup agent changed, as one canonical tar with owners, modes, times and deletions.

An environment is a base image plus this layer. The tar is written in one way only, so its digest names the state:
whoever rebuilds the environment and captures it again must get the same digest.

Not carried: extended attributes (file capabilities, ACLs), sockets, fractions of seconds.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from envs.container import Change, Container
from envs.errors import EngineError, ToolFailed

TAR_NAME = "state.tar"
DELETIONS_NAME = "state.deleted"

VOLATILE = {
    "/proc": "the kernel's",
    "/sys": "the kernel's",
    "/dev": "made anew for each container",
    "/run": "process ids, locks and sockets of processes that are gone",
    "/.dockerenv": "the engine's",
    "/etc/hostname": "mounted by the engine, differs in each container",
    "/etc/hosts": "mounted by the engine, differs in each container",
    "/etc/resolv.conf": "mounted by the engine, follows the host",
    "/etc/mtab": "made by the engine",
    "/tmp/tmux-*": "a terminal session that is gone",  # noqa: S108
    "/tmp/.X*-lock": "a session that is gone",  # noqa: S108
    "/root/.cache": "filled again on use",
    "/root/.bash_history": "what the setup agent typed is no part of the state, and may hold the answer",
    "/root/.python_history": "what the setup agent typed",
    "/root/.lesshst": "what the setup agent searched for",
    "/root/.viminfo": "what the setup agent edited",
    "/home/*/.cache": "filled again on use",
    "/home/*/.bash_history": "what the setup agent typed",
    "/var/cache/apt": "package downloads, large and useless without a network",
    "/var/lib/apt/lists": "package lists, large and useless without a network",
    "/var/log/apt": "says what was installed and when, differs in each run",
    "/var/log/dpkg.log": "says what was installed and when, differs in each run",
    "/var/cache/ldconfig/aux-cache": "rebuilt by the linker with its own times and inode numbers",
    "/logs": "the harness's: agent and verifier write here",
    "/tests": "the harness's: the tests come here after the agent",
    "/solution": "the harness's: the reference solution comes here",
}
"""Paths that are no part of the state, with what lies below them, and why. `*` stands for any part of one name."""

TIMELESS = ("etc",)
"""Folders whose time is dropped: the engine writes its own files there whenever it makes a container."""


class StateError(Exception):
    """A container's state cannot be captured; the message is one line."""


@dataclass(frozen=True)
class StateLayer:
    """What a container has beyond its image."""

    tar: bytes
    """Canonical; names without a leading slash."""
    deletions: tuple[str, ...] = ()
    """Absolute paths of the image that are not there any more, sorted; of a folder only the folder."""
    empty: bool = False
    """Nothing was added, deleted or rewritten; at most folders of the image have other times or modes."""

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits: names the tar and the deletions."""
        hashed = hashlib.sha256(self.tar)
        for path in self.deletions:
            hashed.update(b"\0" + path.encode(errors="surrogateescape"))
        return f"sha256:{hashed.hexdigest()}"

    def only(self, paths: Iterable[str]) -> bytes:
        """A canonical tar of some of its regular files.

        Args:
            paths: absolute; each a regular file, or a hard link to one, of the layer.

        Raises:
            KeyError: the layer has no such file.
        """
        buffer = io.BytesIO()
        with _open(self.tar) as source, tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as target:
            for path in sorted(set(paths)):
                member = source.getmember(path.lstrip("/"))
                file = source.extractfile(member)
                if file is None:
                    raise KeyError(path)
                content = file.read()
                member.type, member.linkname, member.size = tarfile.REGTYPE, "", len(content)
                target.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def members(self) -> list[tarfile.TarInfo]:
        """Everything in the tar, in its order."""
        with _open(self.tar) as tar:
            return tar.getmembers()


async def capture(container: Container) -> StateLayer:
    """Take the state out of a container; nothing in it is changed.

    Raises:
        StateError: a file vanished while it was read, or the state is larger than 64 MiB.
        ContainerGone: the container is.
    """
    changes = [change for change in await container.changes() if change.path != "/" and not volatile(change.path)]
    kept = [change for change in changes if change.kind != "deleted"]
    deletions = tuple(sorted(change.path for change in changes if change.kind == "deleted"))
    try:
        tar = canonical(await container.collect([change.path for change in kept]))
    except ToolFailed as error:
        raise StateError(str(error)) from None
    return StateLayer(tar, deletions, empty=not deletions and not _substance(kept, tar))


async def differs(container: Container, layer: StateLayer) -> str | None:
    """Capture the same paths again, in a container of the rebuilt image, and compare.

    Returns:
        None when the state is the same to the bit; else one line that says what is not.
    """
    if back := await container.existing(list(layer.deletions)):
        return f"{back[0]} was deleted in the state and is back in the image"
    want = {member.name: member for member in layer.members()}
    try:
        tar = canonical(await container.collect([f"/{name}" for name in want]))
    except ToolFailed as error:
        return str(error)
    if tar == layer.tar:
        return None
    with _open(tar) as found:
        for member in found.getmembers():
            for field in ("type", "mode", "uid", "gid", "mtime", "size", "linkname"):
                old, new = getattr(want[member.name], field), getattr(member, field)
                if old != new:
                    return f"/{member.name}: {field} is {new!r} in the image and {old!r} in the state"
    return "the content of a file is another in the image than in the state"


def write(layer: StateLayer, folder: Path) -> None:
    """Write a layer as files of a build context; the list of deletions only where there are any."""
    (folder / TAR_NAME).write_bytes(layer.tar)
    if layer.deletions:
        names = b"\0".join(path.encode(errors="surrogateescape") for path in layer.deletions)
        (folder / DELETIONS_NAME).write_bytes(names)


def read(folder: Path) -> StateLayer:
    """Read back what `write` wrote.

    Raises:
        FileNotFoundError: there is no state layer in this folder.
    """
    listed = folder / DELETIONS_NAME
    deletions: tuple[str, ...] = ()
    if listed.exists():
        deletions = tuple(listed.read_bytes().decode(errors="surrogateescape").split("\0"))
    return StateLayer((folder / TAR_NAME).read_bytes(), deletions)


def volatile(path: str) -> bool:
    """Whether an absolute path is left out of the state."""
    parts = path.split("/")
    return any(
        len(parts) >= len(names) and all(map(fnmatchcase, parts, names))
        for names in (pattern.split("/") for pattern in VOLATILE)
    )


def canonical(tar: bytes) -> bytes:
    """Write a tar in the one way that depends on nothing but what it says.

    Sorted by name, GNU format, numeric owners, whole seconds; of files that are one file by hard links, the first name
    has the content. Of a name that occurs twice, the last one counts, as when unpacking. Sockets cannot be in a tar.
    """
    members: dict[str, tarfile.TarInfo] = {}
    contents: dict[str, bytes] = {}
    with _open(tar) as source:
        for member in source:
            if not (name := _plain(member.name)):
                continue
            if member.issparse():
                # Honest tools write none here; a forged one may claim any size.
                raise StateError(f"/{name} comes as a sparse file")
            members[name] = member
            contents.pop(name, None)
            if member.isreg():
                file = source.extractfile(member)
                contents[name] = file.read() if file else b""
    buffer = io.BytesIO()
    first: dict[str, str] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as target:
        for name in sorted(members, key=lambda text: text.encode(errors="surrogateescape")):
            member = members[name]
            holder = _holder(name, members)
            entry = _entry(name, members[holder])
            if holder in first:
                entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, first[holder], 0
                target.addfile(entry)
                continue
            if member.isreg() or member.islnk():
                first[holder] = name
            content = contents.get(holder, b"")
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _holder(name: str, members: dict[str, tarfile.TarInfo]) -> str:
    """The name whose member has the content of a file, through hard links."""
    seen = set()
    while members[name].islnk():
        target = _plain(members[name].linkname)
        if target not in members or target in seen:
            raise EngineError(f"the tar has a hard link to {target}, which it does not hold")
        seen.add(target)
        name = target
    return name


def _entry(name: str, member: tarfile.TarInfo) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.REGTYPE if member.isreg() else member.type
    entry.mode, entry.uid, entry.gid = member.mode & 0o7777, member.uid, member.gid
    entry.mtime = 0 if name in TIMELESS else int(member.mtime // 1)
    if member.issym():
        entry.linkname = member.linkname
    if member.ischr() or member.isblk():
        entry.devmajor, entry.devminor = member.devmajor, member.devminor
    return entry


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _substance(kept: Iterable[Change], tar: bytes) -> bool:
    added = {change.path for change in kept if change.kind == "added"}
    with _open(tar) as source:
        return any(not member.isdir() or f"/{member.name}" in added for member in source)


def _open(tar: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape")
