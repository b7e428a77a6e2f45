"""Targeted repair: of an environment that did not pass, the part at fault is rewritten, and nothing else.

The model that wrote the part is shown it as its own answer of a moment ago, what was executed and what came of that,
and the other parts, which stay as they are. What it writes is parsed and executed as when it was first written. Whether
the environment passes now is for the gates to say; what they find then is the next round's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from envs.answers import Holding, Instruction, NamedScript, Solution, Tests
from envs.builder import Workshop, image_kept_if_built, unworkable
from envs.builder_settings import Part
from envs.contract import statements
from envs.conversation import Again, Desk
from envs.execution import Tried, grade_end, graded_inputs, lay, try_script
from envs.folder import Environment
from envs.inventory import describe_state, image_inventory
from envs.prompts import render
from envs.setup_agent import Message, set_up
from envs.solver import Missing, Unworkable, solve, solve_otherwise
from envs.verifier import write_tests
from envs.writers import write_contract, write_instruction
from taxonomy.task import Rejection

SHOWN_GATES = 3
"""Failed gates that the model is shown."""

SHOWN_TEXT = 6_000
"""Characters that it is shown of one text among the other parts."""


@dataclass(frozen=True)
class Repaired:
    """An environment with one part rewritten, unproven again."""

    environment: Environment
    image: str
    """Tag of its image, which is left in the engine for the gates; another one than before where the state is."""
    transcript: list[Message] | None = None
    """The setup agent's conversation, where the state was repaired."""


async def repair(
    environment: Environment, rejection: Rejection, part: Part, shop: Workshop, number: int = 1
) -> Repaired | Rejection:
    """Have one part of an environment rewritten.

    Args:
        environment: as it is.
        rejection: of stage `gates`: what was executed, and what came of it.
        part: what is rewritten.
        shop: what it is made with.
        number: of the round, from 1.

    Returns:
        The environment with that part rewritten, and with what follows from it by execution alone (graded inputs; after
        a new instruction also the contract). Or a Rejection of stage `repair`, and the environment stays as it was.

    Raises:
        openai.APIError, EngineError: nothing is known about the environment then.
    """
    work = _Repair(environment, rejection, shop, number)
    made = await (work.state() if part == "state" else work.text(part))
    if isinstance(made, Rejection):
        return made.model_copy(update={"stage": "repair"})
    notes = {**made.environment.notes, "rounds": number}
    return replace(made, environment=replace(made.environment, notes=notes))


class _Repair:
    """One round."""

    def __init__(self, environment: Environment, rejection: Rejection, shop: Workshop, number: int) -> None:
        self.environment = environment
        self.rejection = rejection
        self.shop = shop
        self.number = number

    def said(self, template: str, part: Part, **more: str) -> str:
        """What the model is told."""
        return render(
            template,
            round=self.number,
            rounds=max(self.number, self.shop.settings.repair_rounds),
            part=part,
            found=found(self.rejection, self.environment),
            others=_others(self.environment, part),
            **more,
        )

    async def state(self) -> Repaired | Rejection:
        """The setup agent goes on where it was."""
        whole, shop = self.environment, self.shop
        async with shop.engine.container(whole.base.reference) as container:
            inventory = await image_inventory(container)
            await lay(container, whole.state)
            before = await describe_state(whole.state, container, shop.settings.listing_limit)
            said = self.said("setup_repair", "state", state=before)
            made = await set_up(whole.task, shop.chat, container, inventory.text, shop.settings, shop.model, said)
            if isinstance(made, Rejection):
                return made
        async with image_kept_if_built(whole.task, shop.engine, whole.base, made.layer) as kept:
            if isinstance(kept, Rejection):
                return kept
            seconds = shop.settings.max_command_seconds
            tried = await try_script(shop.engine, kept.tag, whole.solution, seconds, shop.settings)
            changed = await self.with_inputs(replace(whole, state=made.layer), kept.tag, tried)
            kept.wanted = True
            return Repaired(changed, kept.tag, made.transcript)

    async def text(self, part: Part) -> Repaired | Rejection:
        """A writer answers once more."""
        whole, shop = self.environment, self.shop
        async with image_kept_if_built(whole.task, shop.engine, whole.base, whole.state) as kept:
            if isinstance(kept, Rejection):
                return kept
            async with shop.engine.container(kept.tag) as container:
                inventory = await image_inventory(container)
                state = await describe_state(whole.state, container, shop.settings.listing_limit)
            desk = Desk(whole.task, shop.structured, shop.engine, kept.tag, inventory, state, shop.settings, shop.model)
            match part:
                case "instruction":
                    made = await self.instruction(desk)
                case "solution" if self.rejection.reason == "alternative-fails":
                    made = await self.alternative(desk)
                case "solution":
                    made = await self.solution(desk)
                case _:
                    made = await self.tests(desk)
            if isinstance(made, Rejection):
                return made
            kept.wanted = True
            return Repaired(made, kept.tag)

    async def instruction(self, desk: Desk) -> Environment | Rejection:
        whole = self.environment
        # Built without its validators: what was accepted once is shown as it is.
        answer = Instruction.model_construct(instruction=whole.instruction)
        text = await write_instruction(desk, Again(answer, self.said("repair", "instruction")))
        if isinstance(text, Rejection):
            return text
        contract = await write_contract(desk, text, whole.checks)
        if isinstance(contract, Rejection):
            return contract
        return replace(whole, instruction=text, contract=contract)

    async def solution(self, desk: Desk) -> Environment | Rejection:
        whole = self.environment
        answer = Solution.model_construct(script=whole.solution)
        solved = await solve(desk, whole.instruction, Again(answer, self.said("repair", "solution")))
        if isinstance(solved, Rejection):
            return solved
        if isinstance(solved, Missing):
            names = ", ".join(solved.names)
            evidence: dict[str, JsonValue] = {"part": "solution", "missing": list(solved.names)}
            return Rejection(
                stage="build", reason="missing-packages", detail=f"the image lacks {names}"[:300], evidence=evidence
            )
        if isinstance(solved, Unworkable):
            return unworkable(solved)
        return await self.with_inputs(replace(whole, solution=solved.script), desk.image, solved.tried)

    async def alternative(self, desk: Desk) -> Environment | Rejection:
        script = await solve_otherwise(desk, self.environment.instruction, self.number)
        return script if isinstance(script, Rejection) else replace(self.environment, alternative=script)

    async def tests(self, desk: Desk) -> Environment | Rejection:
        whole = self.environment
        seconds = desk.settings.max_command_seconds
        tried = await try_script(desk.engine, desk.image, whole.solution, seconds, desk.settings)
        if isinstance(tried, str):
            tried = Tried(1, False, tried, 0.0, f"bash does not read the solution: {tried}", None)
        again = Again(_tests_of(whole), self.said("repair", "tests"))
        verified = await write_tests(desk, whole.state, whole.instruction, whole.solution, tried, again)
        if isinstance(verified, Rejection):
            return verified
        return replace(
            whole,
            checks=verified.tests.checks,
            wrong={one.name: one.script for one in verified.tests.wrong_outputs},
            partial={one.name: one.script for one in verified.tests.partial_solutions},
            contract=verified.contract,
            inputs=verified.inputs,
        )

    async def with_inputs(self, whole: Environment, image: str, tried: Tried | str) -> Environment:
        """The same with the graded inputs that follow from another state or another solution."""
        if isinstance(tried, str) or tried.exit_code != 0:
            return replace(whole, inputs=())
        seconds = self.shop.settings.max_command_seconds
        grade = await grade_end(self.shop.engine, image, whole.solution, whole.checks, seconds)
        return replace(whole, inputs=graded_inputs(grade.read, whole.state, tried.layer))


def found(rejection: Rejection, environment: Environment) -> str:
    """What the gates saw, for a prompt: the reason, and the failed gates with their checks, messages and outputs."""
    gates = rejection.evidence.get("gates")
    those = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
    shown = [_gate(gate, environment) for gate in those if not gate["passed"]][:SHOWN_GATES]
    return render("found", reason=rejection.reason, detail=rejection.detail, gates=shown)


def _gate(gate: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
    scripts: Mapping[str, Mapping[str, str]] = {
        "wrong": environment.wrong,
        "partial": environment.partial,
        "alternative": {str(gate["name"]): environment.alternative},
    }
    script = scripts.get(str(gate["gate"]), {}).get(str(gate["name"]), "")
    known: dict[str, Any] = {"expected": None, "reward": None, "exit_code": None, "checks": {}, "messages": {}}
    return {**known, **gate, "output": str(gate.get("output") or "").strip(), "script": script.strip()}


def _others(environment: Environment, part: Part) -> str:
    """The parts that stay, for a prompt; the state stands elsewhere in it."""
    texts: dict[Part, tuple[str, str]] = {
        "instruction": ("Instruction", environment.instruction),
        "solution": ("Reference solution", environment.solution),
        "tests": ("Checks", environment.checks),
    }
    return "\n\n".join(
        f"## {title}\n{_clipped(text.strip())}" for name, (title, text) in texts.items() if name != part
    )


def _clipped(text: str) -> str:
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}\n[the rest is left out]"


def _tests_of(environment: Environment) -> Tests:
    """The tests writer's answer, as the environment holds it."""
    numbers = {text: number for number, text in enumerate(statements(environment.instruction), start=1)}
    contract = [
        Holding(statement=numbers[demand.text], checks=list(demand.checks), why=demand.why)
        for demand in environment.contract
        if demand.text in numbers
    ]
    wrong = [NamedScript.model_construct(name=name, script=text) for name, text in environment.wrong.items()]
    partial = [NamedScript.model_construct(name=name, script=text) for name, text in environment.partial.items()]
    return Tests.model_construct(
        checks=environment.checks, wrong_outputs=wrong, partial_solutions=partial, contract=contract
    )
