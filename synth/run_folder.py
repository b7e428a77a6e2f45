"""A run on disk: where things lie, who holds it, and how a finished thing gets there.

Files first (temporary name, then rename), then the ledger: whatever the ledger calls done is on disk and whole.
"""

import fcntl
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w


class RunBusy(Exception):
    """Another process works on this run folder."""


class RunUnreadable(Exception):
    """The run folder holds something that cannot be what synth wrote."""


class RunFolder:
    """Paths of one run and the writes that may be torn by a kill without harm."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is touched yet."""
        self.path = path
        self.settings_file = path / "run.toml"
        self.lock_file = path / "lock.json"
        self.ledger_file = path / "ledger.sqlite"
        self.tasks = path / "tasks"
        """Proven environments, by task."""
        self.built = path / "built"
        """Environments that the gates have not seen yet."""
        self.rejected = path / "rejected"
        """Environments that failed a gate, kept as evidence."""
        self.trials = path / "trials"
        self.failed = path / "failed"
        """What trials left that broke for a reason outside the agent."""
        self.rows = path / "rows"
        self._work = path / ".work"

    @contextmanager
    def held(self, folders: Sequence[str] = ("tasks", "trials", "rows")) -> Iterator[None]:
        """Hold the run for this process; the kernel lets go when the process dies, however it dies.

        Args:
            folders: those that are made in it if need be.

        Raises:
            RunBusy: another living process holds it.
            RunUnreadable: the path is a file, or cannot be created or written.
        """
        try:
            for folder in (self.path, *(self.path / name for name in folders)):
                folder.mkdir(parents=True, exist_ok=True)
            holder = (self.path / ".holder").open("a+")
        except OSError as error:
            raise RunUnreadable(f"{self.path}: cannot be used as a run folder ({error.strerror})") from error
        with holder:
            try:
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder.seek(0)
                raise RunBusy(f"{self.path}: process {holder.read().strip() or 'unknown'} works on this run") from None
            holder.truncate(0)
            holder.write(str(os.getpid()))
            holder.flush()
            # What a dead process left half made is owed again, so nothing in here is of use to anybody.
            shutil.rmtree(self._work, ignore_errors=True)
            self._work.mkdir()
            try:
                yield
            finally:
                shutil.rmtree(self._work, ignore_errors=True)

    def workplace(self, name: str) -> Path:
        """An empty folder to make something in; `settle` moves it to its place when it is whole."""
        folder = self._work / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def settle(self, folder: Path, place: Path) -> Path:
        """Rename a finished folder into place; what lay there (a torn or earlier one) makes way, as a whole."""
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            # Moved first: a kill in the middle of its removal would leave half of it in the place.
            old = self.workplace(f"old-{place.name}") / "old"
            place.rename(old)
            folder.rename(place)
            shutil.rmtree(old.parent)
        else:
            folder.rename(place)
        return place

    def keep_failed(self, folder: Path, name: str) -> Path:
        """Keep what a broken attempt left, beside those before it."""
        self.failed.mkdir(exist_ok=True)
        number = 1 + sum(1 for _ in self.failed.glob(f"{name}.*"))
        return self.settle(folder, self.failed / f"{name}.{number}")

    def write(self, place: Path, text: str) -> None:
        """Write a whole file or none."""
        temporary = place.with_name(f".{place.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(place)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write `run.toml`; absent values (None) are left out, as TOML has no word for them."""
        self.write(self.settings_file, tomli_w.dumps(without_none(settings)))

    def read_settings(self) -> dict[str, Any] | None:
        """Settings the run was made with, None for a new run.

        Raises:
            RunUnreadable: `run.toml` is damaged.
        """
        if not self.settings_file.exists():
            return None
        try:
            return tomllib.loads(self.settings_file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RunUnreadable(f"{self.settings_file}: not readable as TOML ({error})") from error


def without_none(value: Any) -> Any:
    """The same value with absent entries (None) left out of its mappings, at every depth."""
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value]
    return value
