"""How a run stands by domain: the funnel of each, and how evenly the accepted trajectories are spread."""

from collections import Counter
from collections.abc import Iterable
from math import exp, log

from pydantic import BaseModel, JsonValue

from synth.drawing import STAGE
from synth.ledger import Ledger, StageRow


class DomainFunnel(BaseModel):
    """What became of a domain's candidates."""

    sampled: int = 0
    accepted: int = 0
    rejected: dict[str, int] = {}
    """`<stage>:<reason>` to number, most frequent first."""


class Spread(BaseModel):
    """How evenly accepted trajectories are spread; 1 is perfectly even."""

    domains: float
    topics: float
    """Over the topics of each domain of which a task was sampled; the domains' geometric mean, each weighted by its
    accepted. Domains have different numbers of topics, so even domains cannot have even topics across them."""


def by_domain(ledger: Ledger) -> dict[str, DomainFunnel]:
    """The funnel of each domain, in alphabetical order."""
    drawn = {row.item: row for row in ledger.rows(stage="sample")}
    funnels: dict[str, DomainFunnel] = {}
    rejected: dict[str, Counter[str]] = {}
    for row in ledger.rows():
        if row.stage == STAGE:
            continue
        domain = _place(row, drawn)[0]
        funnel = funnels.setdefault(domain, DomainFunnel())
        funnel.sampled += row.stage == "sample"
        funnel.accepted += row.stage == "policy" and row.status == "done"
        if row.status == "rejected":
            rejected.setdefault(domain, Counter())[f"{row.stage}:{row.reason}"] += 1
    for domain, counts in rejected.items():
        funnels[domain].rejected = dict(counts.most_common())
    return dict(sorted(funnels.items()))


def spread(ledger: Ledger) -> Spread | None:
    """How even the accepted trajectories are over domains and topics; None where there is none."""
    drawn = {row.item: row for row in ledger.rows(stage="sample")}
    tasks = {row.item: row.parent for row in ledger.rows(stage="dedupe")}
    places = {item: _place(row, drawn) for item, row in drawn.items()}
    accepted = Counter(
        places[draw]
        for row in ledger.rows(stage="policy", status="done")
        if (draw := tasks.get(row.parent or "")) in places and draw is not None
    )
    if not accepted:
        return None
    topics: dict[str, dict[str, int]] = {}
    for domain, topic in places.values():
        topics.setdefault(domain, {})[topic] = accepted[domain, topic]
    domains = {domain: sum(counts.values()) for domain, counts in topics.items()}
    total = sum(domains.values())
    within = sum(count / total * log(evenness(topics[domain].values())) for domain, count in domains.items() if count)
    return Spread(domains=evenness(domains.values()), topics=exp(within))


def evenness(counts: Iterable[int]) -> float:
    """exp(entropy) over the number of kinds: 1 where all are equally frequent, 1/N where there is one kind alone.

    The exponential of Shannon's entropy is the effective number of kinds (Hill 1973, order 1).
    """
    numbers = list(counts)
    total = sum(numbers)
    if not total:
        return 0.0
    entropy = -sum(count / total * log(count / total) for count in numbers if count)
    return exp(entropy) / len(numbers)


def _place(row: StageRow, drawn: dict[str, StageRow]) -> tuple[str, str]:
    """Domain and topic of an item; the topic is known of draws alone."""
    if row.item not in drawn:
        # Tasks and trials are named after their domain.
        return row.item.split("-", 1)[0], ""
    data = drawn[row.item].data
    evidence = data.get("evidence")
    draw: JsonValue = data.get("draw") or (evidence.get("draw") if isinstance(evidence, dict) else None)
    return (str(draw["domain"]), str(draw["topic"])) if isinstance(draw, dict) else ("unknown", "unknown")
