"""The solver: a model that writes a script, sees what came of running it, and goes on until the work is done.

Each run is in a fresh container of the environment's image. A script that does not end with exit code 0 is never kept,
whatever the model says of it.
"""

from dataclasses import dataclass
from functools import partial

from envs.answers import Alternative, Review, Solution
from envs.conversation import Again, Conversation, Desk
from envs.execution import Tried, try_script
from envs.inventory import missing_in
from envs.prompts import render
from taxonomy.task import Rejection

OTHER_SEED = 0x5EED
"""Added to the draw's seed for the second solution, so that it is not the first one again."""


@dataclass(frozen=True)
class Solved:
    """A script that was run, ended with exit code 0, and was kept."""

    script: str
    tried: Tried
    runs: int
    """How many scripts were run until then, this one included."""


@dataclass(frozen=True)
class Missing:
    """The work needs what the image does not have."""

    names: tuple[str, ...]
    """Programs and Python modules; each was looked for in the image."""
    reason: str


@dataclass(frozen=True)
class Unworkable:
    """No script can do the work, because the starting point is not what the instruction says."""

    reason: str
    script: str
    """The last one that was run."""
    output: str


async def solve(
    desk: Desk, instruction: str, again: Again | None = None
) -> Solved | Missing | Unworkable | Rejection:
    """Have the reference solution written, run, read and rewritten until it is kept.

    Args:
        desk: what is worked with.
        instruction: what has to be done.
        again: where there was a solution already.

    Returns:
        What was kept; what is missing; what is wrong with the state; or a Rejection of stage `build`: `over-budget`, or
        that of an answer.

    Raises:
        openai.APIError, EngineError: nothing is known about the task then.
    """
    user = desk.user("solution_task", instruction=instruction.strip())
    talk = Conversation(desk, "solution", render("solution_system", another=False), user, again)
    answer = await talk.ask(Solution)
    if isinstance(answer, Rejection):
        return answer
    script, runs = answer.script, 0
    while True:
        spending, settings = talk.spending, desk.settings
        seconds = min(settings.max_command_seconds, spending.seconds_left)
        tried = await try_script(desk.engine, desk.image, script, seconds, settings)
        runs += 1
        if isinstance(tried, Tried):
            spending.seconds += tried.seconds
        if limit := spending.over():
            if isinstance(tried, Tried) and tried.exit_code == 0:
                return Solved(script, tried, runs)  # nobody has read it; the gates will
            code = f"ended with exit code {tried.exit_code}" if isinstance(tried, Tried) else "was no bash"
            output = tried.output if isinstance(tried, Tried) else tried
            return spending.rejection(limit, f"the last of {runs} runs {code}", script=script, output=output[-4000:])
        talk.say(_what_came(tried, runs, spending.budget.steps - spending.steps - 1))
        review = await talk.ask(Review, partial(_contradiction, desk, tried))
        if isinstance(review, Rejection):
            return review
        if review.verdict == "missing":
            return Missing(tuple(await _lacking(desk, review.missing)), review.reason)
        if review.verdict == "state":
            return Unworkable(review.reason, script, tried.output if isinstance(tried, Tried) else tried)
        if review.verdict == "keep" and isinstance(tried, Tried):
            return Solved(script, tried, runs)
        script = review.script


async def solve_otherwise(desk: Desk, instruction: str, attempt: int = 0) -> str | Rejection:
    """Have a second solution written by someone who sees neither the first nor the checks, and run it once.

    Args:
        desk: what is worked with.
        instruction: what has to be done.
        attempt: another number is another seed.

    Returns:
        The script; empty where there is none to be had: the model knows no other way, or its script does not end with
        exit code 0. Or the Rejection of an answer.
    """
    system, user = render("solution_system", another=True), desk.user("solution_task", instruction=instruction.strip())
    seed = (desk.task.draw.seed + OTHER_SEED + attempt) % 2**31
    talk = Conversation(desk, "solution", system, user, seed=seed)
    answer = await talk.ask(Alternative)
    if isinstance(answer, Rejection) or not answer.script:
        return answer if isinstance(answer, Rejection) else ""
    seconds = desk.settings.max_command_seconds
    tried = await try_script(desk.engine, desk.image, answer.script, seconds, desk.settings)
    return answer.script if isinstance(tried, Tried) and tried.exit_code == 0 else ""


def _what_came(tried: Tried | str, number: int, left: int) -> str:
    if isinstance(tried, str):
        return render("review", number=number, left=left, problem=f"bash does not read the script:\n{tried}")
    return render(
        "review",
        number=number,
        left=left,
        problem="",
        exit_code=tried.exit_code,
        timed_out=tried.timed_out,
        seconds=tried.seconds,
        output=tried.output.strip(),
        end=tried.end,
    )


async def _contradiction(desk: Desk, tried: Tried | str, review: Review) -> str:
    """What a review says against what happened."""
    if review.verdict == "keep":
        if isinstance(tried, str):
            return "the script was not run, because bash does not read it: it cannot be kept"
        if tried.exit_code != 0:
            return f"the script ended with exit code {tried.exit_code}: it cannot be kept"
    if review.verdict == "missing" and not await _lacking(desk, review.missing):
        return f"the image has {', '.join(review.missing)}: use it, or say what else is missing"
    return ""


async def _lacking(desk: Desk, names: list[str]) -> list[str]:
    async with desk.engine.container(desk.image) as container:
        return await missing_in(container, names)
