"""How different sim's tasks are, and how even what is accepted: `.venv/bin/python benchmarks/diversity.py [DRAWS]
[DOMAIN...]`.

For each domain, as many draws as a run would make: the share that `NearDuplicates` turns away, the highest similarity
that any task has to another, the clusters of meaning, and how many a full cluster would turn away.

Then a factory is played, without containers, in which topics get through at very different rates and one never does:
draws in a blind walk, the same with what was turned away drawn again up to four times, and leaning draws.
"""

import sys
from collections import Counter
from itertools import combinations

from synth.report.domains import evenness
from synth.sim.catalog import Catalog as Scenarios
from synth.sim.catalog import built_in
from taxonomy.balance import Balance
from taxonomy.catalog import Catalog, load_catalog
from taxonomy.draws import draw, number
from taxonomy.duplicates import NearDuplicates, shingles
from taxonomy.layout import Layout, render
from taxonomy.meaning import Clusters, StaticEmbedder, said
from taxonomy.task import Draw, Origin, Task

IN_FLIGHT = 8
ORIGIN = Origin(model="sim", mode="raw", template="chatml", prompt_sha256="0" * 64, parameters={})


def tasks(domain: str, count: int, scenarios: Scenarios, catalog: Catalog) -> list[Task]:
    """The tasks of a domain's first draws."""
    part = catalog.only({domain: scenarios.topics(domain)})
    made = []
    for index in range(count):
        drawn = draw(part, [domain], 0, index)
        scenario = scenarios.draw(domain, drawn.topic, drawn.seed)
        assert scenario is not None
        layout = Layout(
            title=scenario.title,
            domain_focus=scenario.focus,
            objective=scenario.objective,
            scenario=scenario.story,
            checklist=tuple(scenario.checklist),
        )
        made.append(Task(draw=drawn, text=render(layout), origin=ORIGIN, **layout.model_dump()))
    return made


def main(count: int, domains: list[str]) -> None:
    """Measure and print a line a domain."""
    scenarios, catalog = built_in(), load_catalog()
    print(f"{count} draws a domain; near-duplicates from Jaccard 0.7")
    names = ("near-dup.", "highest", "nearest, mean", "clusters", "largest", "full")
    print(f"{'domain':<22} {names[0]:>9} {names[1]:>8} {names[2]:>13} {names[3]:>9} {names[4]:>8} {names[5]:>5}")
    for domain in domains or scenarios.domains():
        made = tasks(domain, count, scenarios, catalog)
        taken, away = NearDuplicates(), 0
        for task in made:
            if taken.check(task):
                away += 1
            else:
                taken.add(task)
        marks = [shingles(task) for task in made]
        nearest = [0.0] * len(made)
        for (i, a), (j, b) in combinations(enumerate(marks), 2):
            similarity = len(a & b) / len(a | b)
            nearest[i], nearest[j] = max(nearest[i], similarity), max(nearest[j], similarity)
        embedder, clusters, full = StaticEmbedder(), Clusters(), Counter[str]()
        for task in made:
            vector = embedder.encode([said(task)])[0]
            if clusters.check(task, vector):
                full["full"] += 1
            else:
                clusters.add(task, vector)
        sizes = clusters.sizes
        print(
            f"{domain:<22} {away / count:>8.1%} {max(nearest):>8.2f} {sum(nearest) / count:>13.2f} {len(sizes):>9}"
            f" {max(sizes.values()):>8} {full['full']:>5}",
            flush=True,
        )


def steer(count: int, catalog: Catalog, domains: list[str]) -> None:
    """Print how even the accepted are for three ways of drawing, over so many draws each, as a mean of ten runs."""
    print(f"\n{count} draws from {len(domains)} domains, topics accepted at rates from 0 to 1; 1 is even")
    names = ("accepted", "domains", "topics", "axes", "fewest", "hopeless")
    print(f"{'draws':<12} {' '.join(f'{name:>9}' for name in names)}")
    for name, walk in (("blind", _blind), ("again", _again), ("leaning", _leaning)):
        found = [_figures(walk(catalog, domains, seed, count), catalog, domains, seed) for seed in range(10)]
        shown = [sum(column) / len(found) for column in zip(*found, strict=True)]
        print(f"{name:<12} {shown[0]:>9.0f} {' '.join(f'{value:>9.3f}' for value in shown[1:4])}", end=" ")
        print(f"{shown[4]:>9.1f} {shown[5]:>9.1f}")


def _served(seed: int, domain: str, topic: str, catalog: Catalog) -> float:
    """The rate at which a topic gets through; the domain's first one never does."""
    if topic == min(catalog.domain(domain).topics):
        return 0.0
    return (0.25, 0.5, 0.75, 1.0)[number("rate", seed, domain, topic) % 4]


def _accepts(made: Draw, seed: int, catalog: Catalog) -> bool:
    rate = _served(seed, made.domain, made.topic, catalog)
    harder = 0.6 if made.axes["complexity"] == "tangled" else 1.0
    return number("lot", made.seed, made.attempt) % 10_000 < 10_000 * rate * harder


def _blind(catalog: Catalog, domains: list[str], seed: int, count: int) -> list[Draw]:
    return [draw(catalog, domains, seed, index) for index in range(count)]


def _again(catalog: Catalog, domains: list[str], seed: int, count: int) -> list[Draw]:
    made: list[Draw] = []
    index = 0
    while len(made) < count:
        for attempt in range(4):
            made.append(draw(catalog, domains, seed, index, attempt))
            if _accepts(made[-1], seed, catalog):
                break
        index += 1
    return made[:count]


def _leaning(catalog: Catalog, domains: list[str], seed: int, count: int) -> list[Draw]:
    balance, made = Balance(catalog, domains, seed), list[Draw]()
    for place in range(count):
        if place >= IN_FLIGHT:
            balance.ended(made[place - IN_FLIGHT], _accepts(made[place - IN_FLIGHT], seed, catalog))
        made.append(balance.next())
        balance.began(made[-1])
    return made


def _figures(made: list[Draw], catalog: Catalog, domains: list[str], seed: int) -> tuple[float, ...]:
    """Accepted; evenness over domains, over topics that can be served (mean of the domains), over the worst axis; the
    fewest accepted of such a topic; draws of each topic that cannot be served."""
    kept = [one for one in made if _accepts(one, seed, catalog)]
    topics, fewest, hopeless = [], len(made), 0
    for domain in domains:
        names = [name for name in catalog.domain(domain).topics if _served(seed, domain, name, catalog)]
        counts = Counter(one.topic for one in kept if one.domain == domain)
        topics.append(evenness([counts[name] for name in names]))
        fewest = min(fewest, *(counts[name] for name in names))
        hopeless += sum(one.domain == domain and one.topic not in names for one in made)
    axes = [
        evenness([Counter(one.axes[name] for one in kept)[value] for value in values])
        for name, values in catalog.axes.values().items()
    ]
    of_domains = evenness([Counter(one.domain for one in kept)[domain] for domain in domains])
    return len(kept), of_domains, sum(topics) / len(topics), min(axes), fewest, hopeless / len(domains)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2:])
    shipped = load_catalog()
    steer(400, shipped, ["version_control"])
    steer(1500, shipped, sorted(shipped.domains))
