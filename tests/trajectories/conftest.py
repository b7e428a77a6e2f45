"""A scripted teacher behind real HTTP, and a small task in a real container."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from trajectories.record import Command, Message, Scaffold, Tokens, Trajectory, Turn

TOKEN = "trial-token-5f0c9e7d41"
ENVIRONMENT = os.environ.get("SYNTH_TEST_ENVIRONMENT", "envs.harbor_environment:SdkEnvironment")


def answer(*keystrokes: str, complete: bool = False, seconds: float = 0.1, analysis: str = "I look.") -> str:
    """An answer as Terminus-2 wants it."""
    commands = [{"keystrokes": keys, "duration": seconds} for keys in keystrokes]
    body: dict[str, Any] = {"analysis": analysis, "plan": "Next.", "commands": commands}
    if complete:
        body["task_complete"] = True
    return json.dumps(body)


@dataclass
class Teacher:
    """Answers requests from a script, in order, the last entry again and again; keeps what it was asked."""

    script: list[Any] = field(default_factory=list)
    """A text, a dict (body of the answer's choice and more), an (HTTP status, body) pair, or what makes one of these
    from the request's messages."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    base_url: str = ""
    delay: float = 0.0

    async def _chat(self, request: Request) -> JSONResponse:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        await asyncio.sleep(self.delay)
        entry = self.script[min(len(self.requests), len(self.script)) - 1]
        if callable(entry):
            entry = entry(self.requests[-1]["messages"])
        if isinstance(entry, tuple):
            return JSONResponse(entry[1], status_code=entry[0])
        extra = entry if isinstance(entry, dict) else {"content": entry}
        message = {"role": "assistant", "content": extra["content"]}
        if "reasoning_content" in extra:
            message["reasoning_content"] = extra["reasoning_content"]
        choice = {"index": 0, "finish_reason": extra.get("finish_reason", "stop"), "message": message}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": "stub-model-1"}
        return JSONResponse({**body, "choices": [choice], "usage": usage})


@pytest.fixture
def trajectory() -> Callable[..., Trajectory]:
    """Make a record: a solved task in three turns, but for what is said otherwise."""
    default = [
        Turn(emitted=answer("ls\n"), commands=(Command(keystrokes="ls\n", seconds=0.1),), screen="$ ls ✓\n$"),
        Turn(emitted=answer(complete=True), declared=True, screen="$"),
        Turn(emitted=answer(complete=True, analysis="Yes."), declared=True, screen="$"),
    ]

    def make(turns: list[Turn] | None = None, **fields: Any) -> Trajectory:
        made = tuple(default if turns is None else turns)
        messages: list[Message] = []
        for index, turn in enumerate(made):
            messages += [
                Message(role="user", content=f"screen {index}"),
                Message(role="assistant", content=turn.emitted),
            ]
        values: dict[str, Any] = {
            "task_id": "version_control-0123456789ab",
            "domain": "version_control",
            "topic": "hooks",
            "teacher": "teacher",
            "model": "stub-model-1",
            "scaffold": Scaffold(name="terminus-2", version="2.0.0"),
            "seed": 7,
            "messages": tuple(messages),
            "turns": made,
            "ended": "complete",
            "reward": 1.0,
            "checks": {"check_a": 1.0},
            "tokens": Tokens(prompt=30, completion=3),
            "seconds": 1.5,
            "digests": {"folder": "sha256:00"},
        }
        return Trajectory(**{**values, **fields})

    return make


@pytest.fixture
async def teacher() -> AsyncIterator[Teacher]:
    """A teacher that listens on loopback."""
    made = Teacher()
    app = Starlette(routes=[Route("/v1/chat/completions", made._chat, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    listening = socket.create_server(("127.0.0.1", 0))
    made.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield made
    server.should_exit = True
    await serving


GRADER = """#!/bin/bash
# Two checks: the greeting is right, and it was written by a job in the background where the task asks for one.
mkdir -p /logs/verifier
right=0; listed=0
[ "$(cat /app/greeting.txt 2>/dev/null)" = hello ] && right=1
[ -s /app/listing.txt ] && listed=1
printf '{"reward": %d, "check_greeting": %d, "check_listing": %d}' $((right * listed)) $right $listed \
  > /logs/verifier/reward.json
"""


@pytest.fixture
def make_task(tmp_path: Path, image: str) -> Callable[..., Path]:
    """Write a task folder: a greeting and a listing are wanted."""

    def make(grader: str = GRADER, agent_seconds: float = 60.0, name: str = "version_control-0123456789ab") -> Path:
        folder = tmp_path / "tasks" / name
        (folder / "environment").mkdir(parents=True)
        (folder / "tests").mkdir()
        (folder / "environment" / "Dockerfile").write_text(f"FROM {image}\n")
        (folder / "instruction.md").write_text(
            "Write hello into /app/greeting.txt and a listing into /app/listing.txt.\n"
        )
        (folder / "tests" / "test.sh").write_text(grader)
        (folder / "tests" / "test.sh").chmod(0o755)
        (folder / "task.toml").write_text(
            'schema_version = "1.4"\n[task]\nname = "synth/t"\n'
            f'[metadata]\ntask_id = "{name}"\ndomain = "version_control"\ntopic = "hooks"\nstate = "sha256:aa"\n'
            f"[agent]\ntimeout_sec = {agent_seconds}\n[verifier]\ntimeout_sec = 60.0\n"
            '[environment]\nnetwork_mode = "no-network"\n'
        )
        return folder

    return make


@pytest.fixture(scope="session")
def image() -> str:
    """Reference of the base image, which `make setup` makes."""
    import docker

    from envs.images.store import ImageStore

    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine: {error}")
    store = ImageStore(client)
    if store.status("version_control") is None:
        pytest.skip(f"the base image {store.reference('version_control')} is not there; `make setup` makes it")
    return store.reference("version_control")


@pytest.fixture
def environment_kwargs(image: str) -> dict[str, Any]:
    """What the environment class is given."""
    from envs.owner import owner

    return {"image": image, "owner": owner("tests-trajectories")}


@pytest.fixture
def containers() -> Callable[[], list[str]]:
    """Names of the containers of this process's tests that are there now."""
    import docker

    from envs.owner import LABEL, owner

    client = docker.from_env()

    def names() -> list[str]:
        found = client.containers.list(
            all=True, filters={"label": f"{LABEL}={owner('tests-trajectories')}"}, ignore_removed=True
        )
        return [container.name for container in found]

    return names
