"""`synth eval` as a user starts it: real containers, and a model behind a real server."""

import asyncio
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.factory.commands import Ended, start, synth
from tests.trajectories.conftest import Teacher, answer
from trajectories.evaluation.result import load

pytestmark = pytest.mark.docker

GOOD = [
    answer("echo hello > greeting.txt\n", "ls -la / > listing.txt\n"),
    answer(complete=True),
    answer(complete=True, analysis="Yes."),
]
BAD = [answer(complete=True), answer(complete=True, analysis="Yes.")]


def plays(*scripts: list[str]) -> Callable[[list[dict[str, Any]]], str]:
    """One script a conversation, in the order in which they begin; the last again and again."""
    begun = 0
    current: list[str] = []

    def say(messages: list[dict[str, Any]]) -> str:
        nonlocal begun, current
        if len(messages) == 1:
            current = scripts[min(begun, len(scripts) - 1)]
            begun += 1
        return current[min(len(messages) // 2, len(current) - 1)]

    return say


async def evaluate(teacher: Teacher, folder: Path, *more: str) -> Ended:
    """`synth eval` on the folder's tasks, one trial at a time."""
    order = ("eval", "--tasks", "tasks", "--model", "stub", "--endpoint", teacher.base_url, "--in-flight", "1")
    return await asyncio.to_thread(synth, *order, "--out", "ev", "--json", *more, folder=folder)


async def test_figures_trials_and_going_on(
    teacher: Teacher, make_task: Callable[..., Path], tmp_path: Path, containers: Callable[[], list[str]]
) -> None:
    make_task(name="greeting-1")
    make_task(name="greeting-2")
    teacher.script = [plays(GOOD, BAD, GOOD, GOOD)]
    ended = await evaluate(teacher, tmp_path, "--repeats", "2", "--k", "2")
    assert ended.code == 0, ended.err
    found = ended.json
    assert (found["pass_at_1"]["value"], found["pass_at_k"]["value"]) == (0.75, 1.0)
    assert {task["task_id"]: task["passed"] for task in found["tasks"]} == {"greeting-1": 1, "greeting-2": 2}
    assert [task["label"] for task in found["tasks"]] == ["varied", "too-easy"]
    assert (found["trials"], found["failed"], found["ended"]) == (4, 0, "done")
    rows = [json.loads(line) for line in (tmp_path / "ev" / "trials.jsonl").read_text().splitlines()]
    assert [(row["task_id"], row["repeat"], row["reward"]) for row in rows] == [
        *(("greeting-1", 0, 1.0), ("greeting-1", 1, 0.0)),
        *(("greeting-2", 0, 1.0), ("greeting-2", 1, 1.0)),
    ]
    assert load(tmp_path / "ev").model_dump(mode="json") == found
    assert len(list((tmp_path / "ev" / "trials").glob("*/trajectory.json"))) == 4

    # More repeats: what is there stays, the rest is made.
    asked = len(teacher.requests)
    again = await evaluate(teacher, tmp_path, "--repeats", "3", "--k", "2")
    assert again.code == 0, again.err
    assert again.json["trials"] == 6
    assert sum(len(request["messages"]) == 1 for request in teacher.requests[asked:]) == 2

    # Another model in the same folder is refused, and so is the other order of k and repeats.
    for more, said in ((("--model", "other"), "other settings"), (("--k", "3", "--repeats", "2"), "--k 3 needs")):
        refused = await evaluate(teacher, tmp_path, *more)
        assert refused.code == 2
        assert said in refused.err
        assert len(refused.err.strip().splitlines()) == 1
    assert containers() == []


@pytest.mark.slow
async def test_what_breaks_outside_the_model_is_no_reward_of_zero(
    teacher: Teacher, make_task: Callable[..., Path], tmp_path: Path
) -> None:
    make_task(name="good")
    make_task(name="ungraded", grader="#!/bin/bash\nexit 0\n")
    (make_task(name="unbuilt") / "environment" / "Dockerfile").write_text("FROM scratch\nRUN no-such-program\n")
    teacher.script = [plays(GOOD)]
    ended = await evaluate(teacher, tmp_path, "--repeats", "1")
    assert ended.code == 1, ended.err
    found = ended.json
    assert (found["pass_at_1"]["value"], found["pass_at_1"]["tasks"]) == (1.0, 1)
    assert (found["trials"], found["failed"], found["ended"]) == (1, 2, "short")
    causes = {task["task_id"]: task["triage"] and task["triage"]["cause"] for task in found["tasks"]}
    assert causes == {"good": None, "unbuilt": "infrastructure", "ungraded": "infrastructure"}
    rows = [json.loads(line) for line in (tmp_path / "ev" / "trials.jsonl").read_text().splitlines()]
    failed = {row["task_id"]: row["failed"] for row in rows if row["reward"] is None}
    assert "RewardFileNotFoundError" in failed["ungraded"]
    assert "no image" in failed["unbuilt"]
    # Mended, the same command makes only what is owed.
    (tmp_path / "tasks" / "unbuilt" / "environment" / "Dockerfile").write_text(
        (tmp_path / "tasks" / "good" / "environment" / "Dockerfile").read_text()
    )
    asked = len(teacher.requests)
    again = await evaluate(teacher, tmp_path, "--repeats", "1")
    assert again.json["pass_at_1"]["tasks"] == 2
    assert sum(len(request["messages"]) == 1 for request in teacher.requests[asked:]) == 1 + 3, "three tries to grade"


@pytest.mark.slow
async def test_an_interrupted_evaluation_goes_on(
    teacher: Teacher, make_task: Callable[..., Path], tmp_path: Path
) -> None:
    make_task(name="greeting-1")
    teacher.script = [plays(GOOD)]
    order = ("eval", "--tasks", "tasks", "--model", "stub", "--endpoint", teacher.base_url, "--in-flight", "1")
    process = start((*order, "--repeats", "3", "--out", "ev"), tmp_path)
    lines = tmp_path / "ev" / "trials.jsonl"
    while not (lines.exists() and lines.read_text().count("\n")):  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 130, err
    assert "goes on from here" in err
    assert not (tmp_path / "ev" / "result.json").exists()
    again = await evaluate(teacher, tmp_path, "--repeats", "3")
    assert (again.code, again.json["trials"]) == (0, 3)


async def test_a_server_that_refuses_is_one_line(
    teacher: Teacher, make_task: Callable[..., Path], tmp_path: Path
) -> None:
    make_task(name="greeting-1")
    teacher.script = [(404, {"error": {"message": "no such model", "code": "model_not_found"}})]
    ended = await evaluate(teacher, tmp_path, "--repeats", "2")
    assert ended.code == 3
    last = ended.err.strip().splitlines()[-1]
    assert last.startswith("synth: ") and "no such model" in last
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--tasks", "none", "--model", "sim"), "none: there is no such folder"),
        (("--tasks", "empty", "--model", "sim"), "no task folder"),
        (("--tasks", "tasks", "--model", "gpt"), "--endpoint"),
        (("--tasks", "tasks", "--model", "acme:best"), "there is no upstream 'acme'"),
        (("--tasks", "tasks", "--model", "x", "--endpoint", "nowhere"), "http://"),
        (("--tasks", "tasks", "--model", "sim", "--k", "0"), "--k"),
        (("--tasks", "tasks", "--model", "sim", "--k", "5", "--repeats", "4"), "--repeats is 4"),
    ],
)
def test_wrong_orders_are_one_line(
    make_task: Callable[..., Path], tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    make_task(name="greeting-1")
    (tmp_path / "empty").mkdir()
    ended = synth("eval", *more, folder=tmp_path)
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not (tmp_path / "evals").exists()


def test_without_an_engine(make_task: Callable[..., Path], tmp_path: Path) -> None:
    make_task(name="greeting-1")
    ended = synth(
        *("eval", "--tasks", "tasks", "--model", "sim"),
        folder=tmp_path,
        extra={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"},
    )
    assert ended.code == 3, ended.err
    assert re.search(r"^synth: .*[Dd]ocker", ended.err.strip().splitlines()[-1])
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_the_built_in_model_in_tasks_of_its_own(tmp_path: Path) -> None:
    made = synth("generate", "--domain", "version_control", "--n", "2", "--run", "run", "--json", folder=tmp_path)
    assert made.code == 0, made.err
    solves = synth("eval", "--tasks", "run", "--model", "sim", "--repeats", "2", "--json", folder=tmp_path)
    assert (solves.code, solves.json["pass_at_1"]["value"], solves.json["trials"]) == (0, 1.0, 4)
    gives_up = synth(
        *("eval", "--tasks", "run", "--model", "sim", "--repeats", "2", "--out", "other", "--json"),
        folder=tmp_path,
        extra={"SYNTH_SIM__SURRENDERING_TEACHERS": "1.0"},
    )
    assert (gives_up.code, gives_up.json["pass_at_1"]["value"]) == (0, 0.0)
    assert {task["passed"] for task in gives_up.json["tasks"]} == {0}
    assert {task["label"] for task in solves.json["tasks"]} == {"too-easy"}
    for task in gives_up.json["tasks"]:
        assert (task["label"], task["triage"]["cause"]) == ("unsolved", "too-hard"), "it is certified"
        assert "checks passed on average" in task["triage"]["because"]
