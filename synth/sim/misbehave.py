"""Misbehaviour on demand: the faults of real models and servers, at given rates, so that every guard can be tried."""

import hashlib
import json
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, ClassVar


class Conduct(Enum):
    """How a teacher goes about one trial."""

    WORKS = "works"
    LOOPS = "loops"
    SURRENDERS = "surrenders"


@dataclass(frozen=True)
class Misbehaviour:
    """Share of requests, tasks or trials (0 to 1) that go wrong in each way.

    Content faults (`infeasible_tasks` and what follows it) are decided by the task's seed or ticket and the trial's
    seed alone: the same item always fares the same. Server faults (`http_429` to `invalid_json`) are decided by the
    request and by how often this server has been sent that very request, so that a retry may succeed; that counter is
    the one thing that the model remembers.
    """

    http_429: float = 0.0
    http_500: float = 0.0
    slow: float = 0.0
    """Answers that take `slow_seconds`."""
    slow_seconds: float = 2.0
    cut_off: float = 0.0
    """Answers that stop half way with finish_reason `length`."""
    invalid_json: float = 0.0
    """Structured answers and teacher's turns that do not parse."""
    infeasible_tasks: float = 0.04
    """Sampled tasks that no offline container can serve: GPU clusters, cloud accounts, downloads."""
    looping_teachers: float = 0.02
    surrendering_teachers: float = 0.02
    cheating_solutions: float = 0.0
    """Reference solutions that forge the reward instead of working."""
    clumsy_state: float = 0.0
    """Starting points in which the answer is left lying about."""
    clumsy_instruction: float = 0.0
    """Instructions that lack a demand, or have one that nothing checks."""
    clumsy_solution: float = 0.0
    """Reference solutions that stop half way, fail, or need what is not there."""
    clumsy_tests: float = 0.0
    """Checks that pass always, crash, ask too much or too little."""
    clumsy_repair: float = 0.0
    """Repairs of a part that leave it as bad as those first attempts."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a misspelt rate in the settings is an error

    def __post_init__(self) -> None:
        for field in fields(self):
            most = 60 if field.name == "slow_seconds" else 1
            if not 0 <= getattr(self, field.name) <= most:
                raise ValueError(f"{field.name} must be between 0 and {most}")


def lot(*parts: Any) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
