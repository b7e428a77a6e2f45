"""The settings of a run: each stage's own small model, put together, and read from the four places they may stand in.

Flags win over `SYNTH_*` variables, those over `synth.toml`, and that over the defaults. A key is never a setting: an
upstream names the environment variable that holds it.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from envs.builder_settings import BuilderSettings
from judges.feasibility import JudgeSettings
from synth.gateway.settings import GatewaySettings, Roles, Upstreams
from synth.sim.misbehave import Misbehaviour
from taxonomy.meaning import MeaningSettings
from taxonomy.sampler import SamplerSettings
from trajectories.rollout import RolloutSettings

PREFIX = "SYNTH_"
SEPARATOR = "__"
FILE = "synth.toml"


class BadSettings(Exception):
    """A setting is unknown or has no sense. The message is one line: where it stands and what is wrong."""


class Settings(BaseModel):
    """Everything that a run may be told, besides what is asked of it (domains, how many, where)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the draws; as long as nothing is turned away candidate i of a run depends on it and on i alone."""
    policy: str = "verified"
    """Which labelled trajectories become rows: a policy's name, or the path of a policy file."""
    repeats: int = Field(default=1, ge=1, le=64)
    """Rollouts of each task by each teacher."""
    in_flight: int = Field(default=8, ge=1, le=256)
    """Candidates that are worked on at once."""
    containers: int = Field(default=8, ge=1, le=256)
    """Containers that run at once; more wait."""
    reference_repeats: int = Field(default=2, ge=1, le=20)
    """Fresh containers in which the reference solution has to score 1."""
    domains: tuple[str, ...] = ()
    """YAML files of domains besides those that come with synth; the file's name is the domain's key."""
    near_duplicate: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity of word 3-shingles from which a task counts as written before."""
    benchmarks: tuple[str, ...] = ()
    """Files and folders with benchmark texts (Harbor tasks, JSONL, plain texts) that no task and no trajectory may
    repeat."""
    max_cost_usd: float | None = Field(default=None, ge=0)
    """The run stops when the known spending reaches it."""

    roles: Roles = cast(Roles, {})
    upstreams: Upstreams = cast(Upstreams, {})
    sampler: SamplerSettings = SamplerSettings()
    meaning: MeaningSettings = MeaningSettings()
    judge: JudgeSettings = JudgeSettings()
    builder: BuilderSettings = BuilderSettings()
    rollout: RolloutSettings = RolloutSettings()
    sim: Misbehaviour = Misbehaviour()

    @model_validator(mode="after")
    def _roles_are_served(self) -> "Settings":
        gateway = self.gateway()
        if any(gateway.upstreams[model.upstream].kind == "sim" for model in gateway.roles.get("embedder", ())):
            raise ValueError(
                "roles.embedder: the built-in model has no embeddings; without the role a static one is used"
            )
        if len(self.roles["judge"]) > self.judge.judges:
            raise ValueError(
                f"judge.judges is {self.judge.judges}, fewer than the {len(self.roles['judge'])} judges in roles"
            )
        return self

    def gateway(self) -> GatewaySettings:
        """The gateway's part."""
        return GatewaySettings(roles=self.roles, upstreams=self.upstreams, max_cost_usd=self.max_cost_usd)

    def deciding(self) -> dict[str, Any]:
        """The settings that decide what a run makes; see `NOT_DECIDING` for what is left out and why."""
        return self.model_dump(mode="json", exclude=set(NOT_DECIDING))


NOT_DECIDING: Mapping[str, str] = {
    "in_flight": "how many candidates are worked on at once changes when things are made, not what",
    "containers": "likewise",
    "max_cost_usd": "a stopped run goes on under a larger budget",
    "upstreams": "an address or a pace may change between two goes; the models stand in the roles",
}
"""Settings that may change between two goes at one run, with the reason."""


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings.

    Args:
        flags: values given on the command line, nested as in the file; None values are not given.
        file: settings file; None is `synth.toml` in the working folder, if there is one.
        environment: where `SYNTH_*` variables are looked up; None is the process's.

    Raises:
        BadSettings: a file cannot be read, or a setting is unknown or has no sense.
    """
    environment = os.environ if environment is None else environment
    from_file, name = _from_file(file)
    from_variables = _from_variables(environment)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    places = ((given, "the command line"), (from_variables, f"{PREFIX}*"), (from_file, name))
    merged: dict[str, Any] = {}
    for values, _ in reversed(places):
        merged = _merged(merged, values)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise BadSettings(_one_line(error, places)) from None


def _from_file(file: Path | None) -> tuple[dict[str, Any], str]:
    path = file or Path(FILE)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), str(path)
    except FileNotFoundError:
        if file is None:
            return {}, FILE
        raise BadSettings(f"{path}: there is no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: not readable as TOML: {error}") from None
    except OSError as error:
        raise BadSettings(f"{path}: cannot be read: {error.strerror}") from None


def _from_variables(environment: Mapping[str, str]) -> dict[str, Any]:
    """`SYNTH_SEED=3` and `SYNTH_ROLES__TEACHER=...`, by the rules of pydantic-settings; an unknown name is an error."""
    names = [name for name in environment if name.upper().startswith(PREFIX)]
    for name in names:
        field = name[len(PREFIX) :].lower().split(SEPARATOR)[0]
        if field not in Settings.model_fields:
            raise BadSettings(f"{name}: there is no such setting; see `synth config`")

    class Variables(BaseSettings):
        """The same fields, for the source to know which values are JSON."""

    Variables.__pydantic_fields__ = {**Settings.model_fields}
    source = EnvSettingsSource(Variables, env_prefix=PREFIX, env_nested_delimiter=SEPARATOR, case_sensitive=False)
    source.env_vars = {name.lower(): environment[name] for name in names}
    try:
        return source()
    except (SettingsError, ValueError) as error:
        raise BadSettings(f"{PREFIX}* variables: {error}") from None


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _one_line(error: ValidationError, places: tuple[tuple[Mapping[str, Any], str], ...]) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [str(part) for part in first["loc"] if isinstance(part, str | int)]
    where = next((name for values, name in places if path and path[0] in values), "settings")
    what = (
        "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    )
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {'.'.join(path) or 'settings'}: {what}{more}"
