"""What kind of task folder it is: read as Harbor reads it, whatever version wrote it."""

import re
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from envs.engine import Limits
from envs.folder import EVIDENCE, SOURCE_NAME, several_containers

COMPOSE = ("docker-compose.yaml", "docker-compose.yml", "compose.yaml", "compose.yml")
PYTEST_FILES = ("test_outputs.py", "test_state.py")
SOLUTIONS = ("solution/solve.sh", "solution/solution.sh", "solution.sh", "solve.sh")
"""Where reference solutions have been kept, in the order in which they are looked for."""

_VARIABLE = re.compile(r"\$\{([^}:]+)(?::-(.*))?\}")


class Malformed(ValueError):
    """A folder that Harbor would not take for a task; one line."""


@dataclass(frozen=True)
class Shape:
    """A task folder's form."""

    ours: bool
    """Written by this factory: it carries evidence."""
    schema: str
    """Version of task.toml, as it says; 1.0 where it does not."""
    tests: Literal["script", "pytest"]
    pytest: str
    """The test file that is run where there is no script."""
    solution: str
    """Path of the reference solution in the folder; empty where there is none."""
    image: str
    """The image that task.toml names; empty where a Dockerfile is built."""
    dockerfile: bool
    network: bool
    """Whether the task says that its container has a network."""
    workdir: str | None
    env: Mapping[str, str]
    solution_env: Mapping[str, str]
    tests_env: Mapping[str, str]
    agent_user: str | int | None
    tests_user: str | int | None
    limits: Limits
    agent_seconds: float | None
    tests_seconds: float
    unsupported: str
    """Why it cannot be run here though it may well be sound; empty where it can."""
    notes: tuple[str, ...] = field(default=())
    """What Harbor takes though it is out of date, or does not look at."""


def read_shape(folder: Path) -> Shape:
    """Read a task folder's form with Harbor's own models.

    Raises:
        Malformed: Harbor would not take it, or there is nothing to run.
    """
    from harbor.models.task.config import TaskConfig

    text = _text(folder / "task.toml")
    try:
        table = tomllib.loads(text)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            config = TaskConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"task.toml is not readable as TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Malformed(f"task.toml: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError as error:
        raise Malformed(f"task.toml: {_line(error)}") from None
    notes = [f"harbor: {_line(one.message)}" for one in caught if issubclass(one.category, DeprecationWarning)]
    notes += [f"unknown-setting: task.toml: {name} is no setting that Harbor knows" for name in _unknown(table, config)]
    unsupported = _unsupported(folder, config)
    script, pytest = (folder / "tests" / "test.sh").is_file(), _pytest_file(folder / "tests")
    dockerfile, environment = (folder / "environment" / "Dockerfile").is_file(), config.environment
    if not unsupported:
        if not (folder / "instruction.md").is_file():
            raise Malformed("it has no instruction.md")
        if not script and not pytest:
            raise Malformed("it has neither tests/test.sh nor a pytest file (tests/test_*.py)")
        if not dockerfile and not environment.docker_image:
            raise Malformed("it has no environment: neither environment/Dockerfile nor docker_image")
        if not script:
            notes.append(f"harbor: it wants a tests/test.sh, which is not there; pytest runs tests/{pytest} instead")
        elif complaint := _complaint(folder):
            raise Malformed(complaint)
    try:
        env, solution_env, tests_env = (
            _resolved(table) for table in (environment.env, config.solution.env, config.verifier.env)
        )
    except KeyError as missing:
        env, solution_env, tests_env = {}, {}, {}
        unsupported = unsupported or f"it takes the variable {missing.args[0]} from the host, which it is not given"
    limits = Limits()
    return Shape(
        ours=(folder / EVIDENCE / SOURCE_NAME).is_file(),
        schema=str(table.get("schema_version", table.get("version", "1.0"))),
        tests="script" if script else "pytest",
        pytest=pytest,
        solution=next((path for path in SOLUTIONS if (folder / path).is_file()), ""),
        image=environment.docker_image or "",
        dockerfile=dockerfile,
        network=environment.network_mode.value != "no-network",
        workdir=environment.workdir,
        env=env,
        solution_env=solution_env,
        tests_env=tests_env,
        agent_user=config.agent.user,
        tests_user=config.verifier.user,
        limits=Limits(
            cpus=environment.cpus or limits.cpus,
            memory_mb=environment.memory_mb or limits.memory_mb,
            processes=limits.processes,
            file_mb=max(limits.file_mb, environment.storage_mb or 0),
        ),
        agent_seconds=config.agent.timeout_sec,
        tests_seconds=config.verifier.timeout_sec,
        unsupported=unsupported,
        notes=tuple(dict.fromkeys(notes)),
    )


def _unsupported(folder: Path, config: Any) -> str:
    from harbor.models.task.verifier_mode import task_has_any_separate_verifier

    environment = config.environment
    if config.steps:
        return f"it has several steps ({len(config.steps)}), each with tests of its own"
    found = next((name for name in COMPOSE if (folder / "environment" / name).exists()), "")
    if found and (found != COMPOSE[0] or several_containers(folder / "environment")):
        return f"its environment is several containers (environment/{found})"
    if environment.os.value != "linux":
        return f"its containers are for {environment.os.value}"
    if task_has_any_separate_verifier(config):
        return "its tests run in a container of their own"
    if environment.gpus or environment.tpu:
        return "it needs a GPU or TPU"
    if environment.mcp_servers:
        return "it needs MCP servers"
    return ""


def _complaint(folder: Path) -> str:
    """Why Harbor itself would refuse the folder; empty where it would not."""
    from harbor.models.task.task import Task

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Task(folder)
    except (OSError, ValueError, RuntimeError) as error:
        return f"Harbor refuses it: {_line(error)}"
    return ""


def _pytest_file(tests: Path) -> str:
    """Name of the file that pytest is given; empty where there is none."""
    found = [name for name in PYTEST_FILES if (tests / name).is_file()]
    return next(iter([*found, *sorted(path.name for path in tests.glob("test_*.py"))]), "")


def _resolved(table: Mapping[str, str]) -> dict[str, str]:
    """The variables with their defaults: a stranger's task is given nothing of the host's environment.

    Raises:
        KeyError: one has no default.
    """

    def value(match: re.Match[str]) -> str:
        if match.group(2) is None:
            raise KeyError(match.group(1))
        return match.group(2)

    return {name: _VARIABLE.sub(value, text) for name, text in table.items()}


def _unknown(table: Mapping[str, Any], config: BaseModel) -> list[str]:
    """Settings of the sections that no field of Harbor's models has; metadata are free."""
    names: list[str] = []
    for section in ("agent", "verifier", "environment", "solution"):
        written, model = table.get(section), getattr(config, section)
        if isinstance(written, dict):
            known = {*type(model).model_fields, "memory", "storage"}
            names += [f"{section}.{name}" for name in written if name not in known]
    return names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{path.name} cannot be read: {_line(error)}") from None


def _line(text: object) -> str:
    return " ".join(str(text).split())[:300]
