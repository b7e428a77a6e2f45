"""The verifier writer: checks that are held against the reference's end state and the initial state as they are made.

What a grading of either says goes back to the model as long as the budget lasts. Checks that are right in form are then
handed on as they are: what they cannot tell is for the gates to find, and for a repair to mend.
"""

from dataclasses import dataclass

from envs.answers import Tests, check_names
from envs.contract import Demand, breaches, statements
from envs.conversation import Again, Conversation, Desk
from envs.execution import Tried, grade_end, grade_initial, graded_inputs
from envs.grading import Grade
from envs.prompts import render
from envs.state import StateLayer
from envs.writers import demands
from taxonomy.task import Rejection

_MESSAGE = 600
"""Characters of a check's message that the model is shown."""


@dataclass(frozen=True)
class Verified:
    """Checks that were executed."""

    tests: Tests
    contract: tuple[Demand, ...]
    inputs: tuple[str, ...]
    """What they read of the initial state that the reference leaves as it is."""
    problems: tuple[str, ...]
    """What is wrong with them as far as it shows by now; empty when nothing."""


async def write_tests(
    desk: Desk, layer: StateLayer, instruction: str, solution: str, tried: Tried, again: Again | None = None
) -> Verified | Rejection:
    """Have the checks written, with the false answers that they must refuse and the contract.

    Args:
        desk: what is worked with.
        layer: the initial state.
        instruction: what has to be done.
        solution: the reference.
        tried: the run of it.
        again: where there were checks already.

    Returns:
        The checks of the last answer that is right in form, or the Rejection of an answer.
    """
    wanted = statements(instruction)
    system = render(
        "tests_system",
        python=desk.inventory.python,
        least_wrong=desk.settings.least_wrong,
        least_partial=desk.settings.least_partial,
    )
    user = desk.user(
        "tests_task", instruction=instruction.strip(), statements=wanted, solution=solution.strip(), end=tried.end
    )
    talk = Conversation(desk, "tests", system, user, again)
    last: Verified | None = None
    while True:
        answer = await talk.ask(Tests)
        if isinstance(answer, Rejection):
            return answer if last is None else last
        held = await _hold(desk, talk, layer, instruction, solution, tried, answer)
        if isinstance(held, Verified):
            last = held
            if not held.problems:
                return held
        if limit := talk.spending.over():
            return last or talk.spending.rejection(limit, "the checks were no program", problem=str(held))
        said = render("reask", problem=held) if isinstance(held, str) else render("held", problems=held.problems)
        talk.say(said)


async def _hold(
    desk: Desk, talk: Conversation, layer: StateLayer, instruction: str, solution: str, tried: Tried, tests: Tests
) -> Verified | str:
    """Execute checks on both states; what does not parse is told as text."""
    scripts = {f"wrong_outputs-{one.name}.sh": one.script for one in tests.wrong_outputs}
    scripts |= {f"partial_solutions-{one.name}.sh": one.script for one in tests.partial_solutions}
    initial = await grade_initial(desk.engine, desk.image, tests.checks, scripts)
    if isinstance(initial, str):
        return initial
    end = await grade_end(desk.engine, desk.image, solution, tests.checks, desk.settings.max_command_seconds)
    talk.spending.seconds += initial.seconds + end.seconds
    contract = demands(statements(instruction), tests.contract)
    problems = [
        *_on_the_initial_state(initial, tests.checks),
        *_on_the_end_state(end, tests.checks),
        *breaches(instruction, tests.checks, contract),
    ]
    return Verified(tests, contract, graded_inputs(end.read, layer, tried.layer), tuple(problems))


def _on_the_initial_state(grade: Grade, checks: str) -> list[str]:
    if grade.reward is None:
        return ["on the initial state the checks left no verdict"]
    if grade.reward == 1:
        names = ", ".join(check_names(checks))
        return [f"the initial state passes every check ({names}), though nothing has been done there"]
    return []


def _on_the_end_state(grade: Grade, checks: str) -> list[str]:
    if grade.reward is None:
        return ["on the reference's end state the checks left no verdict"]
    if grade.reward == 1:
        return []
    failed = [name for name in check_names(checks) if grade.checks.get(name) != 1]
    said = [
        f"{name} fails on the reference's end state: {grade.messages.get(name, 'no message')[:_MESSAGE]}"
        for name in failed
    ]
    return said or [f"the reference's end state scores {grade.reward:g}: {grade.messages.get('checks.py', '')}"]
