"""Draws that lean towards what is short: topics and axis values whose tasks are turned away are drawn again sooner.

As long as nothing is turned away, the draws are those of `taxonomy.draws`. What is turned away leaves its domain, topic
and axis values one short, and the next draw takes of each the value that is furthest behind. What never gets through
must not eat what is left to be tried, so the lean has two bounds (`LEAN`, `HOPELESS`).

The next draw follows from the seed and from what became of the earlier ones, so a run that keeps both on record can be
taken up again anywhere.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from taxonomy.catalog import Catalog
from taxonomy.draws import number
from taxonomy.task import Draw

LEAN = 4.0
"""A value is drawn at most so many times as often as the mean of its like."""

HOPELESS = 4
"""Draws turned away from which on a value of which none was accepted, while others of its like are, is drawn no more
often than the mean. So it comes to light when it can be served after all, at the cost of the blind walk."""


@dataclass
class _Counts:
    """What became of the draws of the values of one kind."""

    drawn: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    away: Counter[str] = field(default_factory=Counter)

    def held(self, value: str) -> int:
        """Draws that were accepted or may yet be."""
        return self.drawn[value] - self.away[value]


class Balance:
    """The draws made so far and what became of them; says which comes next."""

    def __init__(self, catalog: Catalog, domains: Sequence[str], seed: int) -> None:
        """Begin with no draw.

        Args:
            catalog: domains and axes.
            domains: keys to draw from, each once, in any order.
            seed: the run's seed, any integer.

        Raises:
            UnknownDomainError: a domain is not in the catalog.
            ValueError: no domain, or one given twice.
        """
        if not domains or len(set(domains)) != len(domains):
            raise ValueError("domains must be given, each once")
        self._topics = {key: list(catalog.domain(key).topics) for key in domains}
        self._axes = {name: list(values) for name, values in catalog.axes.values().items()}
        self._seed = seed
        self._counts: dict[str, _Counts] = {}
        self._made = 0

    def next(self) -> Draw:
        """The draw that comes next; it is not made before it is `began`."""
        domain = self._short("domain", self._topics)
        topic = self._short(f"topic/{domain}", self._topics[domain])
        axes = {name: self._short(f"axis/{name}", values) for name, values in self._axes.items()}
        seed = number(self._seed, "seed", self._made) % 2**31
        return Draw(domain=domain, topic=topic, axes=axes, seed=seed, index=self._made)

    def began(self, draw: Draw) -> None:
        """A draw is under way: as good as accepted, until it is known better."""
        self._made = max(self._made, draw.index + 1)
        for kind, value in _values(draw):
            self._counts.setdefault(kind, _Counts()).drawn[value] += 1

    def ended(self, draw: Draw, accepted: bool) -> None:
        """What became of a draw that was under way."""
        for kind, value in _values(draw):
            counts = self._counts.setdefault(kind, _Counts())
            (counts.accepted if accepted else counts.away)[value] += 1

    def _short(self, kind: str, values: Collection[str]) -> str:
        """The value that is furthest behind, among those that the lean allows; of equals the one of the blind walk."""
        counts = self._counts.get(kind, _Counts())
        fair = (sum(counts.drawn[value] for value in values) + 1) / len(values)
        others_get_through = any(counts.accepted[value] for value in values)

        def allowed(value: str) -> bool:
            hopeless = others_get_through and not counts.accepted[value] and counts.away[value] >= HOPELESS
            return counts.drawn[value] < (fair if hopeless else LEAN * fair)

        def behind(value: str) -> tuple[int, int, int]:
            drawn = counts.drawn[value]
            return counts.held(value), drawn, number(self._seed, kind, drawn, value)

        return min([value for value in values if allowed(value)] or values, key=behind)


def _values(draw: Draw) -> list[tuple[str, str]]:
    """Kind and value of all that was chosen for a draw."""
    axes = [(f"axis/{name}", value) for name, value in draw.axes.items()]
    return [("domain", draw.domain), (f"topic/{draw.domain}", draw.topic), *axes]
