"""Which draw a run takes next: those on record first, in their order, and then such as lean towards what is short."""

from collections import deque
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from synth.ledger import Ledger, StageRow
from taxonomy.balance import Balance
from taxonomy.catalog import Catalog
from taxonomy.task import Draw

STAGE = "draw"
"""Under which the ledger keeps each draw, before anything is made of it."""


class Drawing:
    """The draws of one run. Each is on record before it is handed out, so no later go makes another in its place."""

    def __init__(self, catalog: Catalog, domains: Sequence[str], seed: int, ledger: Ledger) -> None:
        """Take up what earlier goes drew."""
        self._balance = Balance(catalog, domains, seed)
        self._ledger = ledger
        self._known = deque(recorded(ledger))

    def next(self) -> Draw:
        """The next draw, on record from now on."""
        draw = self._known.popleft() if self._known else self._balance.next()
        self._ledger.record(StageRow(item=draw.id, stage=STAGE, status="done", data=draw.model_dump(mode="json")))
        self._balance.began(draw)
        return draw

    def ended(self, draw: Draw, accepted: bool) -> None:
        """Whether a trajectory of a draw was accepted. A draw that was set aside is still under way."""
        self._balance.ended(draw, accepted)


def recorded(ledger: Ledger) -> Iterator[Draw]:
    """The draws on record, in their order; of a run from before draws were recorded those that have a sample."""
    rows = list(ledger.rows(stage=STAGE))
    if rows:
        yield from (Draw.model_validate(row.data) for row in rows)
        return
    for row in ledger.rows(stage="sample"):
        evidence = row.data.get("evidence")
        draw: JsonValue = row.data.get("draw") or (evidence.get("draw") if isinstance(evidence, dict) else None)
        if draw is not None:
            yield Draw.model_validate(draw)
