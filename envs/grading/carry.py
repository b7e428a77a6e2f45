"""The agent's changes, taken out of a container that cannot be trusted and put into a fresh one of the same image.

What comes out is whatever that container says: its own programs, which the agent may have replaced, list and pack it.
That is no loss, for the agent could have made the files so. But nothing may come out of the fresh container's bounds:
names are judged here, and the fresh container's first process looks afterwards whether something protected changed.
"""

import io
import tarfile

from envs.container import Container
from envs.container.container import READ_LIMIT
from envs.container.protected import above_protected, protected
from envs.errors import ToolFailed

MOUNTED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""The engine mounts them: their content can be replaced, they cannot."""

NOT_CARRIED = ("/proc", "/sys", "/dev", "/tests", "/logs/verifier", "/.dockerenv", "/run/secrets")
"""The kernel's, the engine's, and the grader's, each with what lies below."""


class NotCarried(Exception):
    """The changes cannot be carried over; the message is one line."""


async def carry(source: Container, target: Container) -> None:
    """Make the changes of one container in another: files with owners, modes, times and links, and deletions.

    Protected paths stay as the image has them. Processes, sockets and the kernel's state do not travel.

    Raises:
        NotCarried: they are larger than 64 MiB, or the container does not tell them as it should.
    """
    try:
        changes = [change for change in await source.changes() if carried(change.path)]
        packed = await source.collect([change.path for change in changes if change.kind != "deleted"])
        tar, contents = _sound(packed)
        deleted = [change.path for change in changes if change.kind == "deleted"]
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as members:
            replaced = [f"/{member.name}" for member in members if not member.isdir()]
    except (ToolFailed, tarfile.TarError, ValueError, OverflowError, EOFError, KeyError) as error:
        raise NotCarried(" ".join(str(error).split())[:300]) from None
    if lost := [path for path in (*deleted, *replaced) if above_protected(path)]:
        raise NotCarried(f"{lost[0]} is gone, and what grades with it")
    try:
        await target.delete([*deleted, *replaced])
        await target.put("/", tar)
        for path, content in contents.items():
            await target.overwrite(path, content)
    except ToolFailed as error:
        raise NotCarried(" ".join(str(error).split())[:300]) from None


def carried(path: str) -> bool:
    """Whether a path may come out of an untrusted container; one that is not plainly written may not."""
    if not path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")[1:]):
        return False
    below = any(path == name or path.startswith(f"{name}/") for name in NOT_CARRIED)
    return not below and not protected(path)


def _sound(packed: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Those members that may be carried, written anew; and the content of the files that are mounted."""
    buffer, mounted, names = io.BytesIO(), dict[str, bytes](), set[str]()
    with (
        tarfile.open(fileobj=io.BytesIO(packed), mode="r:", errors="surrogateescape") as source,
        tarfile.open(
            fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        ) as target,
    ):
        for member in source:
            name = member.name.removeprefix("./").rstrip("/")
            # A sparse file of a few bytes may claim to be larger than the memory here.
            if not carried(f"/{name}") or name in names or member.issparse() or member.size > READ_LIMIT:
                continue
            plain = tarfile.TarInfo(name)
            plain.mode, plain.uid, plain.gid = member.mode & 0o7777, member.uid, member.gid
            plain.mtime, plain.type = int(member.mtime), member.type
            content = source.extractfile(member) if member.isreg() else None
            if content is not None and f"/{name}" in MOUNTED:
                mounted[f"/{name}"] = content.read()
                continue
            if member.islnk():
                plain.linkname = member.linkname.removeprefix("./")
                if plain.linkname not in names:
                    continue
            elif member.issym():
                plain.linkname = member.linkname
            elif content is not None:
                plain.type, plain.size = tarfile.REGTYPE, member.size
            elif not (member.isdir() or member.isfifo()):
                continue
            names.add(name)
            target.addfile(plain, content)
    return buffer.getvalue(), mounted
