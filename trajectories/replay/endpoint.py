"""A student behind an OpenAI-compatible endpoint.

With a tokenizer at hand the prompts are rendered here, as for a student in process, and sent to `/completions` as token
ids, so that the server neither renders nor adds anything. Without one they go to `/chat/completions`, which renders
them unseen. The steps of one trajectory are asked one after another, so that each finds the one before in the cache.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import JsonValue

from trajectories.replay.ask import ACTION, NEUTRAL, SAMPLING
from trajectories.replay.progress import Progress
from trajectories.replay.result import Prediction
from trajectories.replay.step import Step
from trajectories.template import THINKING_OFF, Audit, StudentTemplate, Thinking, without_thinking

if TYPE_CHECKING:
    from openai import AsyncOpenAI

RETRIES = 5
"""The client asks again so often after 408, 409, 429, 5xx and broken connections, waiting longer each time."""
SECONDS = 600.0
"""That an answer may take."""
IN_A_ROW = 5
"""So many steps that fail one after the other, each with its retries, are no accident."""
_TOO_LONG = ("context length", "context_length", "context window", "too long", "max_model_len", "maximum model length")


class EndpointDown(Exception):
    """The endpoint does not answer, or no longer does. One line."""


class EndpointRefused(Exception):
    """The endpoint will not answer this: key, model or settings. One line with its words."""


class _NoAnswer(Exception):
    """What came back is no answer."""


class _Served(NamedTuple):
    """What the endpoint says of itself."""

    vllm: bool
    """It is vLLM and takes its further parameters, which others refuse."""
    max_model_len: int | None


class EndpointStudent:
    """See `ask.Student`."""

    backend: Literal["vllm", "endpoint"] = "endpoint"
    identity: str | None = None

    def __init__(
        self,
        url: str,
        model: str,
        template: StudentTemplate | None,
        thinking: Thinking,
        *,
        key: str | None = None,
        max_tokens: int,
        max_model_len: int | None = None,
        structured: bool = False,
        concurrency: int = 8,
        retries: int = RETRIES,
        seconds: float = SECONDS,
    ) -> None:
        """Describe the student; nothing is sent before it is asked.

        Args:
            url: up to and including `/v1`.
            model: the name that it is served under.
            template: renders the prompts; None leaves that to the server.
            thinking: the template's, or what is asked of the server.
            key: sent as the bearer token; in no file.
            max_tokens: of an answer.
            max_model_len: tokens of prompt and answer; what the server says by default.
            structured: hold answers to the action's JSON schema.
            concurrency: trajectories asked at once.
            retries: see `RETRIES`.
            seconds: see `SECONDS`.
        """
        unseen = Audit(tokenizer=None, template=None, source="server", thinking=thinking)
        self.audit = template.audit if template is not None else unseen
        self.settings: Mapping[str, JsonValue] = {
            **SAMPLING,
            "max_tokens": max_tokens,
            "structured": structured,
            "max_model_len": max_model_len,
        }
        self._url, self._model, self._template, self._key = url.rstrip("/"), model, template, key
        self._concurrency, self._retries, self._seconds = concurrency, retries, seconds
        self._max_tokens, self._in_a_row = max_tokens, 0

    def ask(self, steps: Sequence[Step], progress: Progress) -> None:
        """See `ask.Student`.

        Raises:
            EndpointDown: it cannot be reached, or fails again and again.
            EndpointRefused: it refuses the key, the model or the settings.
            TokenizerUnusable: the template does not take a step's messages.
        """
        asyncio.run(self._ask(steps, progress))

    async def _ask(self, steps: Sequence[Step], progress: Progress) -> None:
        import openai

        client = openai.AsyncOpenAI(
            base_url=self._url, api_key=self._key or "none", max_retries=self._retries, timeout=self._seconds
        )
        async with client:
            served = await self._served(client)
            progress.begun(None, served.max_model_len)
            progress.made_with({"openai": openai.__version__})
            trajectories: dict[tuple[str, int], list[Step]] = {}
            for step in steps:
                trajectories.setdefault(step.key[:2], []).append(step)
            waiting = iter(trajectories.values())

            async def worker() -> None:
                for trajectory in waiting:
                    for step in trajectory:
                        await self._one(client, step, served, progress)

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._concurrency):
                        group.create_task(worker())
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from errors  # of one cause, whichever worker met it first

    async def _served(self, client: "AsyncOpenAI") -> _Served:
        """Ask the server what it serves; one that does not say is believed."""
        import openai

        try:
            page = await client.with_options(max_retries=1, timeout=30).models.list()
            models = {model.id: model for model in page.data or []}
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointRefused(f"{self._url}: does not take the key: {_words(error)}") from None
        except openai.APIConnectionError as error:
            raise EndpointDown(f"{self._url}: does not answer: {_words(error)}") from None
        except (openai.APIError, ValueError, AttributeError):
            return _Served(False, self._asked_length())
        told = models.get(self._model)
        vllm = any(getattr(model, "owned_by", None) == "vllm" for model in models.values())
        if vllm and told is None:
            # It names all that it serves; others know models by more names than they list.
            raise EndpointRefused(f"{self._url}: serves {', '.join(sorted(models)[:5])}, not {self._model}")
        lengths = [each for each in (getattr(told, "max_model_len", None), self._asked_length()) if each is not None]
        return _Served(vllm, min(lengths, default=None))

    def _asked_length(self) -> int | None:
        length = self.settings["max_model_len"]
        return length if isinstance(length, int) else None

    async def _one(self, client: "AsyncOpenAI", step: Step, served: _Served, progress: Progress) -> None:
        """Ask one step; what fails is counted, and too many failures in a row end it all."""
        import openai

        question = self._question(step, served)
        tokens = len(question["prompt"]) if isinstance(question.get("prompt"), list) else None
        longest = served.max_model_len
        if tokens is not None and longest is not None and tokens + self._max_tokens > longest:
            progress.set_aside(step.key, tokens)
            return
        began = monotonic()
        try:
            asked: Any = client.completions if "prompt" in question else client.chat.completions
            answer = await asked.create(model=self._model, max_tokens=self._max_tokens, **question)
            said = _prediction(step, answer, "messages" in question, monotonic() - began)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointRefused(f"{self._url}: does not take the key: {_words(error)}") from None
        except (openai.NotFoundError, openai.BadRequestError, openai.UnprocessableEntityError) as error:
            words = _words(error)
            if isinstance(error, openai.NotFoundError) or not any(sign in words.lower() for sign in _TOO_LONG):
                raise EndpointRefused(f"{self._url}: refuses what it is asked: {words}") from None
            progress.set_aside(step.key, tokens)
        except (openai.APIError, _NoAnswer, ValueError) as error:
            progress.failed[step.key] = words = _words(error)
            self._in_a_row += 1
            if self._in_a_row >= IN_A_ROW:
                raise EndpointDown(f"{self._url}: {IN_A_ROW} steps failed in a row, the last: {words}") from None
        else:
            self._in_a_row = 0
            progress.answered(said)

    def _question(self, step: Step, served: _Served) -> dict[str, Any]:
        """A step's request: with `prompt` for completions, with `messages` for chat completions."""
        extra: dict[str, Any] = {}
        if served.vllm:
            extra |= {**NEUTRAL, "repetition_penalty": SAMPLING["repetition_penalty"]}
        if self.settings["structured"]:
            schema = {"name": "action", "schema": ACTION, "strict": True}
            extra["response_format"] = {"type": "json_schema", "json_schema": schema}
        sampling = {name: SAMPLING[name] for name in ("temperature", "top_p")}
        if self._template is None:
            if served.vllm and self.audit.thinking == "off":
                extra["chat_template_kwargs"] = dict(THINKING_OFF)
            messages = [self._in_history(message) for message in step.messages]
            return {"messages": messages, "extra_body": extra, **sampling}
        text, end = self._template.prompt(step.messages), self._template.end_of_turn
        ids = self._template.ids(text)
        if served.vllm:
            extra["add_special_tokens"] = False
            end_ids = self._template.ids(end)
            if end_ids is not None and len(end_ids) == 1:
                extra["stop_token_ids"] = end_ids
        return {"prompt": text if ids is None else ids, "stop": [end], "extra_body": extra, **sampling}

    def _in_history(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if message["role"] != "assistant" or self.audit.thinking == "kept":
            return message
        return without_thinking(message)


def _prediction(step: Step, answer: Any, chat: bool, seconds: float) -> Prediction:
    """What is kept of a chat completion or a completion.

    Raises:
        _NoAnswer: it is neither.
    """
    choices = getattr(answer, "choices", None)
    if not choices:
        raise _NoAnswer("what came back has no choices")
    choice = choices[0]
    text = choice.message.content if chat else choice.text
    usage = answer.usage
    details = getattr(usage, "prompt_tokens_details", None)
    return Prediction(
        task_id=step.task_id,
        sample_idx=step.sample_idx,
        step_idx=step.step_idx,
        text=text or "",
        prompt_tokens=getattr(usage, "prompt_tokens", None),
        completion_tokens=getattr(usage, "completion_tokens", None),
        cached_tokens=getattr(details, "cached_tokens", None),
        finish_reason=choice.finish_reason,
        seconds=round(seconds, 3),
    )


def _words(error: BaseException) -> str:
    """What a server or the network said, on one line."""
    body = getattr(error, "body", None)
    told = body.get("message") if isinstance(body, dict) else None
    cause = error.__cause__ if told is None and error.__cause__ is not None else None
    return " ".join(f"{told or error}{f' ({cause})' if cause else ''}".split())[:300]
