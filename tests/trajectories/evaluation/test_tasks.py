"""Finding task folders, and saying what is wrong with those that cannot be used."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trajectories.evaluation.tasks import TasksError, find_tasks


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a task folder."""

    def make(path: str, toml: str = "", dockerfile: bool = True) -> Path:
        folder = tmp_path / path
        (folder / "environment").mkdir(parents=True)
        (folder / "tests").mkdir()
        (folder / "task.toml").write_text(toml)
        (folder / "instruction.md").write_text("Do it.\n")
        if dockerfile:
            (folder / "environment" / "Dockerfile").write_text("FROM scratch\n")
        return folder

    return make


def test_a_dataset_a_task_and_a_run(write: Callable[..., Path], tmp_path: Path) -> None:
    write("set/b")
    write("set/a", '[metadata]\ntask_id = "x"\ndomain = "games"\n')
    write("run/tasks/c")
    write("run/rejected/d")
    found, unusable = find_tasks([tmp_path / "set", tmp_path / "run", tmp_path / "set" / "b"])
    assert [(task.task_id, task.domain) for task in found] == [("b", ""), ("c", ""), ("x", "games")]
    assert unusable == {}


def test_what_cannot_be_used_is_named(write: Callable[..., Path], tmp_path: Path) -> None:
    write("set/good")
    write("set/image", '[environment]\ndocker_image = "x:1"\n', dockerfile=False)
    write("set/bare", dockerfile=False)
    write("set/torn", "[metadata\n")
    (write("set/several") / "environment" / "docker-compose.yaml").write_text("services: {}\n")
    (write("set/silent") / "instruction.md").unlink()
    found, unusable = find_tasks([tmp_path / "set"])
    assert [task.task_id for task in found] == ["good", "image"]
    why = {Path(path).name: reason for path, reason in unusable.items()}
    assert set(why) == {"bare", "torn", "several", "silent"}
    assert "environment" in why["bare"]
    assert "task.toml" in why["torn"]
    assert "docker-compose" in why["several"]
    assert "instruction.md" in why["silent"]


def test_nothing_to_use_is_an_error(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write("bad/torn", "[metadata\n")
    for folder, said in (("empty", "no task folder"), ("none", "no such folder"), ("bad", "task.toml")):
        with pytest.raises(TasksError, match=said):
            find_tasks([tmp_path / folder])


def test_two_tasks_of_one_name(write: Callable[..., Path], tmp_path: Path) -> None:
    write("one/a")
    write("two/a", "# other\n")
    with pytest.raises(TasksError, match="is named a too"):
        find_tasks([tmp_path / "one", tmp_path / "two"])
