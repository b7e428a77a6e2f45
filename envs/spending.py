"""What a part of an environment has used up of its budget."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from envs.builder_settings import Budget, Part
from taxonomy.task import Rejection

Limit = Literal["steps", "tokens", "seconds"]


@dataclass
class Spending:
    """Steps, tokens and seconds of one part, counted as they come."""

    part: Part
    budget: Budget
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def took(self, completion: Any) -> None:
        """Count a reply of the model; where the server does not say how many tokens it took, none are counted."""
        self.steps += 1
        usage = getattr(completion, "usage", None)
        self.tokens += int(getattr(usage, "total_tokens", None) or 0)

    @property
    def seconds_left(self) -> float:
        """What may still be run; 0 when nothing."""
        return max(0.0, self.budget.seconds - self.seconds)

    def over(self) -> Limit | None:
        """The limit that forbids another reply, None while there is none."""
        if self.steps >= self.budget.steps:
            return "steps"
        if self.tokens >= self.budget.tokens:
            return "tokens"
        return None if self.seconds_left > 0 else "seconds"

    def rejection(self, limit: Limit, why: str, **evidence: JsonValue) -> Rejection:
        """The part is over its budget.

        Args:
            limit: which of the three.
            why: what was not reached by then, one line.
            evidence: what there is to show.
        """
        return Rejection(
            stage="build",
            reason="over-budget",
            detail=f"{self.part}: {why} within {getattr(self.budget, limit):g} {limit}",
            evidence={
                "part": self.part,
                "limit": limit,
                "used": {"steps": self.steps, "tokens": self.tokens, "seconds": round(self.seconds, 1)},
                **evidence,
            },
        )
