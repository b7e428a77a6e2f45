"""A conversation with a model that answers in a given form, and is asked again with what was wrong in its answer.

What pydantic can see is validated inside instructor; what only a container can tell is looked at by the caller. Both go
back to the model with the same words, and both count against the budget of the part that the conversation is about.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
from pydantic import JsonValue, ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from envs.answers import Answer
from envs.builder_settings import BuilderSettings, Part
from envs.engine import Engine
from envs.inventory import ImageInventory
from envs.prompts import render
from envs.spending import Spending
from taxonomy.task import Rejection, Task

if TYPE_CHECKING:  # it takes half a second to import, and only its client's type is spoken of here
    from instructor import AsyncInstructor

EVIDENCE_LIMIT = 4_000
"""Characters kept of each bad answer in a rejection's evidence."""


@dataclass(frozen=True)
class Desk:
    """What all the writers of one environment work with."""

    task: Task
    client: "AsyncInstructor"
    """Instructor on the server where `model` answers."""
    engine: Engine
    image: str
    """Name of the environment's image: what was written is run in containers of it, without a network."""
    inventory: ImageInventory
    """What the image has."""
    state: str
    """The initial state in words."""
    settings: BuilderSettings
    model: str
    """Name of the model at the server."""

    def user(self, name: str, **values: Any) -> str:
        """A user message about this task."""
        return render(name, task=self.task.text.strip(), state=self.state, image=self.inventory.text, **values)


@dataclass(frozen=True)
class Again:
    """A part is written again: what it is now, and why it cannot stay so."""

    answer: Answer
    """What a writer had answered, as if a moment ago."""
    said: str
    """What was executed and what came of it, for the model."""


class Conversation:
    """The messages so far, and what they have used up."""

    def __init__(
        self, desk: Desk, part: Part, system: str, user: str, again: Again | None = None, seed: int | None = None
    ) -> None:
        """Begin.

        Args:
            desk: what is worked with.
            part: whose budget counts.
            system: the rules.
            user: what there is.
            again: where the part is not written for the first time.
            seed: sent with every call; None is the draw's.
        """
        self.spending = Spending(part, desk.settings.budget(part))
        self._desk = desk
        self._messages: list[dict[str, Any]] = [
            {"role": "system", "content": system},
            {"role": "user", "content": user},
        ]
        if again is not None:
            self._messages += [
                {"role": "assistant", "content": again.answer.model_dump_json()},
                {"role": "user", "content": again.said},
            ]
        self._options: dict[str, Any] = {
            "max_tokens": desk.settings.max_tokens,
            "seed": desk.task.draw.seed if seed is None else seed,
        }
        if desk.settings.temperature is not None:
            self._options["temperature"] = desk.settings.temperature
        self._failures: list[JsonValue] = []

    def say(self, text: str) -> None:
        """Tell the model something; it is sent with the next question."""
        self._messages.append({"role": "user", "content": text})

    async def ask[A: Answer](
        self, kind: type[A], wrong: Callable[[A], Awaitable[str]] | None = None
    ) -> A | Rejection:
        """Ask until the answer is right or the budget is used up.

        Args:
            kind: form of the answer; its name is the schema's.
            wrong: what is wrong with an answer that has this form, in words for the model; empty when nothing.

        Returns:
            The answer, which is part of the conversation from then on; or a Rejection of stage `build`:
            `invalid-answer`, `answer-cut-off`, `refused` or `over-budget`.

        Raises:
            openai.APIError: the server did not answer; nothing is known about the task then.
        """
        from instructor.core import IncompleteOutputException, InstructorRetryException, ResponseParsingError

        limit = self.spending.over()
        while limit is None:
            once = AsyncRetrying(
                stop=stop_after_attempt(1),
                retry=retry_if_exception_type((ValidationError, json.JSONDecodeError, ResponseParsingError)),
                reraise=True,
            )
            answer: A | None = None
            try:
                answer, completion = await self._desk.client.chat.completions.create_with_completion(
                    model=self._desk.model,
                    response_model=kind,
                    messages=list(self._messages),
                    max_retries=once,
                    **self._options,
                )
            except (IncompleteOutputException, InstructorRetryException) as failed:
                cause = failed.__cause__
                if isinstance(cause, openai.APIError):
                    raise cause from None
                if IncompleteOutputException in (type(failed), type(cause)):
                    self._failures.append(_failure(failed.last_completion, "cut off at the token limit"))
                    return self._reject("answer-cut-off", kind)
                if not failed.failed_attempts:
                    raise
                completion, problem = failed.failed_attempts[-1].completion, str(failed.failed_attempts[-1].exception)
                self.spending.took(completion)
            else:
                self.spending.took(completion)
                problem = await wrong(answer) if wrong is not None else ""
            self._messages.append({"role": "assistant", "content": _content(completion)})
            if answer is not None and not problem:
                return kind.model_validate(answer.model_dump())  # without the whole response that instructor hangs on
            self._failures.append(_failure(completion, problem))
            self.say(render("reask", problem=problem))
            limit = self.spending.over()
        if limit == "steps" and self._failures:
            return self._reject("invalid-answer", kind)
        return self.spending.rejection(limit, f"there was no usable {kind.__name__.lower()}", answers=self._failures)

    def _reject(self, reason: str, kind: type[Answer]) -> Rejection:
        refused = any(isinstance(one, dict) and one["refusal"] for one in self._failures)
        count = f"{len(self._failures)} answer{'s' if len(self._failures) > 1 else ''}"
        return Rejection(
            stage="build",
            reason="refused" if refused else reason,
            detail=f"the model gave no usable {kind.__name__.lower()} ({count})",
            evidence={"part": self.spending.part, "answers": self._failures},
        )


def _content(completion: Any) -> str:
    choices = getattr(completion, "choices", None)
    message = choices[0].message if choices else None
    return getattr(message, "content", None) or ""


def _failure(completion: Any, error: str) -> JsonValue:
    choices = getattr(completion, "choices", None)
    message = choices[0].message if choices else None
    return {
        "answer": _content(completion)[:EVIDENCE_LIMIT],
        "refusal": getattr(message, "refusal", None),
        "error": error[:EVIDENCE_LIMIT],
    }
