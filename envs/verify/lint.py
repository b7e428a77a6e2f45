"""What can be told of a task by reading it, after what audits of published task sets found.

Reading is no proof. Of all that is found here only two things count as a defect, `ambiguous`: an output that the tests
read and the instruction does not name, and an instruction in which nothing can be measured. The rest are notes.
"""

import ast
import difflib
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VAGUE = (
    "appropriate", "appropriately", "as needed", "better", "clean", "cleanly", "efficient", "efficiently", "elegant",
    "fast", "good", "intuitive", "nice", "optimal", "production-ready", "proper", "properly", "readable", "reasonable",
    "reasonably", "robust", "robustly", "secure", "sensible", "suitable", "user-friendly", "well-structured",
)  # fmt: skip
"""Words that ask for something without saying how much of it."""

FETCHING = re.compile(
    r"(?<![\w/.-])(?:apt-get|apt|apk|dnf|yum|npm|pip3?|uvx?|uv pip|curl|wget|gem|cargo|go)(?=\s)"
    r"(?:\s+-\S+)*\s+(?:install|add|get|update|-\S*[LsSfo]\S*|https?:\S+|--with|-w|-p|run|tool)\S*"
)
"""Commands that fetch something from a network."""

TEXT_BYTES = 400_000
"""Larger files are data, not text to be read here."""

_PATH = re.compile(r"(?<![\w:/.$}~])/(?:[\w.+@-]+/)*[\w.+@-]*[\w+@-](?:\.[\w+-]+)*")
_FILE = re.compile(r"(?<![\w/.$-])(?:\./)?(?:[\w+-]+/)*[\w+-]+\.[A-Za-z][A-Za-z0-9]{0,5}(?:\.gz)?(?![\w/(])")
_PLACEHOLDER = re.compile(r"[*>})\]…]|\.\.\.")
_SYSTEM = ("/bin/", "/dev/", "/lib", "/logs", "/proc/", "/sbin/", "/solution", "/sys/", "/tests", "/usr/")
_DATE = re.compile(r"(?<![\d.-])20\d\d-[01]\d-[0-3]\d(?![\d.-])")
_NOW = re.compile(r"\b(?:datetime|date)\.(?:now|today|utcnow)\(|\btime\.time\(|\$\(date\b|`date\b")
_MEASURED = re.compile(
    r"\bclean\b(?=\W+(?:checkout|clone|build|working|tree|state|status))|(?:tree|status)[^\n]{0,80}?\bclean\b"
)
"""Uses of such words that say what is meant: git knows when a working tree is clean."""
_CONCRETE = re.compile(r"\d|`[^`]+`|\"[^\"]+\"|'[^'\s][^']*'|```|\n\s*\|.*\|")


@dataclass(frozen=True)
class Texts:
    """The parts of a task that are read."""

    instruction: str
    tests: Mapping[str, str]
    """By path below `tests/`."""
    dockerfile: str = ""


@dataclass(frozen=True)
class Note:
    """Something that a person should look at."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def read_texts(folder: Path) -> Texts:
    """The texts of a task folder; what is no UTF-8 or very large is left out."""
    tests = {
        path.relative_to(folder / "tests").as_posix(): text
        for path in sorted((folder / "tests").rglob("*"))
        if path.is_file() and (text := _text(path)) is not None
    }
    return Texts(_text(folder / "instruction.md") or "", tests, _text(folder / "environment" / "Dockerfile") or "")


def notes(texts: Texts) -> list[Note]:
    """What a person should look at; none of it counts as a defect."""
    return [
        *_paths_of(texts),
        *_vague(texts),
        *_untested(texts),
        *_near_names(texts),
        *_installs(texts),
        *_no_reward(texts),
        *_dates(texts),
    ]


def immeasurable(texts: Texts) -> str:
    """Why nothing in the instruction can be measured; empty where something can."""
    if _PATH.search(texts.instruction) or _FILE.search(texts.instruction) or _CONCRETE.search(texts.instruction):
        return ""
    return "the instruction names no file, no number, no command and no value: nothing in it can be measured"


def unnamed(texts: Texts, outputs: Iterable[str], initial: Collection[str] | None = None) -> list[str]:
    """Outputs that the tests read and the instruction does not name.

    Args:
        texts: of the task.
        outputs: files that the reference solution creates, by absolute path.
        initial: folders that are there before; None is all.

    A file counts as named when its name is in the instruction, when a pattern such as `*.txt` or `<name>.txt` is,
    or when it lies in a folder that is named and that the solution makes itself (a clone, an installation).
    """
    literals = _literals(texts.tests)
    found = []
    for path in outputs:
        name, suffix = posixpath.basename(path), posixpath.splitext(path)[1]
        hidden = any(part.startswith(".") for part in path.split("/"))
        if hidden or path.startswith(_SYSTEM) or not _mentions(literals, path):
            continue
        if name in texts.instruction:
            continue
        if initial is not None and _named_folder(path, texts.instruction, initial):
            continue
        if suffix and re.search(rf"(?:{_PLACEHOLDER.pattern})[\w-]*{re.escape(suffix)}\b", texts.instruction):
            continue
        found.append(path)
    return found


def _named_folder(path: str, instruction: str, initial: Collection[str]) -> bool:
    folder = posixpath.dirname(path)
    while folder not in ("/", ""):
        if folder not in initial and (folder in instruction or f"{posixpath.basename(folder)}/" in instruction):
            return True
        folder = posixpath.dirname(folder)
    return False


def _mentions(literals: Collection[str], path: str) -> bool:
    """Whether one of the tests' literals is the path, or ends it: `Path("/app") / "out.json"`."""
    return any(path == one or (one and path.endswith(f"/{one.removeprefix('./')}")) for one in literals)


def _literals(tests: Mapping[str, str]) -> set[str]:
    """Texts in the tests that may be the name of a file."""
    found: set[str] = set()
    for name, text in tests.items():
        if name.endswith(".py"):
            try:
                tree = ast.parse(text)
            except (SyntaxError, ValueError):
                continue
            found |= {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300
            }
        elif name.endswith(".sh"):
            found |= set(_PATH.findall(text))
    return {one for one in found if "\n" not in one and re.search(r"[\w-]", one)}


def _paths_of(texts: Texts) -> Iterable[Note]:
    if not _PATH.search(texts.instruction):
        relative = sorted(set(_FILE.findall(texts.instruction)))
        if relative:
            yield Note("relative-paths", f"the instruction names files by relative paths only: {_list(relative)}")
        else:
            yield Note("no-paths", "the instruction names no absolute path")


def _vague(texts: Texts) -> Iterable[Note]:
    prose = re.sub(r"```.*?```|`[^`]*`", " ", texts.instruction, flags=re.DOTALL).lower()
    prose = _MEASURED.sub(" ", prose)
    words = [word for word in VAGUE if re.search(rf"(?<![\w/.-]){re.escape(word)}(?![\w/-])", prose)]
    if words:
        yield Note("vague-words", f"words without a measure: {_list(words)}")


def _untested(texts: Texts) -> Iterable[Note]:
    every = "\n".join(texts.tests.values())
    asked = dict.fromkeys(path for path in _PATH.findall(texts.instruction) if "." in posixpath.basename(path))
    # What the Dockerfile lays down is given, and need not be graded.
    missing = [path for path in asked if posixpath.basename(path) not in every + texts.dockerfile]
    if missing:
        yield Note("unmentioned", f"no test mentions what the instruction names: {_list(missing)}")


def _near_names(texts: Texts) -> Iterable[Note]:
    """Two names that differ by a letter or two are often meant to be one."""
    asked = {posixpath.basename(path) for find in (_PATH, _FILE) for path in find.findall(texts.instruction)}
    read = {posixpath.basename(one) for one in _literals(texts.tests) if _FILE.fullmatch(posixpath.basename(one))}
    for name in sorted(read - asked - {posixpath.basename(one) for one in texts.tests}):
        near = [one for one in difflib.get_close_matches(name, sorted(asked), n=3, cutoff=0.88) if _typo(name, one)]
        if near:
            yield Note("near-names", f"the tests name {name}, the instruction {near[0]}")


def _typo(one: str, other: str) -> bool:
    """Whether two names differ by letters, and not by a number that tells files of one kind apart."""
    return re.sub(r"\d+", "", one) != re.sub(r"\d+", "", other)


def _installs(texts: Texts) -> Iterable[Note]:
    for name, text in texts.tests.items():
        if name.endswith(".sh"):
            code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
            if found := sorted({" ".join(one.split()) for one in FETCHING.findall(code)}):
                yield Note("tests-install", f"tests/{name} fetches from a network: {_list(found)}")


def _no_reward(texts: Texts) -> Iterable[Note]:
    """A script that ends before it has written a verdict leaves none."""
    for name, text in texts.tests.items():
        lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
        if name != "test.sh":
            continue
        writes = [at for at, line in enumerate(lines) if "reward." in line]
        if not writes:
            if not any(line.startswith(("exec ", "python", "bash ", "sh ", "source ", ". ")) for line in lines):
                yield Note("no-reward", "tests/test.sh writes no reward: its exit code says nothing to Harbor")
            continue
        before = lines[: writes[0]]
        if any(re.match(r"set\s+-\w*e", line) for line in before):
            yield Note("no-reward", "tests/test.sh runs under `set -e` and may end before it writes a reward")
        elif any(re.search(r"(?:^|[;&|{]\s*)exit\s+[1-9]", line) for line in before):
            yield Note("no-reward", "tests/test.sh may exit before it writes a reward")


def _dates(texts: Texts) -> Iterable[Note]:
    for name, text in texts.tests.items():
        if name.endswith((".py", ".sh")) and _NOW.search(text) and (dates := sorted(set(_DATE.findall(text)))):
            yield Note("dates", f"tests/{name} reads the clock and names dates: {_list(dates)}")


def _list(found: Sequence[str], most: int = 5) -> str:
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= TEXT_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None
