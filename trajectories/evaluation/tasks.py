"""The tasks of an evaluation: Harbor task folders, ours or anybody's."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.folder import folder_digest, several_containers
from envs.found_tasks import TasksError, task_folders

__all__ = ["FoundTask", "TasksError", "find_tasks"]


@dataclass(frozen=True)
class FoundTask:
    """A task folder."""

    task_id: str
    """As its metadata say; the folder's name where they do not."""
    domain: str
    """Empty where the metadata do not say."""
    folder: Path
    digest: str
    """Of the folder's files."""


def find_tasks(folders: Sequence[Path]) -> tuple[list[FoundTask], dict[str, str]]:
    """Look for task folders.

    Args:
        folders: each a task folder, a folder of task folders (a Harbor dataset), or the folder of a run.

    Returns:
        The tasks sorted by id, and why a folder with a task.toml cannot be used, by path. A task that is found twice
        with the same files counts once.

    Raises:
        TasksError: a folder is not there or has no task, none of the tasks can be used, or two differ under one id.
    """
    found: dict[str, FoundTask] = {}
    unusable: dict[str, str] = {}
    for given in folders:
        for place in task_folders(given):
            read = _read(place)
            if isinstance(read, str):
                unusable[str(place)] = read
                continue
            before = found.setdefault(read.task_id, read)
            if before.digest != read.digest:
                raise TasksError(f"{place}: another task is named {read.task_id} too: {before.folder}")
    if not found:
        path, why = next(iter(unusable.items()))
        raise TasksError(f"{path}: {why}")
    return [found[task_id] for task_id in sorted(found)], unusable


def _read(folder: Path) -> FoundTask | str:
    """The task of a folder, or why it cannot be used."""
    try:
        config = tomllib.loads((folder / "task.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"task.toml cannot be read: {' '.join(str(error).split())}"
    if several_containers(folder / "environment"):
        return "an environment of several containers (docker-compose.yaml) is not supported"
    environment = _table(config, "environment")
    if not (folder / "environment" / "Dockerfile").exists() and not environment.get("docker_image"):
        return "it has no environment: neither environment/Dockerfile nor docker_image"
    if not (folder / "instruction.md").exists():
        return "it has no instruction.md"
    if not (folder / "tests").is_dir():
        return "it has no tests"
    about = _table(config, "metadata")
    return FoundTask(
        task_id=str(about.get("task_id", folder.resolve().name)),
        domain=str(about.get("domain", "")),
        folder=folder,
        digest=folder_digest(folder),
    )


def _table(config: dict[str, Any], name: str) -> dict[str, Any]:
    table = config.get(name)
    return table if isinstance(table, dict) else {}
