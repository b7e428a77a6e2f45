"""State-equivalence for real: containers brought to a step, and what commands leave in them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.factory.commands import synth
from trajectories.replay.equivalence import chosen, earlier, equivalence
from trajectories.replay.equivalence_result import StepEquivalence, figures
from trajectories.replay.step import Step

from .results import said, steps_of, write_result, write_steps

SCREEN = "New Terminal Output:\nroot@box:/app# "
BEFORE = ("git init -q -b main /app/repo", "cd /app/repo", "git config user.email a@b.c; git config user.name A")
COMMIT = ("echo one > a.txt", "git add a.txt", "git commit -qm one")


def step(*reference: str, before: tuple[str, ...] = BEFORE, place: int = 1, task: str = "box") -> Step:
    """A step whose teacher types `reference` after an answer that typed `before`."""
    messages = [
        {"role": "user", "content": "Do it."},
        {"role": "assistant", "content": said(*before)},
        {"role": "user", "content": SCREEN},
    ]
    return Step(task_id=task, step_idx=place, ref_raw=said(*reference), messages=messages)


def keys(*typed: str, seconds: float = 0.1) -> str:
    """An answer whose keystrokes are typed as they stand."""
    commands = [{"keystrokes": one, "duration": seconds} for one in typed]
    return json.dumps({"analysis": "", "plan": "", "commands": commands})


@pytest.fixture
def execute(
    make_task: Callable[..., Path], environment_kwargs: dict[str, Any], containers: Callable[[], list[str]]
) -> Callable[..., Any]:
    """Execute cases, two at a time; nothing is left behind."""

    async def run(cases: dict[str, tuple[Step, str | None]]) -> dict[str, StepEquivalence]:
        folder = make_task(name="box")
        places = asyncio.Semaphore(2)

        async def one(number: int, asked: Step, text: str | None) -> StepEquivalence:
            async with places:
                # Containers of trials are told apart by the step.
                asked = asked.model_copy(update={"sample_idx": number})
                return await equivalence(asked, text, folder, environment_kwargs)

        rows = await asyncio.gather(*(one(number, *case) for number, case in enumerate(cases.values())))
        assert containers() == []
        return dict(zip(cases, rows, strict=True))

    return run


@pytest.mark.docker
async def test_the_same_effect_is_the_same_however_it_is_worded(execute: Callable[..., Any]) -> None:
    found = await execute(
        {
            "same keys": (step(*COMMIT), said(*COMMIT)),
            "one line": (step(*COMMIT), said("cd /app/repo && echo one > a.txt && git add . && git commit -q -m one")),
            "true": (step(*COMMIT), said("true")),
            "another file": (step(*COMMIT), said("echo one > b.txt; git add b.txt", COMMIT[2])),
        }
    )
    told = {name: (row.outcome, row.changes, row.same_keys) for name, row in found.items()}
    assert told == {
        "same keys": ("same", True, True),
        "one line": ("same", True, False),
        "true": ("differs", True, False),
        "another file": ("differs", True, False),
    }, [row.model_dump() for row in found.values()]
    assert {"/app/repo/a.txt", "/app/repo/b.txt"} <= set(found["another file"].files)


@pytest.mark.docker
@pytest.mark.slow
async def test_what_counts_as_the_same_state(execute: Callable[..., Any]) -> None:
    busy = Step(
        **{
            **step("x", place=2).model_dump(),
            "ref_raw": keys("C-c"),
            "messages": [{"role": "assistant", "content": keys("sleep 1000\n")}],
        }
    )
    found = await execute(
        {
            "not committed": (step(*COMMIT), said(*COMMIT[:2])),
            "not staged": (step(*COMMIT[:2]), said("echo one > a.txt; git hash-object -w a.txt")),
            "elsewhere": (step("cd /tmp"), said("cd /var")),
            "variable": (step("export LEVEL=2"), said("export LEVEL=3")),
            "only looks": (step("ls"), said("cat /etc/hostname")),
            "by the clock": (step("date +%s%N > at.txt"), said("date > at.txt")),
            "no command": (step("ls"), "I cannot."),
            "no answer": (step("ls"), None),
            "key": (busy, keys("C-c", "clear\n")),
            "no key": (busy, keys("")),
            "server": (step("sleep 1000 &"), said("true")),
            "exit": (step("exit"), said("true")),
        }
    )
    told = {name: (row.outcome, row.changes) for name, row in found.items()}
    assert told == {
        "not committed": ("differs", True),
        "not staged": ("differs", True),
        "elsewhere": ("differs", True),
        "variable": ("differs", True),
        "only looks": ("same", False),
        "by the clock": ("same", True),
        "no command": ("unreadable", False),
        "no answer": ("unreadable", False),
        "key": ("same", True),
        "no key": ("differs", True),
        "server": ("differs", True),
        "exit": ("differs", True),
    }, [row.model_dump() for row in found.values()]
    assert found["not staged"].files == ["/app/repo/.git/index"]
    assert (found["elsewhere"].shell, found["elsewhere"].same_files) == (["working directory"], True)
    assert found["variable"].shell == ["$LEVEL"]
    assert found["by the clock"].unstable == ["/app/repo/at.txt"]
    assert found["no key"].shell[0] == "program in front"
    assert found["server"].shell == ["process sleep #"]
    assert found["exit"].shell == ["session closed"]


@pytest.mark.docker
async def test_what_breaks_is_named_and_in_no_share(
    make_task: Callable[..., Path], environment_kwargs: dict[str, Any], tmp_path: Path
) -> None:
    missing = {**environment_kwargs, "image": "synth-base/none-such:0"}
    gone = await equivalence(step("ls"), said("ls"), make_task(name="box"), missing)
    assert gone.outcome == "broken" and gone.detail is not None and "ImageMissing" in gone.detail
    unread = await equivalence(
        step("ls").model_copy(update={"ref_raw": "<tool>ls</tool>"}), said("ls"), Path("none"), {}
    )
    assert unread.outcome == "broken" and "reference" in str(unread.detail)
    left = await equivalence(step("ls", before=("exit",)), said("ls"), tmp_path / "tasks" / "box", environment_kwargs)
    assert left.outcome == "broken" and "close the session" in str(left.detail)
    shares = figures([gone, unread, left], {})
    assert (shares["steps"], shares["equivalent_pct"], sum(shares["broken"].values())) == (0, None, 3)


@pytest.mark.docker
@pytest.mark.slow
def test_the_command_goes_on(make_task: Callable[..., Path], tmp_path: Path) -> None:
    make_task(name="box")
    steps = [step(*COMMIT, place=1), step("ls", place=2), step("ls", place=1, task="elsewhere")]
    write_steps(steps, tmp_path / "steps.jsonl")
    answers = {steps[0].key: said("git add -A"), steps[1].key: said("pwd"), steps[2].key: said("ls")}
    write_result(tmp_path / "res", "student", steps, lambda one: answers[one.key])
    order = ("replay", "equivalence", "--steps", "steps.jsonl", "--result", "res", "--tasks", "tasks", "--json")
    ended = synth(*order, folder=tmp_path)
    assert ended.code == 0, ended.err
    assert (ended.json["steps"], ended.json["equivalent_pct"], ended.json["changing_steps"]) == (2, 50.0, 1)
    assert ended.json["changing_equivalent_pct"] == 0.0
    assert ended.json["skipped"] == {"no-environment": 1}
    # A torn line is owed again, and a line about another answer is not taken for this one's.
    lines = (tmp_path / "res" / "equivalence.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 2
    (tmp_path / "res" / "equivalence.jsonl").write_text(lines[0] + lines[1][:20])
    again = synth(*order, folder=tmp_path)
    assert again.json == ended.json
    assert again.err.count("step ") == 1
    answers[steps[0].key] = said(*COMMIT)
    write_result(tmp_path / "res", "student", steps, lambda one: answers[one.key])
    other = synth(*order, folder=tmp_path)
    assert other.json["equivalent_pct"] == 100.0
    assert other.err.count("step ") == 1
    compared = synth("compare", "res", "teacher", "--json", folder=tmp_path)
    assert compared.json["standings"][0]["equivalent_pct"] == 100.0


def test_wrong_inputs_are_one_line(tmp_path: Path) -> None:
    steps = steps_of(["ls", "pwd"])
    write_steps(steps, tmp_path / "steps.jsonl")
    write_steps(steps[:1], tmp_path / "fewer.jsonl")
    write_result(tmp_path / "res", "student", steps, lambda one: one.ref_raw)
    (tmp_path / "empty").mkdir()
    task = tmp_path / "tasks" / "other"
    (task / "environment").mkdir(parents=True)
    (task / "tests").mkdir()
    for name in ("task.toml", "instruction.md", "environment/Dockerfile"):
        (task / name).write_text("")
    for order, said_ in (
        (("--steps", "none.jsonl", "--result", "res", "--tasks", "tasks"), "none.jsonl: cannot be read"),
        (("--steps", "fewer.jsonl", "--result", "res", "--tasks", "tasks"), "answers the step set"),
        (("--steps", "steps.jsonl", "--result", "empty", "--tasks", "tasks"), "holds no replay result"),
        (("--steps", "steps.jsonl", "--result", "res", "--tasks", "empty"), "no task folder"),
        (("--steps", "steps.jsonl", "--result", "res", "--tasks", "tasks"), "none of the steps' tasks"),
    ):
        ended = synth("replay", "equivalence", *order, folder=tmp_path)
        assert ended.code == 2, ended.err
        assert said_ in ended.err
        assert len(ended.err.strip().splitlines()) == 1


def test_what_was_typed_before_comes_from_the_messages() -> None:
    asked = step("ls")
    turns = earlier(asked)
    assert [command.keystrokes for command in turns[0].commands] == [f"{line}\n" for line in BEFORE]
    assert turns[0].screen == SCREEN
    assert turns[0].commands[0].seconds == 0.1
    assert turns[0].commands[-1].seconds > 5, "there is time for what still runs"
    unread = asked.model_copy(update={"messages": [{"role": "assistant", "content": "Hm."}]})
    assert [turn.commands for turn in earlier(unread)] == [()]


def test_a_sample_is_the_same_again() -> None:
    steps = steps_of(*[["ls"] * 5] * 4)
    few = chosen(steps, 6)
    assert few == chosen(steps, 6)
    assert len(few) == 6
    assert [steps.index(one) for one in few] == sorted(steps.index(one) for one in few)
    assert chosen(steps, None) == chosen(steps, 99) == steps
