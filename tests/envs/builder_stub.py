"""A strict OpenAI-compatible server over loopback HTTP that answers chat completions from a script."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "trial-token"

_KNOWN = {"model", "messages", "tools", "response_format", "max_tokens", "seed", "temperature"}
_MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "refusal"},
    "tool": {"role", "content", "tool_call_id"},
}

Reply = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]
"""A completion's choice, or a function from the request to one."""


def says(content: str | None, *, finish_reason: str = "stop", **fields: Any) -> dict[str, Any]:
    """A choice without tool calls."""
    message = {"role": "assistant", "content": content, **fields}
    return {"index": 0, "finish_reason": finish_reason, "message": message}


def calls(*wanted: tuple[str, Any], finish_reason: str = "tool_calls") -> dict[str, Any]:
    """A choice with tool calls; arguments that are text are sent as they are, others as JSON."""
    import json

    tool_calls = [
        {
            "id": f"c{position}",
            "type": "function",
            "function": {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args)},
        }
        for position, (name, args) in enumerate(wanted)
    ]
    return says(None, finish_reason=finish_reason, tool_calls=tool_calls)


def runs(command: str, **more: Any) -> dict[str, Any]:
    """A choice that runs one command."""
    return calls(("run_command", {"command": command, **more}))


FINISH = calls(("finish", {"summary": "done"}))


@dataclass
class Stub:
    """The server's script and what it was asked."""

    url: str = ""
    script: list[Reply] = field(default_factory=list)
    """Used from the front; the last one is used again and again."""
    answers: dict[str, list[Reply]] = field(default_factory=dict)
    """The same, by name of the response format."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    tokens: int = 2
    """What every answer is said to have taken."""
    asked_in_all: int = 0
    """Requests, refused ones too."""
    clients: list[AsyncOpenAI] = field(default_factory=list)

    def client(self) -> AsyncOpenAI:
        """A client as the factory makes it; closed with the server."""
        self.clients.append(AsyncOpenAI(base_url=self.url, api_key=TOKEN, max_retries=0))
        return self.clients[-1]

    def asked(self, name: str | None) -> list[dict[str, Any]]:
        """Requests of one kind: by name of the response format, or those with tools."""
        return [one for one in self.requests if _format(one) == name]

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked_in_all += 1
        problem = _problem(body, request.headers.get("authorization"))
        if problem or self.status != 200:
            status = 400 if problem else self.status
            return JSONResponse({"error": {"message": problem or "told to fail", "type": "test"}}, status)
        self.requests.append(body)
        name = _format(body)
        script = self.script if name is None else self.answers[name]
        reply = script.pop(0) if len(script) > 1 else script[0]
        choice = reply(body) if callable(reply) else reply
        return JSONResponse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice] if choice else [],
                "usage": {"prompt_tokens": self.tokens - 1, "completion_tokens": 1, "total_tokens": self.tokens},
            }
        )


def _format(body: dict[str, Any]) -> str | None:
    name: str | None = body.get("response_format", {}).get("json_schema", {}).get("name")
    return name


def _problem(body: dict[str, Any], authorization: str | None) -> str:
    """What a strict server refuses: unknown fields, bad tokens, tool calls that are not all answered in order."""
    import json

    if authorization != f"Bearer {TOKEN}":
        return "bad token"
    if body.keys() - _KNOWN:
        return f"unknown fields {sorted(body.keys() - _KNOWN)}"
    owed: list[str] = []
    seen: set[str] = set()
    for message in body["messages"]:
        extra = message.keys() - _MESSAGE_FIELDS[message["role"]]
        if extra:
            return f"unknown fields in a message: {sorted(extra)}"
        if message["role"] == "tool":
            if not owed or owed.pop(0) != message["tool_call_id"]:
                return "a tool message answers no call"
            continue
        if owed:
            return "tool calls without an answer"
        for call in message.get("tool_calls") or []:
            if call["id"] in seen:
                return f"the id {call['id']} comes twice"
            seen.add(call["id"])
            owed.append(call["id"])
            if not isinstance(json.loads(call["function"]["arguments"]), dict):
                return "arguments of a call are no object"
    return "tool calls without an answer" if owed else ""


@asynccontextmanager
async def serving() -> AsyncIterator[Stub]:
    """Serve a stub on a free port of the loopback."""
    stub = Stub()
    app = Starlette(routes=[Route("/v1/chat/completions", stub.complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    stub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield stub
    finally:
        for client in stub.clients:
            await client.close()
        server.should_exit = True
        await task
