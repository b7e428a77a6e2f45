"""The records that travel down the line: a draw, the task written from it, and the rejection of either.

Every stage takes one of these (and explicit tools) and returns one of these; none of them knows the factory.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue


def content_id(*parts: Any) -> str:
    """Name a record by what it contains.

    Args:
        parts: values that JSON can write; keys of mappings are sorted, so their order does not matter.

    Returns:
        The first 12 hexadecimal digits of the SHA-256 of the parts written as canonical JSON.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Draw(BaseModel):
    """One sampled combination of domain, topic and axes: what the sampler is asked to write a task about."""

    model_config = ConfigDict(frozen=True)

    domain: str
    """Key of the domain, such as `version_control`."""
    topic: str
    """Key of the topic within the domain, such as `merge-conflicts`."""
    axes: dict[str, str]
    """Chosen value of each axis, by axis name."""
    seed: int
    """Non-negative, below 2**31; sent as `seed` with the sampling call."""
    index: int
    """Position in the run's sequence of draws, from 0. What draw i is depends on the run's seed, and on what became of
    those before it (`taxonomy.balance`)."""
    attempt: int = 0
    """How often this combination was tried before at this position. Always 0 where draws lean towards what is short."""

    @property
    def id(self) -> str:
        """Content-derived name of this draw."""
        return content_id(self.domain, self.topic, self.axes, self.seed, self.index)


Verified = Literal["ids", "counts", "no"]
"""What it is known by that the prompt was the intended one: its token ids, its number of tokens alone, or nothing."""


class Origin(BaseModel):
    """Where a task's text came from: enough to ask the same model the same thing again."""

    model_config = ConfigDict(frozen=True)

    model: str
    """Model name that the server answered with."""
    mode: str
    """How the model was made to write the user's turn: `raw` (completion of a pre-query template), `chat` (a chat whose
    last user message is left open) or `ask` (a chat that asks for a task)."""
    template: str
    """The chat template: a family such as `chatml`, `own-<hash>` for the model's own, `server` where the server's was
    applied."""
    prompt_sha256: str
    """Hash of the exact text sent; of the messages as JSON where messages were sent."""
    parameters: dict[str, JsonValue]
    """Everything else as sent: temperature, top_p, max_tokens, stop, seed, and what the mode adds."""
    verified: Verified = "no"
    """Whether this prompt was seen to leave the user's turn open (asking: to close it)."""


class Task(BaseModel):
    """A task as the sampler wrote it, in the LiteCoder layout, with the draw behind it."""

    model_config = ConfigDict(frozen=True)

    draw: Draw
    title: str
    domain_focus: str
    objective: str
    """One sentence."""
    scenario: str
    """One or more paragraphs."""
    checklist: tuple[str, ...]
    """6 to 10 items."""
    text: str
    """The whole text as the model wrote it; the fields above are parsed from it."""
    origin: Origin

    @property
    def id(self) -> str:
        """`<domain>-<12 hexadecimal digits>`: unique per draw and text; also the name of the task's folder."""
        return f"{self.draw.domain}-{content_id(self.draw.id, self.text)}"


class Rejection(BaseModel):
    """Why an item goes no further. A bad item is data, never an exception."""

    model_config = ConfigDict(frozen=True)

    stage: str
    """`sample`, `dedupe`, `judge`, `build`, `repair`, `gates`, `rollout`, `reexecute` or `policy`."""
    reason: str
    """Name of the class of defect, in kebab-case, such as `near-duplicate`; what a funnel counts."""
    detail: str
    """One line for a person."""
    evidence: Mapping[str, JsonValue] = {}
    """What was seen: verdicts, scores, outputs."""
