"""The setup agent: a model that makes a task's starting point in a container, by calling tools until it says `finish`.

Language models are clumsy, so every way of going wrong has a bounded end: a reply without a usable tool call is
answered with a nudge, a few in a row end the attempt; so does the same call over and over with the same result, and so
do the limits on replies, seconds and bytes. Each end is a Rejection that carries the transcript.
"""

import json
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from pydantic import JsonValue

from envs.builder_settings import BuilderSettings
from envs.engine import Container
from envs.errors import ContainerGone
from envs.prompts import render
from envs.setup_tools import (
    MAX_CALLS,
    BadCallError,
    Finish,
    OutOfTimeError,
    RunCommand,
    Tools,
    read_call,
    tool_definitions,
)
from envs.spending import Limit, Spending
from envs.state import StateError, StateLayer, capture
from taxonomy.task import Rejection, Task

Message = dict[str, JsonValue]
"""One message of a conversation, as OpenAI's chat format has it."""

EVIDENCE_LIMIT = 4_000
"""Characters kept of each text in a rejection's evidence."""

_WARN_AT = 3
"""So many replies before the last one the agent is told."""


@dataclass(frozen=True)
class SetUp:
    """What a finished setup agent leaves."""

    layer: StateLayer
    summary: str
    """The agent's own words; for a person, never believed."""
    transcript: list[Message]
    """All messages as received, from the system prompt to the accepted `finish`."""
    seconds: float
    """What its commands took together."""


@dataclass(frozen=True)
class _Call:
    id: str
    name: str
    arguments: str
    """As the model wrote them."""

    def message(self, *, valid: bool) -> JsonValue:
        arguments = self.arguments
        if valid and not _is_object(arguments):
            arguments = "{}"  # servers refuse a history whose arguments are no JSON
        return {"id": self.id, "type": "function", "function": {"name": self.name or "unnamed", "arguments": arguments}}


@dataclass(frozen=True)
class _Reply:
    content: str
    calls: list[_Call]
    finish_reason: str
    refusal: str | None

    def message(self, *, valid: bool) -> Message:
        message: Message = {"role": "assistant", "content": self.content}
        if self.calls:
            calls = [call.message(valid=valid) for call in self.calls]
            message |= {"content": self.content or None, "tool_calls": calls}
        return message


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


def _read(completion: ChatCompletion, step: int) -> _Reply:
    """Take a completion apart without trusting the server to keep to its own schema."""
    choice = completion.choices[0] if completion.choices else None
    if choice is None or choice.message is None:
        return _Reply("", [], "stop", None)
    calls = []
    for position, call in enumerate(choice.message.tool_calls or []):
        function = getattr(call, "function", None)
        arguments: object = getattr(function, "arguments", None) or "{}"
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        # Ids of some servers are empty or come again in a later reply; in the history each must be found once.
        calls.append(_Call(f"call_{step}_{position}", str(getattr(function, "name", None) or ""), text))
    content = choice.message.content or ""
    return _Reply(content, calls, choice.finish_reason or "stop", choice.message.refusal)


def _clipped(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value[:EVIDENCE_LIMIT]
    if isinstance(value, list):
        return [_clipped(one) for one in value]
    if isinstance(value, dict):
        return {key: _clipped(one) for key, one in value.items()}
    return value


class _Agent:
    """One attempt: the conversation, the tools, and what went wrong so far."""

    def __init__(self, task: Task, tools: Tools, image: str, settings: BuilderSettings, repair: str) -> None:
        self.tools = tools
        self.settings = settings
        self.spending = Spending("state", settings.state)
        limits = {**settings.model_dump(), "max_steps": settings.state.steps, "seconds": settings.state.seconds}
        system = render("setup_system", max_calls=MAX_CALLS, **limits)
        user = render("setup_task", task=task.text.strip(), image=image, repair=repair)
        self.sent: list[Any] = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        self.transcript: list[Message] = list(self.sent)
        self.astray = 0
        self.warned_of: set[str] = set()
        self.last: tuple[str, str, str] | None = None
        self.repeated = 0

    def say(self, message: Message) -> None:
        self.sent.append(message)
        self.transcript.append(message)

    def reject(self, reason: str, detail: str, **evidence: JsonValue) -> Rejection:
        transcript = [_clipped(message) for message in self.transcript[1:]]
        return Rejection(stage="build", reason=reason, detail=detail, evidence={**evidence, "transcript": transcript})

    def over(self, limit: Limit, why: str) -> Rejection:
        transcript: JsonValue = [_clipped(message) for message in self.transcript[1:]]
        return self.spending.rejection(limit, why, transcript=transcript)

    async def act(self, reply: _Reply, step: int) -> SetUp | Rejection | None:
        """Do what the reply asks for and put the results into the history; None means: go on."""
        self.sent.append(reply.message(valid=True))
        self.transcript.append(reply.message(valid=False) | {"finish_reason": reply.finish_reason})
        if reply.refusal or reply.finish_reason == "content_filter":
            return self.reject("refused", "the model refused to set the task up", refusal=reply.refusal)
        # A reply that was cut off may hold half a file that json-repair would make look whole.
        trouble = "the reply was cut off at the token limit" if reply.finish_reason == "length" else ""
        done = 0
        for position, call in enumerate(reply.calls):
            outcome: str | SetUp | Rejection
            if trouble or position >= MAX_CALLS:
                outcome = f"not done: {trouble or 'too many calls in one reply'}; send less at once"
            else:
                try:
                    outcome = await self.carry_out(call, all_done=done == position)
                    done += 1
                except BadCallError as bad:
                    outcome = str(bad)
            if not isinstance(outcome, str):
                return outcome
            if position == len(reply.calls) - 1 and self.settings.state.steps - step - 1 == _WARN_AT:
                outcome += f"\n[{_WARN_AT} replies are left: complete the starting point and call finish]"
            self.say({"role": "tool", "tool_call_id": call.id, "content": outcome})
        if not reply.calls:
            said = f"Nothing was done: {trouble or 'your reply called no tool'}."
            self.say({"role": "user", "content": render("nudge", trouble=said)})
        self.astray = 0 if done else self.astray + 1
        if self.astray > self.settings.nudges:
            detail = f"{self.astray} replies in a row had no usable tool call"
            return self.reject("setup-astray", detail)
        return None

    async def carry_out(self, call: _Call, *, all_done: bool) -> str | SetUp | Rejection:
        """Carry one call out.

        Args:
            all_done: every call before this one in the same reply was carried out.

        Returns:
            The result for the model, or the end of the attempt.

        Raises:
            BadCallError: it cannot be carried out.
        """
        asked = read_call(call.name, call.arguments)
        if isinstance(asked, Finish):
            if not all_done:
                raise BadCallError("not finished: a call before this one in the same reply was not carried out")
            return await self.finish(asked)
        try:
            result = await (self.tools.run(asked) if isinstance(asked, RunCommand) else self.tools.write(asked))
        except OutOfTimeError:
            return self.over("seconds", "the commands did not end")
        except ContainerGone as gone:  # out of memory, or its first process killed
            return self.reject("setup-failed", f"the container did not survive: {gone}", call=call.message(valid=False))
        this = (call.name, call.arguments, result)
        self.repeated = self.repeated + 1 if this == self.last else 1
        self.last = this
        if self.repeated >= self.settings.repeats:
            return self.reject("setup-loop", f"the same call came {self.repeated} times in a row with the same result")
        if self.repeated == self.settings.repeats - 1 and self.repeated > 1:
            result += f"\n[the same call with the same result, {self.repeated} times in a row: do something else]"
        return result

    async def finish(self, asked: Finish) -> str | SetUp | Rejection:
        """Capture the state; what is no state at all, or too large, may be mended once."""
        limit = self.settings.state_limit
        try:
            # What is still running would go on writing while the state is read, and is no part of it anyway.
            await self.tools.container.run("kill -KILL -1", user="root", workdir="/")
            layer = await capture(self.tools.container)
        except ContainerGone as gone:
            return self.reject("setup-failed", f"the container did not survive: {gone}")
        except StateError as error:
            reason, trouble = "state-not-captured", str(error)
        else:
            if not layer.empty and len(layer.tar) <= limit:
                self.transcript.append({"role": "tool", "content": "finished"})
                return SetUp(layer, asked.summary, self.transcript, self.tools.seconds)
            reason, trouble = "empty-state", "no file has been added, changed or deleted where files are kept"
            if not layer.empty:
                reason = "state-too-large"
                trouble = f"the starting point has {len(layer.tar)} bytes; {limit} is the most"
        if reason in self.warned_of:
            return self.reject(reason, trouble)
        self.warned_of.add(reason)
        return f"not finished: {trouble}; mend that and call finish once more"


async def set_up(
    task: Task,
    chat: AsyncOpenAI,
    container: Container,
    image: str,
    settings: BuilderSettings,
    model: str,
    repair: str = "",
) -> SetUp | Rejection:
    """Have the starting point of a task made in a container.

    Args:
        task: what it is the starting point of.
        chat: where the model answers.
        container: of the base image, as yet untouched, or with the starting point that is to be repaired; everything
            that the model writes stays inside.
        image: what the image has, as text for the model.
        settings: the limits.
        model: name of the model at the server.
        repair: what is wrong with the starting point that is there already, for the model; empty where there is none.

    Returns:
        The captured state, or a Rejection of stage `build`: `over-budget`, `setup-astray`, `setup-loop`,
        `setup-failed`, `refused`, `empty-state`, `state-too-large` or `state-not-captured`; its evidence has the
        transcript.

    Raises:
        openai.APIError: the server did not answer; nothing is known about the task then.
    """
    agent = _Agent(task, Tools(container, settings), image, settings, repair)
    options: dict[str, Any] = {
        "model": model,
        "tools": tool_definitions(),
        "max_tokens": settings.max_tokens,
        "seed": task.draw.seed,
    }
    if settings.temperature is not None:
        options["temperature"] = settings.temperature
    while (limit := agent.spending.over()) is None:
        step = agent.spending.steps
        completion: ChatCompletion = await chat.chat.completions.create(messages=agent.sent, **options)
        agent.spending.took(completion)
        end = await agent.act(_read(completion, step), step)
        if end is not None:
            return end
    return agent.over(limit, "the starting point was not finished")
