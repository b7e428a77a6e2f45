"""How a student is trained: one small settings model, and the published recipes as named presets."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trajectories.template import Fallback, Thinking


class SftError(ValueError):
    """A training that cannot be done as it is asked for: one line that says what is wrong."""


class Lora(BaseModel):
    """Low-rank adapters on every linear layer, instead of the whole model (arXiv 2106.09685)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class SftSettings(BaseModel):
    """What bears on a training besides the model and the rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: float = Field(3, gt=0)
    max_steps: int | None = Field(None, ge=1)
    """The training ends after so many steps, whatever `epochs` says."""
    lr: float = Field(5e-6, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: float = Field(0.04, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(0.0, ge=0)
    batch: int = Field(32, ge=1)
    """Examples of one step."""
    device_batch: int = Field(1, ge=1)
    """Examples that the device holds at once; a step is made of `batch / device_batch` of these."""
    max_length: int = Field(65536, ge=16)
    """Tokens of an example at most."""
    packing: bool = False
    """Several examples in one sequence of `max_length`, none seeing another."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """On a GPU; a CPU computes in fp32."""
    gradient_checkpointing: bool = True
    """Less memory for more time."""
    lora: Lora | None = None
    """None trains the whole model."""
    save_steps: int | None = Field(None, ge=1)
    """Steps between two checkpoints; None saves after each epoch."""
    seed: int = Field(0, ge=0)
    thinking: Thinking = "stripped"
    fallback: Fallback = "auto"
    target: Literal["text", "json"] = "text"
    """`json`: an answer is its JSON action alone; one that neither holds commands nor completes the task is not learnt
    from."""

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if self.batch % self.device_batch:
            raise ValueError(f"batch {self.batch} is no multiple of device_batch {self.device_batch}")
        return self


def preset_names() -> list[str]:
    """The names that `load_settings` knows."""
    folder = resources.files("trajectories.sft") / "presets"
    return sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml"))


def load_settings(preset: str | None, file: Path | None, flags: Mapping[str, Any]) -> SftSettings:
    """Put settings together; what is given later goes over what is given before.

    Args:
        preset: a name of `preset_names`.
        file: a YAML file of settings.
        flags: settings by name.

    Raises:
        SftError: there is no such preset, the file cannot be read, or a setting does not fit.
    """
    found: dict[str, Any] = {}
    if preset is not None:
        if preset not in preset_names():
            raise SftError(f"no preset is called {preset}; there are {', '.join(preset_names())}")
        text = (resources.files("trajectories.sft") / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
        found.update(yaml.safe_load(text))
    if file is not None:
        found.update(_read(file))
    found.update(flags)
    try:
        return SftSettings.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SftError(f"{where or 'settings'}: {first['msg'].removeprefix('Value error, ')}") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise SftError(f"{file}: cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise SftError(f"{file}: no mapping of settings")
    return {str(name): value for name, value in content.items()}
