"""Tests and solutions that lie where the agent works, as far as the folder itself shows it.

What an image really holds is found by the gates, which look into it; here are the ways in which it comes there.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from envs.verify.defects import Defect, Fault
from envs.verify.dockerfile import instructions

SMALL = 40
"""Bytes below which two files may be the same by chance: an empty `__init__.py`, a `.gitkeep`."""

SECRET: Mapping[str, Defect] = {"tests": "tests-in-agent-folder", "solution": "leaked-answer"}
"""What it is when a file of one of these folders is in the agent's reach."""

OUTSIDE = ("/tests", "/logs", "/tmp", "/root/.", "/dev", "/opt/venv")  # noqa: S108
"""Where tests may work: folders that the agent was not given to work in."""

_CD = re.compile(r"^\s*(?:cd|pushd)\s+(?:--\s+)?[\"']?([^\s;&|\"']+)")
_COPY = re.compile(r"^\s*(?:cp|mv|ln|install|rsync)\s+(?:-\S+\s+)*(.*/tests\S*.*?)\s+[\"']?([^\s;&|\"']+)[\"']?\s*$")
_TEST = re.compile(r"tests/?|(?:tests?/)?(?:test_\w+|\w+_test|run[-_]tests)\.\w+")
_RUNS = re.compile(r"(?:^|[;&|(]|\s)(?:pytest|python3?|bash|sh|\.|source|node|cargo|go|npm)\s+(.*)$")


def misplaced(folder: Path) -> list[Fault]:
    """What puts tests or solution into the agent's reach."""
    found = [*_in_context(folder), *_by_name(folder), *_by_script(folder)]
    return [Fault(defect, detail) for defect, detail in found]


def _in_context(folder: Path) -> Iterator[tuple[Defect, str]]:
    """Files of the build context with the content of a test or of the solution."""
    secret: dict[bytes, tuple[Defect, str]] = {}
    for part, defect in SECRET.items():
        for path in sorted((folder / part).rglob("*")):
            if path.is_file() and path.stat().st_size >= SMALL:
                secret[path.read_bytes().strip()] = (defect, path.relative_to(folder).as_posix())
    sizes = {len(content) for content in secret}
    for path in sorted((folder / "environment").rglob("*")):
        # Stripped ends may differ by a line feed or two.
        if path.is_file() and any(abs(path.stat().st_size - size) <= 2 for size in sizes):
            found = secret.get(path.read_bytes().strip())
            # A file that the tests carry to compare with is an input, and no test.
            if found and (found[0] == "leaked-answer" or found[1].endswith((".sh", ".py"))):
                yield found[0], f"{path.relative_to(folder).as_posix()} goes into the image and is {found[1]}"


def _by_name(folder: Path) -> Iterator[tuple[Defect, str]]:
    """Instructions of the Dockerfile that lay something down where tests and solution belong."""
    file = folder / "environment" / "Dockerfile"
    if not file.is_file():
        return
    for one in instructions(file.read_text(encoding="utf-8", errors="replace")):
        if one.name not in ("COPY", "ADD"):
            continue
        words = [word.strip("[]\"',") for word in one.value.split() if not word.startswith("--")]
        target = posixpath.normpath(words[-1]) if words else ""
        for part, defect in SECRET.items():
            names = {part, f"{part}.sh", "solve.sh" if part == "solution" else "test_outputs.py"}
            if target == f"/{part}" or target.startswith(f"/{part}/"):
                yield defect, f"the Dockerfile lays files into /{part}: {one.name} {one.value}"
            elif any(posixpath.normpath(word) in names - {"tests"} for word in words[:-1]):
                yield defect, f"the Dockerfile copies {part} into the image: {one.name} {one.value}"


def _by_script(folder: Path) -> Iterator[tuple[Defect, str]]:
    """A tests/test.sh that puts the tests where the agent works, or runs what lies there."""
    file = folder / "tests" / "test.sh"
    if not file.is_file():
        return
    names = {path.name for path in file.parent.iterdir() if path != file}
    place = ""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lstrip().startswith("#"):
            continue
        if moved := _COPY.match(line):
            target = posixpath.normpath(posixpath.join(place or ".", moved.group(2)))
            if not target.startswith(OUTSIDE) and "$" not in target:
                yield "tests-in-agent-folder", f"tests/test.sh puts tests where the agent works: {line.strip()}"
                return
        if went := _CD.match(line):
            # Where a variable leads (mostly to the script's own folder) cannot be told from here.
            place = OUTSIDE[0] if "$" in went.group(1) else went.group(1)
        if ran := _RUNS.search(line):
            theirs = _relative_tests(ran.group(1), names)
            if theirs and (place or ".").startswith(OUTSIDE):
                continue
            if theirs:
                yield (
                    "tests-in-agent-folder",
                    f"tests/test.sh runs {theirs} in the agent's folder{f' {place}' if place else ''}",
                )
                return


def _relative_tests(arguments: str, names: set[str]) -> str:
    """The first argument that names a test by a relative path: what runs is what the agent left there."""
    for word in re.split(r"[\s;&|)]+", arguments):
        bare = word.strip("\"'").removeprefix("./").partition("::")[0]
        if not bare or bare.startswith(("-", "/", "$", "<", ">")):
            continue
        if posixpath.basename(bare) in names or _TEST.fullmatch(bare):
            return bare
    return ""
