"""Copies of benchmark texts are found, whole, edited or embedded; texts that are new are let alone."""

from collections.abc import Callable
from random import Random

import pytest

from synth.sim.catalog import built_in, name_of
from synth.sim.ticket import Ticket, scenario_number
from taxonomy.benchmarks import Benchmark
from taxonomy.decontamination import Benchmarks

CATALOG = built_in()
KINDS = [(domain, kind) for domain in CATALOG.domains() for kind in CATALOG.kinds(domain)]
SWAPS = ("another", "thing", "value", "quick", "instead", "several", "place", "always", "simple", "number", "kind")


def instruction(which: int, seed: int) -> str:
    """What an agent would be told: prose of a real task, without the sentences that all tasks share."""
    domain, kind = KINDS[which % len(KINDS)]
    scenario = CATALOG.make(Ticket(scenario_number(name_of(domain, kind)), seed))
    assert scenario is not None
    return f"{scenario.title}\n\n{scenario.objective}\n\n{scenario.instruction}"


def edited(text: str, rng: Random, share: float = 0.1) -> str:
    """The text with a share of its words replaced, wherever they stand."""
    words = text.split()
    for place in rng.sample(range(len(words)), round(share * len(words))):
        words[place] = rng.choice(SWAPS)
    return " ".join(words)


HALF = len(KINDS) // 2
"""Benchmarks are made by the first half of the scenarios, new texts by the other: no sentence pattern is in both."""


def benchmark_text(number: int) -> str:
    return instruction(number % HALF, number)


def new_text(number: int) -> str:
    return instruction(HALF + number % (len(KINDS) - HALF), 5000 + number)


BENCHMARKS = Benchmarks([Benchmark(f"bench/{number}", benchmark_text(number)) for number in range(100)])


def planted(number: int, rng: Random) -> str:
    """A third each: copied, lightly edited, embedded in longer text (half of those edited, too)."""
    original = benchmark_text(number)
    ways: list[Callable[[], str]] = [
        lambda: original,
        lambda: edited(original, rng),
        lambda: f"{new_text(number)}\n\n{edited(original, rng) if number % 2 else original}\n\n{new_text(number + 7)}",
    ]
    return ways[number % 3]()


def test_planted_overlaps_are_found_and_new_texts_are_not() -> None:
    rng = Random(20)
    found = {number: BENCHMARKS.match(planted(number, rng)) for number in range(100)}
    wrongly = [match for match in (BENCHMARKS.match(new_text(number)) for number in range(100)) if match]
    hits = [number for number, match in found.items() if match]
    recall, precision = len(hits) / 100, len(hits) / (len(hits) + len(wrongly))
    assert recall >= 0.95, [number for number in found if number not in hits]
    assert precision >= 0.95, [(match.kind, match.ours, match.theirs) for match in wrongly]
    named = [number for number in hits if (match := found[number]) and match.benchmark == f"bench/{number}"]
    # Two draws of one scenario may both be near; the right one is named nearly always.
    assert len(named) >= 0.9 * len(hits)


@pytest.mark.parametrize(("share", "kinds"), [(0.0, {"13-gram"}), (0.2, {"13-gram", "8-gram", "containment"})])
def test_the_more_is_edited_the_looser_the_sign(share: float, kinds: set[str]) -> None:
    rng = Random(3)
    matches = [BENCHMARKS.match(edited(benchmark_text(number), rng, share)) for number in range(40)]
    assert sum(match is not None for match in matches) >= 38
    assert {match.kind for match in matches if match} <= kinds


def test_a_text_edited_every_few_words_is_found_by_containment_alone() -> None:
    words = [f"word{number}" for number in range(300)]
    benchmarks = Benchmarks([Benchmark("b", " ".join(words))])
    for place in range(6, len(words), 7):
        words[place] = "changed"
    match = benchmarks.match(" ".join(words))
    assert match is not None
    assert match.kind == "containment"
    assert 0.5 <= match.share < 0.75
    for place in range(4, len(words), 5):
        words[place] = "changed"
    assert benchmarks.match(" ".join(words)) is None


def test_both_texts_are_shown_where_they_agree() -> None:
    rng = Random(1)
    filler = " ".join(rng.choice(SWAPS) for _ in range(400))
    secret = "mount the seventh volume read only and verify that its journal replays without a single error at boot"
    benchmarks = Benchmarks([Benchmark("b", f"{' '.join(str(n) for n in range(900))} {secret}")])
    match = benchmarks.match(f"{filler} {secret.title()}. {filler}")
    assert match is not None
    assert "mount the seventh volume" in match.theirs
    assert "Mount The Seventh Volume" in match.ours
    assert match.evidence()["kind"] == "13-gram"
    assert len(match.ours) <= 300


def test_what_many_benchmarks_share_does_not_count() -> None:
    preamble = "You are given a Debian container and a terminal in which you have to solve the following task now"
    benchmarks = Benchmarks([Benchmark(str(n), f"{preamble} {benchmark_text(n)}") for n in range(50)])
    assert benchmarks.match(f"{preamble}: water the plants.") is None


def test_empty_and_short_texts() -> None:
    assert BENCHMARKS.match("") is None
    assert BENCHMARKS.match("two words") is None
    assert Benchmarks([]).match("anything at all") is None
    assert len(Benchmarks([Benchmark("a", "one two"), Benchmark("b", "One, two!")])) == 1
