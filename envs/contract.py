"""The contract between instruction and checks: what the text asks is checked, and what is checked the text asks.

The instruction is cut into statements here, by rule and not by a model. Whoever writes the checks says for every
statement which of them hold the end state to it, or why none has to. What can be told from the texts alone is found
here; whether the checks look at files that the instruction does not name shows when they are executed (see the gates).
"""

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from envs.answers import check_sentences

_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d+[.)])[ \t]+", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'`*(/\[]?[A-Z0-9`/])")
_BINDING = re.compile(
    r"\b(?:must|shall|has to|have to|should|exactly|only|never|do not|don't|no other|nothing else|stays?|unchanged|"
    r"remains?|keeps?|leave|required)\b",
    re.IGNORECASE,
)


class Demand(BaseModel):
    """A statement of the instruction, and what holds the end state to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    """As it stands in the instruction, on one line."""
    checks: tuple[str, ...] = ()
    """Names of the checks that fail where it is not met."""
    why: str = ""
    """Why no check is needed, where there is none."""


def statements(instruction: str) -> tuple[str, ...]:
    """Cut an instruction into what it states: list items whole, paragraphs by sentence; each on one line.

    Code blocks, headings and table rows are no statements; they belong to the one before them.
    """
    text = _FENCE.sub("", instruction)
    found: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text):
        starts = [match.start() for match in _ITEM.finditer(block)]
        lead = block[: starts[0]] if starts else block
        plain = [line for line in lead.splitlines() if not re.match(r"\s*(?:#|\|)", line)]
        found += _SENTENCE_END.split(" ".join(" ".join(plain).split()))
        for start, end in zip(starts, [*starts[1:], len(block)], strict=False):
            found.append(_ITEM.sub("", " ".join(block[start:end].split()), count=1))
    return tuple(dict.fromkeys(one for one in (each.strip() for each in found) if re.search(r"\w", one)))


def binding(statement: str) -> bool:
    """Whether a statement by its wording asks for something (must, exactly, only, stays ...)."""
    return _BINDING.search(statement) is not None


def breaches(instruction: str, checks: str, contract: Sequence[Demand]) -> list[str]:
    """What is wrong with a contract, each in one line; empty when it holds.

    Args:
        instruction: the text.
        checks: Python source of the checks; valid.
        contract: what was said of each statement.
    """
    said = check_sentences(checks)
    wanted = statements(instruction)
    given = {demand.text: demand for demand in contract}
    problems = [f"{name} has no sentence that says what it holds the end state to" for name in said if not said[name]]
    for statement in wanted:
        demand = given.get(statement)
        if demand is None:
            problems.append(f"nothing is said of the statement: {_short(statement)}")
        elif not demand.checks and (binding(statement) or not demand.why.strip()):
            problems.append(f"no check holds the end state to: {_short(statement)}")
    for demand in contract:
        if demand.text not in wanted:
            problems.append(f"the instruction does not state: {_short(demand.text)}")
        problems += [f"there is no check {name}" for name in demand.checks if name not in said]
    named = {name for demand in contract for name in demand.checks}
    problems += [f"no statement of the instruction asks for what {name} checks" for name in said if name not in named]
    return list(dict.fromkeys(problems))


def _short(text: str, length: int = 160) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
