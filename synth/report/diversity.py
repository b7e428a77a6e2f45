"""How varied the accepted of a run are: balance, what is short, clusters of meaning, distance to the nearest other."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import NamedTuple

from pydantic import BaseModel

from synth.drawing import recorded
from synth.ledger import Ledger
from synth.report.domains import evenness
from taxonomy.task import Draw, Task

SHORTEST = 5
"""Of the topics and axis values that are furthest behind, so many are told."""


class Short(BaseModel):
    """A topic or axis value that is behind its like."""

    name: str
    """`<domain>/<topic>` or `<axis>=<value>`."""
    drawn: int
    accepted: int
    fair: float
    """Accepted that it would have where all were alike: of a topic within its domain."""


class Clustered(BaseModel):
    """The clusters of meaning."""

    taken: int
    """Clusters of the tasks that were found new, whatever became of them later."""
    cap: int | None
    full: dict[str, int]
    """Those with as many accepted tasks as the cap allows, named after their first task."""
    refused: int
    """Tasks that were turned away because their cluster was full."""
    accepted: int
    """Clusters of the accepted."""
    sizes: list[int]
    """Of the accepted, largest first."""
    largest: float | None
    """Share of the accepted that the largest holds."""


class Balance(BaseModel):
    """How even the accepted are, exp(entropy)/N: 1 where all of a kind are equally frequent."""

    accepted: int
    """Tasks of which a trajectory was accepted."""
    drawn: int
    domains: float
    topics: dict[str, float]
    """Within each domain, over the topics that were drawn."""
    axes: dict[str, float]
    """Over the values that were drawn."""
    shortest: list[Short]
    clusters: Clustered


class Distance(BaseModel):
    """Of each accepted task to the one that is nearest to it; 0 is the same text."""

    least: float
    median: float
    mean: float


class Nearest(BaseModel):
    """Nearest neighbours among the accepted tasks, in two ways."""

    tasks: int
    meaning: Distance
    """1 - cosine similarity of the built-in embedding."""
    words: Distance
    """1 - Jaccard similarity of word 3-shingles."""


class _Found(NamedTuple):
    draws: list[Draw]
    accepted: dict[str, str]
    """Accepted tasks, by id, with the draw's id."""


def balance(ledger: Ledger) -> Balance | None:
    """Balance and clusters of a run; None where nothing is accepted yet."""
    found = _found(ledger)
    kept = set(found.accepted.values())
    accepted = [draw for draw in found.draws if draw.id in kept]
    if not accepted:
        return None
    domains = sorted({draw.domain for draw in found.draws})
    of_domains = Counter(draw.domain for draw in accepted)
    topics, short = {}, []
    for domain in domains:
        pairs = [[draw.topic for draw in of if draw.domain == domain] for of in (found.draws, accepted)]
        topics[domain] = _even(*pairs)
        short += _behind(f"{domain}/", *pairs)
    axes = {}
    for axis in sorted({axis for draw in found.draws for axis in draw.axes}):
        pairs = [[draw.axes[axis] for draw in of if axis in draw.axes] for of in (found.draws, accepted)]
        axes[axis] = _even(*pairs)
        short += _behind(f"{axis}=", *pairs)
    short.sort(key=lambda one: (one.accepted - one.fair, one.name))
    return Balance(
        accepted=len(accepted),
        drawn=len(found.draws),
        domains=evenness([of_domains[domain] for domain in domains]),
        topics=topics,
        axes=axes,
        shortest=[one for one in short[:SHORTEST] if one.accepted < one.fair],
        clusters=_clusters(ledger, found.accepted),
    )


def nearest(ledger: Ledger) -> Nearest | None:
    """Distances of accepted tasks to their nearest others; None for fewer than two. Some hundreds take a second."""
    import numpy as np

    from taxonomy.duplicates import shingles
    from taxonomy.meaning import StaticEmbedder, said

    tasks = []
    for draw in _found(ledger).accepted.values():
        row = ledger.get(draw, "sample")
        if row is not None:
            tasks.append(Task.model_validate(row.data))
    if len(tasks) < 2:
        return None
    vectors = StaticEmbedder().encode([said(task) for task in tasks])
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1.0)
    words = _nearest_words([shingles(task) for task in tasks])
    return Nearest(
        tasks=len(tasks),
        meaning=_distance([1.0 - float(most) for most in alike.max(axis=1)]),
        words=_distance([1.0 - most for most in words]),
    )


def _nearest_words(marks: Sequence[frozenset[bytes]]) -> list[float]:
    """The highest Jaccard similarity of each to another; only pairs that share a shingle are looked at."""
    holders: dict[bytes, list[int]] = {}
    for place, shingles in enumerate(marks):
        for shingle in shingles:
            holders.setdefault(shingle, []).append(place)
    shared: list[Counter[int]] = [Counter() for _ in marks]
    for places in holders.values():
        for place in places:
            shared[place].update(places)
    found = []
    for place, counts in enumerate(shared):
        others = (
            count / (len(marks[place]) + len(marks[other]) - count) for other, count in counts.items() if other != place
        )
        found.append(max(others, default=0.0))
    return found


def _distance(values: Sequence[float]) -> Distance:
    near = [min(1.0, max(0.0, value)) for value in values]
    return Distance(least=min(near), median=median(near), mean=fmean(near))


def _found(ledger: Ledger) -> _Found:
    draws = list(recorded(ledger))
    of_task = {row.item: row.parent or "" for row in ledger.rows(stage="dedupe", status="done")}
    tasks = [row.parent or "" for row in ledger.rows(stage="policy", status="done")]
    return _Found(draws, {task: of_task[task] for task in dict.fromkeys(tasks) if task in of_task})


def _even(drawn: Iterable[str], accepted: Iterable[str]) -> float:
    counts = Counter(accepted)
    return evenness([counts[value] for value in sorted(set(drawn))])


def _behind(prefix: str, drawn: Sequence[str], accepted: Sequence[str]) -> list[Short]:
    counts, tried = Counter(accepted), Counter(drawn)
    fair = len(accepted) / len(tried)
    return [
        Short(name=f"{prefix}{value}", drawn=tried[value], accepted=counts[value], fair=round(fair, 2))
        for value in sorted(tried)
    ]


def _clusters(ledger: Ledger, accepted: Mapping[str, str]) -> Clustered:
    rows = ledger.rows(stage="dedupe", status="done")
    of_task = {row.item: str(row.data["cluster"]) for row in rows if "cluster" in row.data}
    taken, kept = Counter(of_task.values()), Counter(of_task[task] for task in accepted if task in of_task)
    noted = ledger.meta("fingerprint")
    cap = noted.get("meaning.cap") if isinstance(noted, dict) else None
    cap = cap if isinstance(cap, int) else None
    sizes = sorted(kept.values(), reverse=True)
    away = ledger.rows(stage="dedupe", status="rejected")
    return Clustered(
        taken=len(taken),
        cap=cap,
        full={name: size for name, size in kept.most_common() if cap is not None and size >= cap},
        refused=sum(row.reason == "full-cluster" for row in away),
        accepted=len(kept),
        sizes=sizes,
        largest=sizes[0] / sum(sizes) if sizes else None,
    )
