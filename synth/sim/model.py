"""The model's front: OpenAI requests in, OpenAI answers out, dispatched by what the request itself says."""

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from synth.sim import builder, judge, teacher
from synth.sim.catalog import Catalog, built_in
from synth.sim.misbehave import Conduct, Misbehaviour, lot
from synth.sim.refusal import SimError
from synth.sim.sampler import asks_for_a_task, is_open, sample

_TOKEN = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")
_HELLO = (
    "I am sim, the built-in model of synth. I am not a language model: I answer the requests of the factory's own roles"
    " (sampler, judge, builder, teacher) about tasks that I sampled myself, and I do not recognise this one."
)


class Sim:
    """The built-in model.

    Answers depend on the request, `seed` and `misbehaviour` alone; the one thing it remembers is how often it was sent
    a request that a server fault may hit, so that a retry can succeed (see `Misbehaviour`).
    """

    def __init__(self, seed: int = 0, misbehaviour: Misbehaviour | None = None, catalog: Catalog | None = None) -> None:
        self._seed = seed
        self._misbehaviour = misbehaviour or Misbehaviour()
        self._catalog = catalog or built_in()
        self._asked: Counter[str] = Counter()

    def domains(self) -> list[str]:
        """Domains that it has scenarios for."""
        return self._catalog.domains()

    def topics(self, domain: str) -> list[str]:
        """Topics of a domain that it has scenarios for."""
        return self._catalog.topics(domain)

    async def complete(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/v1/completions`.

        Args:
            payload: an OpenAI completion request (`prompt`, `seed`, `max_tokens`, `stop`).

        Returns:
            An OpenAI `text_completion` object.

        Raises:
            SimError: the request is wrong, names a domain without scenarios, or a fault was drawn.
        """
        prompt = payload.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        if not isinstance(prompt, str):
            raise SimError(400, "`prompt` must be one string", "invalid_prompt")
        key = await self._server_faults(payload)
        text = sample(prompt, self._sample_seed(payload, prompt), self._catalog, self._misbehaviour)
        text, reason = self._finish(text if text is not None else _HELLO, payload, key)
        return {
            "id": f"cmpl-sim-{key[:16]}",
            "object": "text_completion",
            "created": 0,
            "model": str(payload.get("model") or "sim"),
            "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}],
            "usage": _usage(prompt, text),
        }

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/v1/chat/completions`.

        Args:
            payload: an OpenAI chat request (`messages`, `tools`, `response_format`, `seed`, `max_tokens`, `stop`).

        Returns:
            An OpenAI `chat.completion` object.

        Raises:
            SimError: the request is wrong, or a fault was drawn.
        """
        messages = _messages(payload)
        key = await self._server_faults(payload)
        content, calls = self._answer(payload, messages)
        if not calls:
            content, reason = self._finish(content, payload, key)
        else:
            reason = "tool_calls"
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if calls:
            message["tool_calls"] = [
                {"id": f"call_{key[:12]}_{i}", "type": "function", "function": call} for i, call in enumerate(calls)
            ]
        asked = "\n".join(str(message.get("content") or "") for message in messages)
        return {
            "id": f"chatcmpl-sim-{key[:16]}",
            "object": "chat.completion",
            "created": 0,
            "model": str(payload.get("model") or "sim"),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": _usage(asked, content + "".join(call["arguments"] for call in calls), _closing(payload)),
        }

    def _sampled(self, payload: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> str:
        """The task that a chat asks for, or the rest of it where the user has begun to write it."""
        system, user = (str(message["content"]) for message in messages)
        text = sample(system, self._sample_seed(payload, system), self._catalog, self._misbehaviour) or _HELLO
        return text.removeprefix(user) if is_open(payload) else text

    def _sample_seed(self, payload: Mapping[str, Any], prompt: str) -> int:
        seed = _integer(payload, "seed")
        return _mix(self._seed, int(lot("prompt", prompt) * 2**31) if seed is None else seed)

    def _answer(
        self, payload: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
    ) -> tuple[str, list[dict[str, Any]]]:
        """Text and tool calls of a chat answer."""
        if asks_for_a_task(payload, messages):
            return self._sampled(payload, messages), []
        first = next((str(message["content"]) for message in messages if message["role"] == "user"), "")
        tools = {str(tool.get("function", {}).get("name")) for tool in payload.get("tools") or ()}
        if tools >= builder.SETUP_TOOLS:
            return builder.set_up(self._catalog.recognise(first), messages, self._misbehaviour)
        match _schema_name(payload):
            case "Verdict":
                known = self._catalog.recognise(judge.task_in(first)) is not None
                return _json(judge.verdict(first, known or _about_a_repository(judge.task_in(first)))), []
            case str(name) if name in builder.WRITERS:
                answer = builder.write(name, self._catalog.recognise(first), self._misbehaviour, messages)
                return _json(answer), []
        scenario = self._catalog.recognise(first)
        if scenario is None or "Task Description:" not in first:
            return _HELLO, []
        trial = f"{scenario.ticket}/{self._seed}/{_integer(payload, 'seed') or 0}"
        return teacher.answer(scenario, Random(f"trial/{trial}"), messages, self._conduct(trial)), []

    def _conduct(self, trial: str) -> Conduct:
        draw, looping = lot("conduct", trial), self._misbehaviour.looping_teachers
        if draw < looping:
            return Conduct.LOOPS
        return Conduct.SURRENDERS if draw < looping + self._misbehaviour.surrendering_teachers else Conduct.WORKS

    async def _server_faults(self, payload: Mapping[str, Any]) -> str:
        """Sleep or fail as drawn; returns a name of this request (and of the attempt, where faults are on)."""
        key = hashlib.sha256(json.dumps(payload, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        rates = self._misbehaviour
        if not any((rates.http_429, rates.http_500, rates.slow, rates.cut_off, rates.invalid_json)):
            return key
        attempt = self._asked[key]
        self._asked[key] += 1
        key = hashlib.sha256(f"{key}/{attempt}/{self._seed}".encode()).hexdigest()
        if lot("slow", key) < rates.slow:
            await asyncio.sleep(rates.slow_seconds)
        if lot("429", key) < rates.http_429:
            raise SimError(429, "too many requests (a drawn fault of the built-in model)", "rate_limit_exceeded")
        if lot("500", key) < rates.http_500:
            raise SimError(500, "internal error (a drawn fault of the built-in model)", "server_error")
        return key

    def _finish(self, text: str, payload: Mapping[str, Any], key: str) -> tuple[str, str]:
        """The text as it leaves the server, and why it ended."""
        if text.startswith("{") and lot("invalid", key) < self._misbehaviour.invalid_json:
            text = text.replace('"', "'", 2).rstrip("}") + ","
        if lot("cut", key) < self._misbehaviour.cut_off:
            return text[: len(text) // 2], "length"
        stops = payload.get("stop") or ()
        for stop in (stops,) if isinstance(stops, str) else stops:
            text = text.split(stop, 1)[0]
        limits = (_integer(payload, "max_tokens"), _integer(payload, "max_completion_tokens"))
        limit = next((limit for limit in limits if limit is not None), None)
        if limit is not None:
            ends = [match.end() for match in _TOKEN.finditer(text)]
            if len(ends) > limit:
                return text[: ends[limit - 1]] if limit else "", "length"
        return text, "stop"


def count_tokens(text: str) -> int:
    """Number of tokens of a text, by a simple rule (words in pieces of six characters, signs one by one)."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _usage(asked: str, answered: str, closing: int = 0) -> dict[str, int]:
    prompt, completion = count_tokens(asked) + closing, count_tokens(answered)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _closing(payload: Mapping[str, Any]) -> int:
    """Tokens of a chat template behind the last message: its end, and the beginning of the assistant's turn."""
    return (not payload.get("continue_final_message")) + (payload.get("add_generation_prompt") is not False)


def _mix(model_seed: int, seed: int) -> int:
    """The seed itself under model seed 0, so that a draw and its task are easy to tie together; else a hash of both."""
    return seed if model_seed == 0 else int(lot("seed", model_seed, seed) * 2**32)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _integer(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise SimError(400, f"`{name}` must be an integer", "invalid_value")
    return value


def _messages(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages, each with its content as one string."""
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        raise SimError(400, "`messages` must be a list with at least one message", "invalid_messages")
    plain = []
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            raise SimError(400, "each message must be an object with a `role`", "invalid_messages")
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        plain.append({**message, "content": content or ""})
    return plain


def _schema_name(payload: Mapping[str, Any]) -> str | None:
    form = payload.get("response_format")
    schema = form.get("json_schema") if isinstance(form, dict) else None
    return str(schema.get("name")) if isinstance(schema, dict) else None


def _about_a_repository(task: str) -> bool:
    return (
        re.search(r"\b(?:git|repositor(?:y|ies)|branch|commit|tag|histor(?:y|ies)|release|fork|merge)", task, re.I)
        is not None
    )
