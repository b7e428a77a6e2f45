"""Settings of the builder: how much the model may do for each part of one task."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Part = Literal["state", "instruction", "solution", "tests"]
"""What an environment is made of, in the order in which it is made."""

PARTS: tuple[Part, ...] = ("state", "instruction", "solution", "tests")


class Budget(BaseModel):
    """What one part may use up each time that it is written: at first, and again in each round of repair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(ge=1)
    """Replies of the model. A reply that has to be asked for again is a step, too."""
    tokens: int = Field(ge=1)
    """Of all its calls together, prompts and answers, as the server counts them."""
    seconds: float = Field(gt=0)
    """Everything that is run for it in containers. Time that the model thinks is not counted: a slow or paced server is
    no defect of an item."""


class BuilderSettings(BaseModel):
    """Limits of one build. All of them bound a clumsy model; none of them changes what a good one makes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Budget = Budget(steps=40, tokens=2_000_000, seconds=600)
    """The setup agent's conversation and its commands."""
    instruction: Budget = Budget(steps=4, tokens=200_000, seconds=60)
    solution: Budget = Budget(steps=6, tokens=600_000, seconds=900)
    """The solver: the script, and after each run of it what to do next. Six steps are five runs."""
    tests: Budget = Budget(steps=4, tokens=600_000, seconds=900)
    alternative: bool = True
    """Whether a second solution is asked for, without sight of the first."""
    repair_rounds: int = Field(default=5, ge=0, le=10)
    """How often a part is rewritten that a gate names as being at fault."""
    command_seconds: float = Field(default=60, gt=0)
    """One command of the setup agent that does not say how long it may take."""
    max_command_seconds: float = Field(default=300, gt=0)
    """One command, however long it asks for; also one run of a solution."""
    output_limit: int = Field(default=16_000, ge=500)
    """Bytes of output that the model is shown of one command or run: the first and the last half."""
    total_output_limit: int = Field(default=200_000, ge=500)
    """Bytes of output that the setup agent is shown of all commands; when they are used up it sees 500 of each."""
    write_limit: int = Field(default=4_000_000, ge=0)
    """Bytes that the tool `write_file` may write in all."""
    state_limit: int = Field(default=60_000_000, ge=1, le=64 << 20)
    """Bytes of the state layer."""
    nudges: int = Field(default=3, ge=0)
    """Replies in a row without one usable tool call that are answered with a nudge; the next one ends the attempt."""
    repeats: int = Field(default=4, ge=2)
    """So many times in a row the same call with the same result ends the attempt; the time before, it is told."""
    listing_limit: int = Field(default=24_000, ge=2_000)
    """Characters that the description of a state has for the writers."""
    max_tokens: int = Field(default=16_384, ge=256)
    """Sent with every call."""
    temperature: float | None = Field(default=None, ge=0)
    """Sent with every call when set; else the server decides."""
    least_wrong: int = Field(default=2, ge=1)
    """Wrong outputs that the tests writer is asked for."""
    least_partial: int = Field(default=1, ge=1)
    """Partial solutions that the tests writer is asked for."""

    @field_validator(*PARTS, mode="before")
    @classmethod
    def _over_the_default(cls, value: Any, info: ValidationInfo) -> Any:
        # A budget of which one limit is set keeps the other two.
        default = cls.model_fields[str(info.field_name)].default
        return {**default.model_dump(), **value} if isinstance(value, Mapping) else value

    def budget(self, part: Part) -> Budget:
        """What a part may use up."""
        return {
            "state": self.state,
            "instruction": self.instruction,
            "solution": self.solution,
            "tests": self.tests,
        }[part]
