"""The feasibility judge: one or several models answer a rubric on a sampled task, and a rule combines them."""

import asyncio
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import openai
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from judges.rubric import Rubric
from judges.verdict import (
    Judgement,
    Opinion,
    Rule,
    Verdict,
    defect,
    disagreements,
    feasible,
    middle_difficulty,
    verdict_model,
)
from taxonomy.catalog import Catalog
from taxonomy.drift import drift
from taxonomy.task import Rejection, Task, content_id

if TYPE_CHECKING:
    from instructor import AsyncInstructor


class JudgeSettings(BaseModel):
    """How tasks are judged."""

    model_config = ConfigDict(extra="forbid")

    judges: Annotated[int, Field(ge=1, le=9)] = 1
    """Number of verdicts on each task. One model that gives several needs a temperature above 0 to differ."""
    rule: Rule = "majority"
    """When a task is feasible: `all` say so, more than half of them, or `any`."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Annotated[int, Field(gt=0)] = 4096
    reasks: Annotated[int, Field(ge=0, le=3)] = 3
    """How often a judge whose answer does not validate is asked again, with the error."""
    audit: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the tasks that the judges find infeasible which are built all the same, so that it comes out what was
    lost on them (`synth judge calibrate --runs`). What comes of them never becomes a row."""


@cache
def _prompts() -> Environment:
    # Plain text for a model, not a page for a browser. What a model wrote is only ever a value, never a template.
    folder = FileSystemLoader(Path(__file__).parent / "prompts")
    return Environment(loader=folder, undefined=StrictUndefined, autoescape=False)  # noqa: S701


def messages(task: Task, rubric: Rubric, catalog: Catalog) -> list[dict[str, str]]:
    """What a judge is sent: the rubric as the system message, the task with its domain as the user's."""
    domain = catalog.domain(task.draw.domain)
    system = _prompts().get_template("feasibility.j2").render(rubric=rubric)
    user = _prompts().get_template("task.j2").render(task=task, domain=domain, topic=domain.topics[task.draw.topic])
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


async def judge(
    task: Task,
    clients: Sequence[tuple[str, "AsyncInstructor"]],
    rubric: Rubric,
    settings: JudgeSettings,
    catalog: Catalog,
) -> Judgement | Rejection:
    """Ask the judges whether a task is worth building.

    Args:
        task: what is judged.
        clients: model names with the instructor clients of their servers; asked in turn until there are
            `settings.judges` verdicts, each with another seed.
        rubric: the criteria.
        settings: number of verdicts and the rule that combines them.
        catalog: says what the task's domain and topic are about.

    Returns:
        A Judgement with every verdict, or a Rejection of stage `judge`: `infeasible-<criterion>` (or
        `infeasible-difficulty` where every criterion passed and it is still impossible) with every verdict as
        evidence, `drifts-to-files` where no judge is needed to see that it is not about its topic, or
        `invalid-answer` when a judge never gave a valid one, with its attempts.

    Raises:
        openai.APIError: a server could not be asked.
        ValueError: there are no clients, or more than verdicts.
    """
    if drifted := drift(task, catalog):
        return Rejection(stage="judge", reason="drifts-to-files", detail=drifted)
    return combined(task, await opinions(task, clients, rubric, settings, catalog), rubric, settings)


Invalid = str | dict[str, JsonValue]
"""What is known of a judge that gave no valid verdict: its attempts, or a line."""


async def opinions(
    task: Task,
    clients: Sequence[tuple[str, "AsyncInstructor"]],
    rubric: Rubric,
    settings: JudgeSettings,
    catalog: Catalog,
) -> list[Opinion | Invalid]:
    """What each of `settings.judges` judges says of a task, in the order in which they are asked; as for `judge`."""
    if not 0 < len(clients) <= settings.judges:
        raise ValueError(f"{settings.judges} verdicts cannot come from {len(clients)} judges")
    prompt = messages(task, rubric, catalog)
    response_model = verdict_model(rubric)
    calls = []
    for number in range(settings.judges):
        name, client = clients[number % len(clients)]
        seed = (task.draw.seed + number) % 2**31
        calls.append(_opinion(name, client, prompt, response_model, settings, seed))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def combined(
    task: Task, answers: Sequence[Opinion | Invalid], rubric: Rubric, settings: JudgeSettings
) -> Judgement | Rejection:
    """What several judges' answers come to by the rule of the settings; as for `judge`."""
    opinions = [answer for answer in answers if isinstance(answer, Opinion)]
    invalid: list[JsonValue] = [answer for answer in answers if not isinstance(answer, Opinion)]
    verdicts = [opinion.verdict for opinion in opinions]
    evidence: dict[str, JsonValue] = {
        "rubric": rubric.id,
        "rule": settings.rule,
        "opinions": [opinion.model_dump() for opinion in opinions],
        "disagreements": [*disagreements(verdicts, rubric)],
    }
    if invalid:
        detail = f"{len(invalid)} of {len(answers)} judges gave no valid answer"
        return Rejection(
            stage="judge", reason="invalid-answer", detail=detail, evidence={**evidence, "invalid": invalid}
        )
    passed = feasible(verdicts, settings.rule)
    if not passed and not audited(task, settings.audit):
        failed = defect(verdicts, rubric)
        return Rejection(
            stage="judge",
            reason=f"infeasible-{failed.replace('_', '-')}",
            detail=f"{failed}: {_because(verdicts, failed)}",
            evidence=evidence,
        )
    return Judgement(
        task_id=task.id,
        rubric=rubric.id,
        rule=settings.rule,
        opinions=tuple(opinions),
        difficulty=middle_difficulty(verdicts),
        disagreements=disagreements(verdicts, rubric),
        audited=not passed,
    )


def audited(task: Task, share: float) -> bool:
    """Whether a task is one of the share that is built whatever the judges say; it follows from the task alone."""
    return int(content_id("audit", task.id), 16) < share * 16**12


async def _opinion(
    name: str,
    client: "AsyncInstructor",
    prompt: list[dict[str, str]],
    response_model: type[Verdict],
    settings: JudgeSettings,
    seed: int,
) -> Opinion | dict[str, JsonValue]:
    """One judge's opinion, or, where none of its answers was valid, what it answered and why that was wrong."""
    from instructor.core import IncompleteOutputException, InstructorRetryException

    asked: Any = prompt  # the client's own type of messages is a union of provider's dicts
    try:
        answer, completion = await client.chat.completions.create_with_completion(
            model=name,
            response_model=response_model,
            messages=asked,
            max_retries=settings.reasks,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            seed=seed,
        )
    except IncompleteOutputException as cut:
        return {"judge": name, "attempts": [_attempt(cut.last_completion, "cut off at max_tokens")]}
    except InstructorRetryException as failed:
        # instructor wraps whatever ends its loop; an outage is no answer.
        if isinstance(failed.__cause__, openai.APIError):
            raise failed.__cause__ from None
        attempts = [_attempt(each.completion, str(each.exception)) for each in failed.failed_attempts or []]
        return {"judge": name, "attempts": attempts or [_attempt(failed.last_completion, str(failed))]}
    # Validated anew without the whole response that instructor hangs on its answers.
    return Opinion(judge=name, model=completion.model, verdict=Verdict.model_validate(answer.model_dump()))


def _attempt(completion: Any, error: str) -> JsonValue:
    choices = getattr(completion, "choices", None)
    return {"answer": choices[0].message.content if choices else None, "error": error}


def _because(verdicts: Sequence[Verdict], failed: str) -> str:
    """The first reason that was given for the defect, on one line."""
    for verdict in verdicts:
        for finding in verdict.criteria:
            if finding.criterion == failed and not finding.passed:
                return " ".join(finding.reason.split())
    return next(" ".join(verdict.reason.split()) for verdict in verdicts if not verdict.feasible)
