"""The writers of texts: the instruction, and the contract between it and checks that are there already."""

from collections.abc import Sequence

from envs.answers import Contract, Holding, Instruction
from envs.contract import Demand, breaches, statements
from envs.conversation import Again, Conversation, Desk
from envs.prompts import render
from taxonomy.task import Rejection


async def write_instruction(desk: Desk, again: Again | None = None) -> str | Rejection:
    """Write what the engineer is told."""
    talk = Conversation(desk, "instruction", render("instruction_system"), desk.user("instruction_task"), again)
    answer = await talk.ask(Instruction)
    return answer if isinstance(answer, Rejection) else answer.instruction


async def write_contract(desk: Desk, instruction: str, checks: str) -> tuple[Demand, ...] | Rejection:
    """Say for every statement of a new instruction what holds the end state to it.

    Where it cannot be had without breaches, it is handed on with them: then the texts do not fit, and the gates say so.
    """
    wanted = statements(instruction)
    user = desk.user("contract_task", statements=wanted, checks=checks.strip())
    talk = Conversation(desk, "instruction", render("contract_system"), user)
    last: tuple[Demand, ...] | None = None
    while True:
        answer = await talk.ask(Contract)
        if isinstance(answer, Rejection):
            return answer if last is None else last
        last = demands(wanted, answer.contract)
        problems = breaches(instruction, checks, last)
        if not problems or talk.spending.over():
            return last
        talk.say(render("reask", problem="; ".join(problems)))


def demands(wanted: Sequence[str], contract: Sequence[Holding]) -> tuple[Demand, ...]:
    """A contract by the texts of the statements, in their order.

    Args:
        wanted: the statements, as they were numbered from 1.
        contract: what was said of each; of numbers that there are not, nothing is kept.
    """
    checks: dict[int, list[str]] = {}
    why: dict[int, str] = {}
    for holding in contract:
        checks.setdefault(holding.statement, []).extend(holding.checks)
        why.setdefault(holding.statement, holding.why)
    return tuple(
        Demand(text=text, checks=tuple(dict.fromkeys(checks[number])), why=why[number])
        for number, text in enumerate(wanted, start=1)
        if number in checks
    )
