"""The tools of the setup agent: run a command, write a file, finish; all of it inside the container, all of it bounded.

A model calls tools clumsily. Whatever a call holds, it ends in a text for the model: what was done, or why nothing was.
"""

import json
import posixpath
from dataclasses import dataclass
from typing import Any

from json_repair import repair_json
from pydantic import BaseModel, Field, ValidationError, field_validator

from envs.builder_settings import BuilderSettings
from envs.engine import Container
from envs.errors import ToolFailed

MAX_CALLS = 16
"""Tool calls of one reply that are carried out."""

_VIRTUAL = ("/proc", "/sys", "/dev")


class RunCommand(BaseModel):
    """Run a bash command as root in /app, in a fresh shell, without input; answers exit code and output."""

    command: str = Field(min_length=1, max_length=100_000, description="What `bash -c` runs. May have several lines.")
    timeout_seconds: float | None = Field(default=None, gt=0, description="Kill the command after so many seconds.")


class WriteFile(BaseModel):
    """Write a text file, owned by root; missing directories are made, a file of that name is replaced."""

    path: str = Field(description="Absolute path.")
    content: str = Field(description="The whole content of the file.")
    mode: str = Field(default="0644", description="Permissions in octal, such as 0644 or 0755.")

    @field_validator("mode", mode="before")
    @classmethod
    def _octal(cls, mode: object) -> str:
        # Models write 644 and "0o644" as well; as decimal numbers neither would mean anything.
        text = str(mode).lower().removeprefix("0o")
        if not text or len(text) > 5 or text.strip("01234567"):
            raise ValueError("mode must be octal, such as 0644")
        return text

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        clean = posixpath.normpath(path)
        if not path.startswith("/") or path.endswith("/") or "\0" in path:
            raise ValueError("path must be the absolute path of a file")
        if any(clean == folder or clean.startswith(folder + "/") for folder in _VIRTUAL):
            raise ValueError(f"{clean} is not a place for files")
        return "/" + clean.lstrip("/")


class Finish(BaseModel):
    """Say that the starting point is complete. The last call of all."""

    summary: str = Field(default="", description="What lies where, and which facts decide the right result.")


_TOOLS: dict[str, type[BaseModel]] = {"run_command": RunCommand, "write_file": WriteFile, "finish": Finish}


def tool_definitions() -> list[dict[str, Any]]:
    """The tools as the `tools` field of a chat completion request wants them."""
    definitions = []
    for name, model in _TOOLS.items():
        schema = model.model_json_schema()
        description = schema.pop("description")
        schema.pop("title")
        for entry in schema["properties"].values():
            entry.pop("title", None)
        function = {"name": name, "description": description, "parameters": schema}
        definitions.append({"type": "function", "function": function})
    return definitions


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate: valid in JSON, but no character
        return False
    return "\0" not in value


class BadCallError(ValueError):
    """A tool call that cannot be carried out; its text is for the model."""


def read_call(name: str, arguments: str) -> RunCommand | WriteFile | Finish:
    """Make out what a tool call asks for.

    Args:
        name: the function's name as the model wrote it.
        arguments: its arguments, meant to be a JSON object; slips of syntax are mended by json-repair.

    Raises:
        BadCallError: there is no such tool, or the arguments are not what it takes.
    """
    model = _TOOLS.get(name)
    if model is None:
        raise BadCallError(f"there is no tool named {name!r}; there are {', '.join(_TOOLS)}")
    try:
        value = json.loads(arguments or "{}")
    except json.JSONDecodeError:
        value = repair_json(arguments, return_objects=True)
    if not isinstance(value, dict):
        raise BadCallError(f"the arguments of {name} must be one JSON object")
    if any(isinstance(part, str) and not _is_text(part) for part in value.values()):
        raise BadCallError(f"the arguments of {name} hold characters that are no text")
    try:
        call = model.model_validate(value)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc'])) or name}: {one['msg']}" for one in error.errors()]
        raise BadCallError(f"bad arguments for {name}: {'; '.join(wrong)}") from None
    assert isinstance(call, RunCommand | WriteFile | Finish)  # noqa: S101 - for the type checker: the table holds these
    return call


class OutOfTimeError(Exception):
    """The commands have used up all their seconds."""


@dataclass
class Tools:
    """The tools over one container, with what they have used up so far."""

    container: Container
    limits: BuilderSettings
    seconds: float = 0.0
    written: int = 0
    shown: int = 0

    async def run(self, call: RunCommand) -> str:
        """Run a command in the container and tell its exit code and output.

        Raises:
            OutOfTimeError: no second is left for commands.
        """
        limits = self.limits
        left = limits.state.seconds - self.seconds
        if left <= 0:
            raise OutOfTimeError
        wanted = call.timeout_seconds or limits.command_seconds
        timeout = min(wanted, limits.max_command_seconds, left)
        room = min(limits.output_limit, max(limits.total_output_limit - self.shown, 500))
        ran = await self.container.run(call.command, workdir="/app", timeout=timeout, output_limit=room)
        self.seconds += ran.seconds
        self.shown += len(ran.output)
        status = f"exit code: {ran.exit_code}"
        if ran.timed_out:
            status += f" (killed: it ran longer than {timeout:.0f} s)"
        return f"{status}\noutput:\n{ran.output.rstrip() or '(none)'}"

    async def write(self, call: WriteFile) -> str:
        """Write a file into the container and tell how large it is.

        Raises:
            BadCallError: it cannot be written there, or too much has been written already.
        """
        content = call.content.encode()
        if self.written + len(content) > self.limits.write_limit:
            raise BadCallError(
                f"not written: write_file may write {self.limits.write_limit} bytes in all, and {self.written} are "
                "used up; make large data with a command"
            )
        try:
            await self.container.put_files({call.path: (content, int(call.mode, 8))})
        except ToolFailed as error:  # such as a path that leads through a file
            raise BadCallError(f"not written: {error}") from None
        self.written += len(content)
        return f"wrote {len(content)} bytes to {call.path} (mode {call.mode})"
