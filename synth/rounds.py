"""Rounds of repair: what a task folder says of those it went through, and how many environments each round saved."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel

from envs.folder import EVIDENCE
from envs.rounds import Round
from synth.ledger import Ledger

FILE_NAME = "rounds.json"


class RoundYield(BaseModel):
    """How environments stand after a round."""

    round: int
    """0 is before any repair."""
    certified: int
    """Environments that passed every gate at this round, and not before."""
    open: int
    """Environments that had not passed by then, for whatever reason: under way, given up, or never built whole."""


def rounds_of(folder: Path) -> list[Round]:
    """The rounds that a task folder went through, in order; none where it was never repaired."""
    file = folder / EVIDENCE / FILE_NAME
    return [Round(**one) for one in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []


def rounds_text(rounds: Sequence[Round]) -> str:
    """The same as `rounds.json` has it."""
    return json.dumps([asdict(one) for one in rounds], indent=1, ensure_ascii=False) + "\n"


def yield_by_round(ledger: Ledger, most: int = 5) -> list[RoundYield]:
    """How many environments each round certified, over all tasks whose building came to an end.

    Args:
        ledger: of the run.
        most: the last round; later ones are counted with it.
    """
    begun = sum(row.status in ("done", "rejected") for row in ledger.rows(stage="build"))
    certified = Counter(
        min(int(str(row.data.get("rounds", 0))), most) for row in ledger.rows(stage="gates", status="done")
    )
    table: list[RoundYield] = []
    for number in range(most + 1):
        begun -= certified[number]
        table.append(RoundYield(round=number, certified=certified[number], open=begun))
    return table
