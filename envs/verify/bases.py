"""Other base images in the place of those that a task names, as `--map FROM=TO` asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from envs.verify.dockerfile import parts


class BadMap(ValueError):
    """A `FROM=TO` that cannot be understood; one line."""


@dataclass(frozen=True)
class Map:
    """One replacement."""

    pattern: str
    """Image with its tag, without (then any tag), or with `*` in it."""
    to: str

    def fits(self, image: str) -> bool:
        """Whether an image of this name is to be replaced."""
        name, tag, digest = parts(image)
        tagged = f"{name}:{tag or 'latest'}"
        if "*" in self.pattern:
            return any(fnmatchcase(one, self.pattern) for one in (image, tagged))
        return self.pattern in {image, name, tagged, f"{name}:{tag}@{digest}", f"{name}@{digest}"}


def parse(text: str) -> Map:
    """Read `FROM=TO`.

    Raises:
        BadMap: it has no such form.
    """
    pattern, sign, to = (part.strip() for part in text.partition("="))
    if not sign or not pattern or not to or " " in pattern or " " in to:
        raise BadMap(f"--map: {text!r} is not FROM=TO, such as python:*=synth-base/coding")
    return Map(pattern, to)


def replaced(image: str, maps: Sequence[Map]) -> str:
    """The image to take for one that a task names: the first map that fits; the same where none does."""
    return next((one.to for one in maps if one.fits(image)), image)
