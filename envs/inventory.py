"""What a container has, in words for a model: the image's programs, and the state that the setup agent left.

Both are collected by commands of ours and from the captured layer, never from what a model says about them.
"""

import io
import posixpath
import shlex
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envs.engine import Container
from envs.errors import ToolFailed
from envs.state import StateLayer

_PROGRAMS = (
    "awk bash bzip2 cargo cmake conda cron curl diff dig docker ed file find g++ gawk gcc gdb gh git git-lfs go gpg "
    "grep gzip htop ip iptables java jq less locate lsof lua make meson mysql nano nc netstat nginx ninja node npm "
    "openssl patch perl php pip pip3 pkg-config psql python3 R redis-server rg rsync ruby rustc sed shellcheck sort "
    "sqlite3 ss ssh sshd strace sudo svn swig systemctl tar tcpdump tmux traceroute tree unzip uv valgrind vi vim wget "
    "xz yq zip zsh zstd"
)
"""Programs that tasks may want to know of; those that the image has are named."""

_IMAGE_COMMAND = f"""
. /etc/os-release; echo "$PRETTY_NAME"
python3 -c 'import platform; print(platform.python_version())' || echo none
git --version
for program in {_PROGRAMS}; do command -v "$program" > /dev/null && printf '%s ' "$program"; done; echo
python3 -c 'import importlib.metadata as m; print(*sorted({{d.metadata["Name"] for d in m.distributions()}}))'
"""

_REPOSITORY_COMMAND = """
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_OPTIONAL_LOCKS=0 GIT_PAGER=cat
exec 2> /dev/null
show() {
  label=$1; shift
  text=$("$@" | head -n 40 | cut -c 1-300)
  [ -z "$text" ] || printf '[%s]\\n%s\\n' "$label" "$text"
}
for repository in "$@"; do
  cd "$repository" || continue
  printf '\\n## %s\\n' "$repository"
  show 'all commits' git log --all --graph --date=iso-strict --pretty='%h %ad %an <%ae>:%d %s' -n 40
  show status git status --short --branch
  show branches git branch --all -vv
  show tags git tag -n1
  show reflog git reflog -n 15
  show stash git stash list
  show worktrees git worktree list
  show submodules git submodule status
  show remotes git remote -v
  show hooks sh -c 'cd "$(git rev-parse --git-path hooks)" && ls | grep -v "\\.sample$"'
  show configuration git config --local --list
done
"""

_HEAD_LINES = 60
_HEAD_CHARACTERS = 3_000
_LARGEST_TEXT = 200_000
_ENTRIES = 40
"""Files of one folder that are named."""
_HEADS = 12
"""Files of one folder whose beginning is shown."""


@dataclass(frozen=True)
class ImageInventory:
    """What a base image offers."""

    text: str
    """For a prompt: system, programs, Python packages."""
    python: str
    """Version of its Python, such as `3.11.2`."""


async def image_inventory(container: Container) -> ImageInventory:
    """Ask a container what its image has.

    Raises:
        ToolFailed: the container does not answer as every base image must.
    """
    ran = await container.run(_IMAGE_COMMAND, timeout=60)
    lines = ran.output.splitlines()
    if len(lines) < 5:
        raise ToolFailed(f"the base image cannot say what it has: {ran.output.strip()[-500:]}")
    system, python, git, programs, packages = (line.strip() for line in lines[:5])
    text = (
        f"{system}; Python {python}; {git}. No network.\n"
        f"Programs beside the core utilities: {programs}\n"
        f"Python packages beside the standard library: {packages or 'none'}"
    )
    return ImageInventory(text, python)


_MISSING_COMMAND = r"""
for name in "$@"; do
  plain=${name#python3-}
  command -v -- "$name" > /dev/null && continue
  python3 -c 'import importlib.util, sys
try:
    found = importlib.util.find_spec(sys.argv[1].replace("-", "_"))
except (ImportError, ValueError):
    found = None
sys.exit(found is None)' "$plain" 2> /dev/null && continue
  dpkg-query -W -f '${db:Status-Abbrev}' -- "$name" 2> /dev/null | grep -q '^ii' && continue
  printf '%s\n' "$name"
done
"""


async def missing_in(container: Container, names: Iterable[str]) -> list[str]:
    """Those of some programs, Python modules and Debian packages that a container has not."""
    wanted = [name.strip() for name in names if name.strip() and "\0" not in name]
    listed = " ".join(shlex.quote(name) for name in wanted)
    ran = await container.run(f"set -- {listed}\n{_MISSING_COMMAND}", timeout=60)
    return [name for name in wanted if name in ran.output.splitlines()]


async def describe_state(layer: StateLayer, container: Container, limit: int) -> str:
    """Describe a captured state: changed files, repositories with their history, beginnings of small text files.

    Args:
        layer: the captured state.
        container: the one that it was captured in; git is asked there, and nothing is changed.
        limit: characters that the description may have.
    """
    with tarfile.open(fileobj=io.BytesIO(layer.tar)) as tar:
        members = tar.getmembers()
        repositories = _repositories(members)
        told = [member for member in members if not _inside(member, repositories)]
        listing = _clip("\n".join(_lines(told, layer)), limit // 3, "entries")
        histories = ""
        if repositories:
            names = " ".join(shlex.quote(name) for name in sorted(set(repositories.values())))
            command = f"set -- {names}\n{_REPOSITORY_COMMAND}"
            ran = await container.run(command, timeout=60, output_limit=limit)
            histories = "\n\nRepositories:\n" + _clip(ran.output.strip(), limit // 3, "history")
        room = limit - len(listing) - len(histories)
        text = f"Changed files and directories:\n{listing}{histories}\n\n{_heads(tar, told, room)}".rstrip()
    # Names of files need not be UTF-8, but what is sent to a model must be.
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _path(member: tarfile.TarInfo) -> str:
    return "/" + member.name.removeprefix("./").strip("/")


def _repositories(members: list[tarfile.TarInfo]) -> dict[str, str]:
    """Folders where git keeps a repository, each with the place to speak to git from."""
    paths = {_path(member) for member in members}
    stores = [path.removesuffix("/HEAD") for path in paths if path.endswith("/HEAD")]
    return {
        store: store.removesuffix("/.git")
        for store in stores
        if store + "/objects" in paths and store + "/refs" in paths
    }


def _inside(member: tarfile.TarInfo, stores: dict[str, str]) -> bool:
    path = _path(member)
    return any(path.startswith(store + "/") for store in stores)


def _sampled(members: list[tarfile.TarInfo], most: int) -> Iterator[tarfile.TarInfo | str]:
    """The first `most` entries of each folder, and after the last of them how many more there are."""
    totals = Counter(posixpath.dirname(_path(member)) for member in members)
    seen: Counter[str] = Counter()
    for member in members:
        folder = posixpath.dirname(_path(member))
        seen[folder] += 1
        if seen[folder] <= most:
            yield member
        elif seen[folder] == most + 1:
            yield f"... and {totals[folder] - most} more in {folder}"


def _lines(members: list[tarfile.TarInfo], layer: StateLayer) -> Iterator[str]:
    for member in _sampled(members, _ENTRIES):
        if isinstance(member, str):
            yield member
            continue
        owner = f"{member.uname or member.uid}:{member.gname or member.gid}"
        target = f" -> {member.linkname}" if member.issym() or member.islnk() else ""
        slash = "/" if member.isdir() else ""
        size = f"{member.size:>9}" if member.isreg() else f"{'':>9}"
        yield f"{member.mode & 0o7777:04o} {owner} {size} {_path(member)}{slash}{target}"
    for path in layer.deletions:
        yield f"deleted: {path}"


def _heads(tar: tarfile.TarFile, members: list[tarfile.TarInfo], room: int) -> str:
    parts = []
    texts = [member for member in members if member.isreg() and 0 < member.size <= _LARGEST_TEXT]
    for member in _sampled(texts, _HEADS):
        if isinstance(member, str):
            continue
        file = tar.extractfile(member)
        text = _as_text(file.read()) if file else None
        if text is None:
            continue
        lines = text.splitlines()
        head = "\n".join(lines[:_HEAD_LINES])[:_HEAD_CHARACTERS]
        whole = f"all {len(lines)} lines" if len(head) >= len(text.rstrip("\n")) else f"beginning of {len(lines)} lines"
        part = f"--- {_path(member)} ({whole})\n{head}\n"
        room -= len(part) + 1
        if room < 0:
            parts.append("[further files are left out]")
            break
        parts.append(part)
    return "\n".join(parts)


def _as_text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _clip(text: str, limit: int, what: str) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n[further {what} are left out]"
