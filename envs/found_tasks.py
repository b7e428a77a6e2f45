"""Where task folders are: in a folder that is one, that holds some (a Harbor dataset), or that is a run."""

from pathlib import Path


class TasksError(ValueError):
    """Folders in which there is no task to be used: one line that says where and why."""


def task_folders(given: Path) -> list[Path]:
    """The folders with a `task.toml`, sorted; whether they can be used is not looked at.

    Args:
        given: a task folder, a folder of task folders, or the folder of a run.

    Raises:
        TasksError: the folder is not there or has no task.
    """
    if (given / "task.toml").exists():
        return [given]
    # A run keeps its proven tasks apart from those that failed a gate.
    within = given / "tasks" if (given / "tasks").is_dir() else given
    found = [path.parent for path in sorted(within.glob("*/task.toml"))] if within.is_dir() else []
    if not found:
        why = "there is no such folder" if not given.is_dir() else "no task folder (with a task.toml) is in it"
        raise TasksError(f"{given}: {why}")
    return found
