"""An export is there whole or not at all: everything is made in a folder aside and moved into place at the end."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trajectories.export.order import ExportError

MANIFEST = "export.json"
CARD = "README.md"
_ASIDE = ".export.tmp"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder to write an export in; on success its content replaces what the last export left in `folder`.

    The card is moved last. What `export.json` of an earlier export names and this one has not made again is removed;
    nothing else in the folder is touched.

    Raises:
        ExportError: the folder cannot be made or written.
    """
    aside = folder / _ASIDE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        yield aside
        _settle(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _settle(aside: Path, folder: Path) -> None:
    made = sorted((entry.name for entry in aside.iterdir()), key=lambda name: (name == CARD, name))
    for name in sorted(_earlier(folder) - set(made)):
        _remove(folder / name)
    for name in made:
        if (folder / name).is_dir():
            _remove(folder / name)
        (aside / name).replace(folder / name)


def _earlier(folder: Path) -> set[str]:
    """Names of what the last export left; only plain names, whatever the file says."""
    try:
        named = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    tops = {name.rstrip("/") for name in named if isinstance(name, str)}
    return {name for name in tops if name not in ("", ".", "..") and "/" not in name}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
