"""What a Dockerfile stands on: the images that it names, whether they are pinned, and the same file on other ones."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
NO_IMAGE = "scratch"
"""The empty image: there is nothing to fetch."""


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    """In capitals."""
    value: str
    """As written, without what is between heredoc markers."""
    first: int
    last: int
    """Its lines, from 0."""


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile in order; comments and the bodies of heredocs are none."""
    lines = text.splitlines()
    mark = re.match(r"#\s*escape\s*=\s*(\S)", lines[0]) if lines else None
    escape = mark.group(1) if mark else "\\"
    found: list[Instruction] = []
    at = 0
    while at < len(lines):
        first = at
        if not lines[at].strip() or lines[at].lstrip().startswith("#"):
            at += 1
            continue
        parts: list[str] = []
        while at < len(lines):
            line = lines[at].rstrip()
            at += 1
            if line.lstrip().startswith("#"):
                continue
            parts.append(line.removesuffix(escape).strip())
            if not line.endswith(escape):
                break
        name, _, value = " ".join(parts).strip().partition(" ")
        for heredoc in _HEREDOC.finditer(value) if name.upper() in ("RUN", "COPY", "ADD") else ():
            while at < len(lines) and lines[at].strip() != heredoc.group(2):
                at += 1
            at += 1
        found.append(Instruction(name.upper(), value.strip(), first, min(at, len(lines)) - 1))
    return found


def images(text: str) -> list[str]:
    """The images that must be there to build a Dockerfile, each once: of FROM and of `COPY --from`.

    Names of arguments are replaced by their defaults; earlier stages and `scratch` are no images.
    """
    return list(dict.fromkeys(name for _, _, name in _named(text)))


def rebased(text: str, other: Callable[[str], str]) -> str:
    """The same Dockerfile on other images.

    Args:
        text: the Dockerfile.
        other: gives the image to take for one that is named; the same where it stays.
    """
    lines = text.splitlines()
    changed = False
    for instruction, written, name in _named(text):
        new = other(name)
        if new == name:
            continue
        changed = True
        replaced = f"{instruction.name} {instruction.value.replace(written, new, 1)}"
        lines[instruction.first : instruction.last + 1] = [
            replaced,
            *("#" for _ in range(instruction.last - instruction.first)),
        ]
    return "\n".join(lines) + "\n" if changed else text


def pinned(image: str) -> bool:
    """Whether an image's name says which one it is: by digest, or by a tag other than `latest`."""
    _, tag, digest = parts(image)
    return bool(digest) or tag not in ("", "latest")


def parts(image: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image's reference; tag and digest are empty where there is none."""
    rest, _, digest = image.partition("@")
    # A colon before the last slash belongs to the registry's port.
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return head + slash + name, tag, digest


def _named(text: str) -> Iterator[tuple[Instruction, str, str]]:
    """Instruction, the name as it stands there, and the image that it means."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    count = 0
    for one in instructions(text):
        if one.name == "ARG" and count == 0:
            name, _, default = one.value.partition("=")
            arguments[name.strip()] = default.strip().strip("\"'")
        elif one.name == "FROM":
            words = [word for word in one.value.split() if not word.startswith("--")]
            if not words:
                continue
            image = _expanded(words[0], arguments)
            if image.lower() not in stages and image != NO_IMAGE:
                yield one, words[0], image
            stages.add(str(count))
            count += 1
            if len(words) > 2 and words[1].lower() == "as":
                stages.add(words[2].lower())
        elif one.name in ("COPY", "ADD"):
            named = re.match(r"(?:--\S+\s+)*?--from=(\S+)", one.value)
            if named and (image := _expanded(named.group(1), arguments)).lower() not in stages and image != NO_IMAGE:
                yield one, named.group(1), image


def _expanded(text: str, arguments: Mapping[str, str]) -> str:
    """The text with arguments replaced; one that has no value stays as it is written."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(3)
        return arguments.get(name, "") or match.group(2) or match.group(0)

    return _VARIABLE.sub(value, text.strip("\"'"))
