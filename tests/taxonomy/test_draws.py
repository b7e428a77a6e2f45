"""Draws are balanced, and each can be made again alone."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.catalog import Catalog, UnknownDomainError, load_catalog
from taxonomy.draws import draw

CATALOG = load_catalog()
DOMAINS = st.lists(st.sampled_from(list(CATALOG.domains)), min_size=1, unique=True)
SEEDS = st.integers(min_value=-(2**70), max_value=2**70)
KNOWN = ("worktrees-sparse", 1399955222, "automate")


@given(DOMAINS, SEEDS, st.integers(0, 200), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_a_draw_alone_equals_the_same_in_a_batch(domains, seed, index, rng) -> None:
    batch = [draw(CATALOG, domains, seed, i) for i in range(index + 1)]
    shuffled = rng.sample(domains, len(domains))
    assert draw(CATALOG, shuffled, seed, index) == batch[index]
    assert 0 <= batch[index].seed < 2**31
    assert batch[index].index == index


@given(DOMAINS, SEEDS, st.integers(0, 200))
@settings(max_examples=50, deadline=None)
def test_another_attempt_differs_in_its_seed_alone(domains, seed, index) -> None:
    made = [draw(CATALOG, domains, seed, index, attempt) for attempt in range(4)]
    assert len({each.seed for each in made}) == len({each.id for each in made}) == 4
    for attempt, each in enumerate(made):
        assert each == made[0].model_copy(update={"seed": each.seed, "attempt": attempt})


@given(st.sampled_from(list(CATALOG.domains)), SEEDS, st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_a_whole_block_has_each_topic_once(domain, seed, block) -> None:
    topics = CATALOG.domain(domain).topics
    indexes = range(block * len(topics), (block + 1) * len(topics))
    assert Counter(draw(CATALOG, [domain], seed, i).topic for i in indexes) == Counter(list(topics))


@given(DOMAINS, SEEDS, st.integers(1, 150))
@settings(max_examples=50, deadline=None)
def test_any_first_part_is_even_within_one(domains, seed, length) -> None:
    made = [draw(CATALOG, domains, seed, i) for i in range(length)]

    def spread(values, of) -> int:
        counts = Counter(of)
        sizes = [counts[value] for value in values]
        return max(sizes) - min(sizes)

    assert spread(domains, (d.domain for d in made)) <= 1
    for domain in domains:
        assert spread(CATALOG.domain(domain).topics, (d.topic for d in made if d.domain == domain)) <= 1
    for name, values in CATALOG.axes.values().items():
        assert spread(values, (d.axes[name] for d in made)) <= 1


def evenness(counts: Counter[str], of: int) -> float:
    """exp(entropy) / N."""
    total = sum(counts.values())
    return math.exp(-sum(n / total * math.log(n / total) for n in counts.values())) / of


def test_entropy_over_topics_is_full_on_whole_blocks(catalog: Catalog) -> None:
    for key, domain in catalog.domains.items():
        topics = len(domain.topics)
        assert topics >= 12
        counts = Counter(draw(catalog, [key], 5, i).topic for i in range(3 * topics))
        assert evenness(counts, topics) >= 0.999
    # Domains are even; where they differ in their number of topics, topics over all of them are nearly so.
    made = [draw(catalog, list(catalog.domains), 5, i) for i in range(140)]
    assert evenness(Counter(d.domain for d in made), len(catalog.domains)) >= 0.99
    every = sum(len(domain.topics) for domain in catalog.domains.values())
    assert evenness(Counter(f"{d.domain}/{d.topic}" for d in made), every) >= 0.95
    counts = Counter(draw(catalog, ["version_control"], 5, i).topic for i in range(200))
    assert evenness(counts, 14) >= 0.99


def test_axes_vary_apart_from_topics_and_from_one_another(catalog: Catalog) -> None:
    made = [draw(catalog, ["version_control"], 1, i) for i in range(14 * 60)]
    for name, values in catalog.axes.values().items():
        pairs = Counter((d.topic, d.axes[name]) for d in made)
        assert len(pairs) == 14 * len(values)
        # 60 visits of each topic; a fixed coupling would put them all on few values.
        assert max(pairs.values()) <= 3 * 60 / len(values)
    assert len({tuple(d.axes.values()) for d in made}) > 600


def test_seeds_of_draws_differ(catalog: Catalog) -> None:
    seeds = [draw(catalog, ["version_control"], 0, i).seed for i in range(2000)]
    assert len(set(seeds)) == len(seeds)
    assert draw(catalog, ["version_control"], 1, 0).seed != seeds[0]


def test_a_known_draw_stays_what_it_was(catalog: Catalog) -> None:
    """Runs are resumed by seed and index, so the draws of one catalog may never change."""
    made = draw(catalog, ["version_control"], 0, 0)
    assert (made.topic, made.seed, made.axes["skill"]) == KNOWN


@pytest.mark.parametrize(("domains", "index"), [([], 0), (["security", "security"], 0), (["security"], -1)])
def test_wrong_calls_are_refused(catalog: Catalog, domains: list[str], index: int) -> None:
    with pytest.raises(ValueError, match="must"):
        draw(catalog, domains, 0, index)
    with pytest.raises(UnknownDomainError):
        draw(catalog, ["cooking"], 0, 0)
