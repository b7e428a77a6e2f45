"""A task folder as Harbor reads it, and the record that it is written from and read back into.

The Dockerfile is ours alone: base image, deletions, state layer. No text of a model becomes an instruction in it.
"""

import hashlib
import json
import re
import tarfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from envs import grading, state
from envs.contract import Demand
from envs.engine import MORE_CAPABILITIES
from taxonomy.task import Task

SOURCE_NAME = "source.json"
CERTIFICATE_NAME = "certificate.json"
EVIDENCE = "evidence"
ALTERNATIVE = "alternative.sh"
CONTRACT = "contract.json"
COMPOSE = "docker-compose.yaml"
INPUTS = "inputs.tar"

AGENT_SECONDS = 1800.0
VERIFIER_SECONDS = 300.0


@dataclass(frozen=True)
class Base:
    """The base image that an environment is built on."""

    reference: str
    """Name with a tag that follows from its content."""
    id: str
    """Image id in the engine."""
    capabilities: tuple[str, ...] = ()
    """What its containers need besides the engine's own, such as `NET_ADMIN`, sorted."""


@dataclass(frozen=True)
class Environment:
    """Everything that a task folder is made of."""

    task: Task
    instruction: str
    solution: str
    """The reference solution: a bash script."""
    checks: str
    """Python source of functions `check_*()`."""
    wrong: Mapping[str, str]
    """Scripts that end in a plausible but wrong state, by name."""
    partial: Mapping[str, str]
    """Scripts that do a real part of the work, by name."""
    state: state.StateLayer
    base: Base
    notes: Mapping[str, str | int | float] = field(default_factory=dict)
    """Free facts for task.toml's metadata, such as the builder's model."""
    alternative: str = ""
    """Another solution, written without sight of the first: a bash script; empty where none was to be had."""
    contract: tuple[Demand, ...] = ()
    """What holds the end state to each statement of the instruction; empty where nothing is said of it."""
    inputs: tuple[str, ...] = ()
    """Files of the state that the checks read and the reference leaves as they are, by absolute path. Their content
    ships with the tests, and nothing passes that passes only with other content."""


def write_folder(environment: Environment, path: Path) -> None:
    """Write a Harbor task folder into an empty or missing folder.

    Raises:
        FileExistsError: the folder is there and not empty.
    """
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(f"{path} is not empty")
    for name in ("environment", "solution", "tests", f"{EVIDENCE}/wrong", f"{EVIDENCE}/partial"):
        (path / name).mkdir(parents=True, exist_ok=True)
    _write(path / "task.toml", _task_toml(environment))
    _write(path / "instruction.md", environment.instruction)
    (path / "environment" / "Dockerfile").write_text(_dockerfile(environment))
    if environment.base.capabilities:
        _write(path / "environment" / COMPOSE, _compose(environment.base.capabilities))
    state.write(environment.state, path / "environment")
    _script(path / "solution" / "solve.sh", environment.solution)
    _write(path / "tests" / "checks.py", environment.checks)
    for name, text in grading.files().items():
        _script(path / "tests" / name, text)
    for kind, scripts in (("wrong", environment.wrong), ("partial", environment.partial)):
        for name, text in scripts.items():
            _script(path / EVIDENCE / kind / f"{name}.sh", text)
    if environment.alternative:
        _script(path / EVIDENCE / ALTERNATIVE, environment.alternative)
    if environment.contract:
        said = [demand.model_dump(mode="json") for demand in environment.contract]
        _write(path / EVIDENCE / CONTRACT, json.dumps(said, indent=1, ensure_ascii=False))
    if environment.inputs:
        (path / "tests" / INPUTS).write_bytes(environment.state.only(environment.inputs))
    source = {
        "task": environment.task.model_dump(mode="json"),
        "base": asdict(environment.base),
        "state": environment.state.digest,
    }
    _write(path / EVIDENCE / SOURCE_NAME, json.dumps(source, indent=2))


def read_folder(path: Path) -> Environment:
    """Read a folder that `write_folder` wrote; the certificate is not part of it.

    Raises:
        FileNotFoundError: it is none of ours: a part is missing.
    """
    source = json.loads((path / EVIDENCE / SOURCE_NAME).read_text())
    notes = tomllib.loads((path / "task.toml").read_text())["metadata"].get("notes", {})
    return Environment(
        task=Task.model_validate(source["task"]),
        instruction=(path / "instruction.md").read_text(),
        solution=(path / "solution" / "solve.sh").read_text(),
        checks=(path / "tests" / "checks.py").read_text(),
        wrong=scripts(path, "wrong"),
        partial=scripts(path, "partial"),
        state=state.read(path / "environment"),
        base=_base(source),
        notes=notes,
        alternative=_text_of(path / EVIDENCE / ALTERNATIVE),
        contract=contract_of(path),
        inputs=inputs_of(path),
    )


def contract_of(path: Path) -> tuple[Demand, ...]:
    """The contract of a task folder; empty where it has none."""
    file = path / EVIDENCE / CONTRACT
    return tuple(Demand.model_validate(one) for one in json.loads(file.read_text())) if file.exists() else ()


def inputs_of(path: Path) -> tuple[str, ...]:
    """Paths of the files whose content ships with the tests of a task folder, sorted."""
    file = path / "tests" / INPUTS
    if not file.exists():
        return ()
    with tarfile.open(file, errors="surrogateescape") as tar:
        return tuple(sorted(f"/{name}" for name in tar.getnames()))


def scripts(path: Path, kind: str) -> dict[str, str]:
    """The `wrong` or `partial` scripts of a task folder by name; none where it has none."""
    folder = path / EVIDENCE / kind
    return {file.stem: file.read_text() for file in sorted(folder.glob("*.sh"))} if folder.is_dir() else {}


def base_of(path: Path) -> Base | None:
    """The base image of a folder of ours; None for any other."""
    file = path / EVIDENCE / SOURCE_NAME
    return _base(json.loads(file.read_text())) if file.exists() else None


def several_containers(environment: Path) -> bool:
    """Whether the `environment` of a task folder is one of compose services, and no mere grant of capabilities."""
    file = environment / COMPOSE
    if not file.exists():
        return False
    text = file.read_text(errors="replace")
    granted = re.findall(r"^      - (\w+)$", text, re.MULTILINE)
    return text != _compose(granted) or not MORE_CAPABILITIES.issuperset(granted)


def folder_digest(path: Path, *parts: str) -> str:
    """Digest of a task folder's files: names, whether they may be executed, and content; not the certificate.

    Args:
        path: the task folder.
        parts: names below it to look at alone, such as `environment`; none is all of it.
    """
    hashed = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if not file.is_file() or name == CERTIFICATE_NAME or (parts and name.split("/")[0] not in parts):
            continue
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        hashed.update(f"{name}\0{bool(file.stat().st_mode & 0o100)}\0{content}\n".encode())
    return f"sha256:{hashed.hexdigest()}"


def _base(source: Mapping[str, Any]) -> Base:
    told = source["base"]
    return Base(told["reference"], told["id"], tuple(told.get("capabilities", ())))


def _compose(capabilities: Sequence[str]) -> str:
    """What stock Harbor has to be told of the container; our own engine reads it from the image."""
    return "services:\n  main:\n    cap_add:\n" + "".join(f"      - {name}\n" for name in capabilities)


def _dockerfile(environment: Environment) -> str:
    lines = [f"FROM {environment.base.reference}"]
    if environment.state.deletions:
        listed = f"/.{state.DELETIONS_NAME}"
        lines += [
            f"COPY {state.DELETIONS_NAME} {listed}",
            f"RUN xargs -0 -a {listed} rm -rf -- && rm {listed}",
        ]
    lines += [f"ADD {state.TAR_NAME} /"]
    return "\n".join(lines) + "\n"


def _task_toml(environment: Environment) -> str:
    task = environment.task
    axes = "".join(f"{_text(name)} = {_text(value)}\n" for name, value in sorted(task.draw.axes.items()))
    notes = "".join(f"{_text(name)} = {_value(value)}\n" for name, value in sorted(environment.notes.items()))
    return f"""\
schema_version = "1.4"

[task]
name = {_text(f"synth/{task.id}")}
description = {_text(task.title)}

[metadata]
task_id = {_text(task.id)}
domain = {_text(task.draw.domain)}
topic = {_text(task.draw.topic)}
state = {_text(environment.state.digest)}
base_image = {_text(environment.base.id)}

[metadata.axes]
{axes}
[metadata.notes]
{notes}
[agent]
timeout_sec = {AGENT_SECONDS}

[verifier]
timeout_sec = {VERIFIER_SECONDS}

[environment]
network_mode = "no-network"
build_timeout_sec = 600.0
"""


def _text(value: str) -> str:
    # A TOML basic string is a JSON string, but for the one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: str | int | float) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _write(path: Path, text: str) -> None:
    # A model's JSON may hold half a surrogate pair, which no file can.
    path.write_bytes(_ended(text).encode(errors="replace"))


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _script(path: Path, text: str) -> None:
    _write(path, text)
    path.chmod(0o755)
