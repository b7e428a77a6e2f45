"""State-equivalence: does a student's command, executed at the step, leave the end state that the teacher's leaves?

A step is executed in fresh containers, each brought to it by the recorded keystrokes (`trajectories.replay.brought`):
in two the teacher's command is typed, in one the student's, and in one nothing. What the teacher's two runs differ in
is unstable and left out. Against the container in which nothing was typed it is told whether the teacher's command
changed anything: a `cat` for an `ls` leaves the same state without any merit.

How long the teacher thought between two turns is not in a step, so up to `PATIENCE` seconds are waited for what still
runs; a wait ends as soon as nothing in the container can change any more.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

from envs.errors import DiskFull, EngineError, EngineMissing
from taxonomy.task import content_id
from trajectories.record import Command
from trajectories.reexecution import Typed
from trajectories.replay.end_state import Differences, changed, differences, stable
from trajectories.replay.equivalence_result import SHOWN, StepEquivalence, answer_digest
from trajectories.replay.step import Step
from trajectories.trial import import_harbor

PATIENCE = 10.0
"""Seconds that earlier commands may go on before the next turn is typed."""
FINISH = 30.0
"""Seconds that the step's own command may go on before the state is taken as it stands."""


def chosen(steps: Sequence[Step], limit: int | None, seed: int = 0) -> list[Step]:
    """A sample of the steps, the same for the same steps and limit, in the file's order; None is all of them."""
    if limit is None or limit >= len(steps):
        return list(steps)
    taken = set(Random(seed).sample(range(len(steps)), limit))  # noqa: S311 - a sample
    return [step for index, step in enumerate(steps) if index in taken]


def earlier(step: Step) -> list[Typed]:
    """What was typed before a step, turn by turn, with what the terminal showed then; from its messages alone."""
    turns: list[Typed] = []
    for index, message in enumerate(step.messages):
        if message.get("role") != "assistant":
            continue
        typed = _patient(_commands(str(message.get("content") or "")) or (), PATIENCE)
        shown = [str(after.get("content") or "") for after in step.messages[index + 1 : index + 2]]
        turns.append(Typed(commands=typed, screen="".join(shown)))
    return turns


async def equivalence(
    step: Step, text: str | None, folder: Path, environment_kwargs: Mapping[str, Any]
) -> StepEquivalence:
    """Execute a step's command and a student's, and compare the end states.

    Args:
        step: with its messages.
        text: what the student answered; None for nothing.
        folder: the task folder of the step.
        environment_kwargs: as for `trajectories.rollout.rollout`.

    Raises:
        EngineMissing, DiskFull: no other step would fare better.
    """
    began = time.monotonic()
    # The first import takes seconds; in a thread the event loop goes on meanwhile.
    await asyncio.to_thread(import_harbor, "trajectories.replay.brought:Brought", "trajectories.agent:SynthTerminus")
    from trajectories.replay.brought import NotBrought
    from trajectories.terminal import TerminalError

    def row(**found: Any) -> StepEquivalence:
        known = {"task_id": step.task_id, "sample_idx": step.sample_idx, "step_idx": step.step_idx}
        seconds = round(time.monotonic() - began, 1)
        return StepEquivalence.model_validate({**known, "answer": answer_digest(text), "seconds": seconds, **found})

    wanted, said = _commands(step.ref_raw), _commands(text or "")
    if wanted is None:
        return row(outcome="broken", detail="the reference cannot be read as commands")
    try:
        return row(**await _executed(step, wanted, said, folder, environment_kwargs))
    except (EngineMissing, DiskFull):
        raise
    except (EngineError, TerminalError, NotBrought) as error:
        return row(outcome="broken", detail=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


async def _executed(
    step: Step,
    wanted: tuple[Command, ...],
    said: tuple[Command, ...] | None,
    folder: Path,
    environment_kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    from trajectories.replay.brought import Brought, bring

    same_keys = said is not None and _keys(said) == _keys(wanted)
    actions = {"still": (), "teacher": wanted, "again": wanted}
    if said is not None and not same_keys:
        actions["student"] = said
    before = earlier(step)
    async with AsyncExitStack() as stack:

        async def act(who: str, action: tuple[Command, ...]) -> Brought:
            name = f"{step.task_id}__step-{content_id(*step.key, who)}"
            brought = await stack.enter_async_context(bring(folder, environment_kwargs, before, name))
            if action:
                await brought.act(_patient(action, FINISH))
            return brought

        # All of them come to their end, so that the stack knows every container that is there.
        acted = await asyncio.gather(*(act(who, action) for who, action in actions.items()), return_exceptions=True)
        there = {}
        for who, one in zip(actions, acted, strict=True):
            if isinstance(one, BaseException):
                raise one
            there[who] = one
        shells = {who: await one.look() for who, one in there.items()}
        # A path that one of them changed is looked at in all of them: in the others it is as the image has it.
        paths = sorted(set().union(*[await changed(one.container) for one in there.values()]))
        ended = {who: await one.end_state(paths, shells[who]) for who, one in there.items()}
    own = differences(ended["teacher"], ended["again"])

    def unlike(who: str) -> Differences:
        return stable(differences(ended["teacher"], ended[who]), own, ended["teacher"], ended["again"])

    found: dict[str, Any] = {
        # What both runs made, each in its own way, they made all the same.
        "changes": bool(unlike("still")) or any(path not in ended["still"].files for path in own.files),
        "same_keys": same_keys,
        "unstable": own.files[:SHOWN],
    }
    if said is None:
        return {**found, "outcome": "unreadable"}
    differ = unlike("again" if same_keys else "student")
    return {
        **found,
        "outcome": "differs" if differ else "same",
        "same_files": not differ.files,
        "files": differ.files[:SHOWN],
        "shell": differ.shell[:SHOWN],
    }


def _commands(text: str) -> tuple[Command, ...] | None:
    from trajectories.agent import read_commands

    return read_commands(text)


def _keys(commands: Sequence[Command]) -> list[str]:
    return [command.keystrokes for command in commands]


def _patient(commands: Sequence[Command], seconds: float) -> tuple[Command, ...]:
    """The same commands; after the last one there is time for what still runs."""
    if not commands:
        return ()
    last = commands[-1].model_copy(update={"seconds": commands[-1].seconds + seconds})
    return (*commands[:-1], last)
