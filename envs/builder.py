"""The builder: from a task's draft to an environment, in the order state, instruction, solution, tests.

The state comes first and is the truth: the instruction is written for what is really there, the solution is run on it
and read, and the tests are written last, when there is an end state to hold them to. What the solver finds missing goes
back to the choice of the base image. Nothing is proven here; the gates do that.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openai import AsyncOpenAI

from envs.builder_settings import BuilderSettings
from envs.conversation import Desk
from envs.engine import Engine
from envs.errors import BuildFailed
from envs.execution import environment_image, lay
from envs.folder import Base, Environment
from envs.inventory import ImageInventory, describe_state, image_inventory, missing_in
from envs.prompts import render
from envs.rounds import UNWORKABLE
from envs.setup_agent import Message, SetUp, set_up
from envs.solver import Missing, Solved, Unworkable, solve, solve_otherwise
from envs.state import StateLayer
from envs.verifier import write_tests
from envs.writers import write_instruction
from taxonomy.task import Rejection, Task

if TYPE_CHECKING:  # it takes half a second to import, and only its client's type is spoken of here
    from instructor import AsyncInstructor


@dataclass(frozen=True)
class Built:
    """An environment, unproven, and how it came about."""

    environment: Environment
    transcript: list[Message]
    """The setup agent's whole conversation, for the evidence of the task folder."""
    summary: str
    """What the setup agent says it made; for a person, never believed."""
    seconds: dict[str, float]
    """Wall time of each part, model and container together: state, instruction, solution, tests, alternative."""
    image: str
    """Tag of the environment's image, which is left in the engine for the gates; whoever is done with it calls
    `Engine.remove_image`."""


@dataclass(frozen=True)
class Workshop:
    """What an environment is made with."""

    chat: AsyncOpenAI
    """Plain client of the server where `model` answers; it must not retry by itself."""
    structured: "AsyncInstructor"
    """Instructor client on the same server."""
    engine: Engine
    settings: BuilderSettings
    model: str = "builder"
    """Name of the model at the server."""


async def build(
    task: Task,
    chat: AsyncOpenAI,
    structured: "AsyncInstructor",
    engine: Engine,
    base: Base,
    settings: BuilderSettings,
    model: str = "builder",
    others: Mapping[str, Base] | None = None,
) -> Built | Rejection:
    """Build a task's environment.

    Args:
        task: the draft.
        chat: plain client of the server where `model` answers; it must not retry by itself.
        structured: instructor client (JSON schema mode) on the same server.
        engine: where containers run, without a network, one at a time.
        base: image that the state is made on.
        settings: limits.
        model: name of the model at the server.
        others: further base images by name. Where the solver finds that the work needs what `base` lacks, and one of
            these has it, the environment is made anew on that one, once.

    Returns:
        The environment and its making; or a Rejection of stage `build`: those of `set_up`, `solve`, `write_tests` and
        of the writers, or `missing-packages`.

    Raises:
        openai.APIError, EngineError: nothing is known about the task then.
    """
    shop = Workshop(chat, structured, engine, settings, model)
    made = await _build(task, shop, base)
    if not isinstance(made, Missing):
        return made
    candidates = {name: other for name, other in (others or {}).items() if other.id != base.id}
    lacking: dict[str, tuple[str, ...]] = {}
    for name, other in candidates.items():
        async with engine.container(other.reference) as container:
            lacking[name] = tuple(await missing_in(container, made.names))
        if lacking[name]:
            continue
        again = await _build(task, shop, other)
        if not isinstance(again, Missing):
            wanted = ", ".join(made.names)
            return _noted(again, image_of=name, image_for=wanted) if isinstance(again, Built) else again
        made = again
        break
    return Rejection(
        stage="build",
        reason="missing-packages",
        detail=f"no base image has all that the work needs: {', '.join(made.names)}"[:300],
        evidence={
            "part": "solution",
            "missing": list(made.names),
            "reason": made.reason,
            "images": {name: list(names) for name, names in lacking.items()},
        },
    )


async def _build(task: Task, shop: Workshop, base: Base) -> Built | Missing | Rejection:
    """One attempt on one base image."""
    line = _Line(task, shop, base)
    made = await line.timed("state", line.state())
    if isinstance(made, Rejection):
        return made
    end = await line.parts(made)
    if not isinstance(end, Unworkable):
        return end
    # What nobody can work on goes back to whoever made it, once.
    again = await line.timed("state", line.state(made, end))
    if isinstance(again, Rejection):
        return again
    end = await line.parts(again)
    return unworkable(end) if isinstance(end, Unworkable) else end


def unworkable(end: Unworkable) -> Rejection:
    """The solver says that no script can do the work."""
    return Rejection(
        stage="build",
        reason=UNWORKABLE,
        detail=" ".join(end.reason.split())[:300],
        evidence={"part": "state", "script": end.script, "output": end.output[-4000:]},
    )


@dataclass(frozen=True)
class _State:
    """A starting point, and what is known of it."""

    made: SetUp
    inventory: ImageInventory
    text: str
    """In words."""


class _Line:
    """The line of one attempt."""

    def __init__(self, task: Task, shop: Workshop, base: Base) -> None:
        self.task = task
        self.shop = shop
        self.base = base
        self.seconds: dict[str, float] = {}
        self.instruction = ""

    async def timed[T](self, part: str, work: Awaitable[T]) -> T:
        started = time.monotonic()
        result = await work
        self.seconds[part] = round(self.seconds.get(part, 0.0) + time.monotonic() - started, 3)
        return result

    async def state(self, before: _State | None = None, end: Unworkable | None = None) -> _State | Rejection:
        """The setup agent's work, for the first time or on what it made before."""
        shop, repair = self.shop, ""
        async with shop.engine.container(self.base.reference) as container:
            inventory = await image_inventory(container)
            if before is not None and end is not None:
                await lay(container, before.made.layer)
                found = f"The solver cannot work on it: {end.reason}\n\noutput of its script:\n{end.output}"
                others = f"## Instruction\n{self.instruction.strip()}\n\n## Solution\n{end.script.strip()}"
                repair = render("setup_repair", round=1, rounds=1, found=found, others=others, state=before.text)
            made = await set_up(self.task, shop.chat, container, inventory.text, shop.settings, shop.model, repair)
            if isinstance(made, Rejection):
                return made
            text = await describe_state(made.layer, container, shop.settings.listing_limit)
        return _State(made, inventory, text)

    async def parts(self, state: _State) -> Built | Missing | Unworkable | Rejection:
        """Everything that is written for a state; the instruction stays where it is there already."""
        shop, layer = self.shop, state.made.layer
        async with image_kept_if_built(self.task, shop.engine, self.base, layer) as kept:
            if isinstance(kept, Rejection):
                return kept
            image, inventory, settings = kept.tag, state.inventory, shop.settings
            desk = Desk(self.task, shop.structured, shop.engine, image, inventory, state.text, settings, shop.model)
            if not self.instruction:
                instruction = await self.timed("instruction", write_instruction(desk))
                if isinstance(instruction, Rejection):
                    return instruction
                self.instruction = instruction
            solved = await self.timed("solution", solve(desk, self.instruction))
            if not isinstance(solved, Solved):
                return solved
            writing = write_tests(desk, layer, self.instruction, solved.script, solved.tried)
            verified = await self.timed("tests", writing)
            if isinstance(verified, Rejection):
                return verified
            alternative: str | Rejection = ""
            if shop.settings.alternative:
                alternative = await self.timed("alternative", solve_otherwise(desk, self.instruction))
            kept.wanted = True
            environment = Environment(
                task=self.task,
                instruction=self.instruction,
                solution=solved.script,
                checks=verified.tests.checks,
                wrong={one.name: one.script for one in verified.tests.wrong_outputs},
                partial={one.name: one.script for one in verified.tests.partial_solutions},
                state=layer,
                base=self.base,
                notes={"builder": shop.model},
                # Whoever cannot give a second solution in the right form has none to give.
                alternative="" if isinstance(alternative, Rejection) else alternative,
                contract=verified.contract,
                inputs=verified.inputs,
            )
            return Built(environment, state.made.transcript, state.made.summary, self.seconds, kept.tag)


@dataclass
class KeptImage:
    """An image that goes again unless it is said to be wanted."""

    tag: str
    wanted: bool = False


@asynccontextmanager
async def image_kept_if_built(
    task: Task, engine: Engine, base: Base, layer: StateLayer
) -> AsyncIterator[KeptImage | Rejection]:
    """The image of a state, which is removed when the block ends unless `wanted` was set in it.

    One that was there before stays. A state that does not go onto its base image is a Rejection, `state-not-built`.
    """
    try:
        tag, mine = await environment_image(engine, task, base, layer)
    except BuildFailed as failed:
        yield Rejection(
            stage="build",
            reason="state-not-built",
            detail=" ".join(str(failed).split())[:300],
            evidence={"part": "state", "log": failed.log[-4000:]},
        )
        return
    kept = KeptImage(tag)
    try:
        yield kept
    finally:
        if mine and not kept.wanted:
            await asyncio.shield(asyncio.ensure_future(engine.remove_image(tag)))


def _noted(built: Built, **notes: str) -> Built:
    environment = replace(built.environment, notes={**built.environment.notes, **notes})
    return replace(built, environment=environment)
