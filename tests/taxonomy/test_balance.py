"""Draws lean towards what is short, follow from their history alone, and stay even where blind ones do not."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.balance import HOPELESS, LEAN, Balance
from taxonomy.catalog import load_catalog
from taxonomy.draws import draw, number
from taxonomy.task import Draw

CATALOG = load_catalog()
DOMAINS = st.lists(st.sampled_from(list(CATALOG.domains)), min_size=1, max_size=4, unique=True)
SEEDS = st.integers(min_value=0, max_value=2**31 - 1)
GIT = ["version_control"]
TOPICS = list(CATALOG.domain("version_control").topics)


def lottery(yields: Mapping[str, float], otherwise: float = 0.8) -> Callable[[Draw], bool]:
    """Whether a draw is accepted, by a lot that its own seed decides."""

    def accepted(made: Draw) -> bool:
        return number("lot", made.seed) % 10_000 < 10_000 * yields.get(made.topic, otherwise)

    return accepted


def walk(balance: Balance, accepts: Callable[[Draw], bool], count: int, in_flight: int = 1) -> list[Draw]:
    """Draw so many, with so many under way at once; they end in the order in which they began."""
    made: list[Draw] = []
    for number_made in range(count):
        if number_made >= in_flight:
            balance.ended(made[number_made - in_flight], accepts(made[number_made - in_flight]))
        made.append(balance.next())
        balance.began(made[-1])
    return made


def evenness(counts: Counter[str], of: int) -> float:
    total = sum(counts.values())
    return math.exp(-sum(n / total * math.log(n / total) for n in counts.values() if n)) / of


@given(DOMAINS, SEEDS, st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_where_nothing_is_turned_away_it_is_the_blind_walk(domains, seed, in_flight) -> None:
    made = walk(Balance(CATALOG, domains, seed), lambda _: True, 60, in_flight)
    assert made == [draw(CATALOG, domains, seed, index) for index in range(60)]


@given(DOMAINS, SEEDS, st.randoms(use_true_random=False), st.integers(1, 8), st.integers(0, 79))
@settings(max_examples=30, deadline=None)
def test_the_same_history_gives_the_same_draw_and_a_resumed_walk_the_same_sequence(
    domains, seed, rng, in_flight, cut
) -> None:
    share = rng.random()
    accepts = lottery({}, share)
    made = walk(Balance(CATALOG, domains, seed), accepts, 80, in_flight)
    again = walk(Balance(CATALOG, rng.sample(domains, len(domains)), seed), accepts, 80, in_flight)
    assert again == made
    assert len({one.id for one in made}) == 80
    # Taken up from what is on record: the draws so far, and which of them have ended.
    balance = Balance(CATALOG, domains, seed)
    for one in made[:cut]:
        balance.began(one)
    for one in made[: max(0, cut - in_flight)]:
        balance.ended(one, accepts(one))
    if cut >= in_flight:
        balance.ended(made[cut - in_flight], accepts(made[cut - in_flight]))
    assert balance.next() == made[cut]


@pytest.mark.parametrize("seed", range(8))
def test_uneven_rejections_leave_it_more_even_than_the_blind_walk(seed: int) -> None:
    rng = Random(seed)
    yields = {topic: rng.choice([0.25, 0.5, 0.75, 1.0]) for topic in TOPICS}
    yields[TOPICS[0]], yields[TOPICS[1]] = 0.25, 1.0
    accepts = lottery(yields)
    leaning = walk(Balance(CATALOG, GIT, seed), accepts, 300, 8)
    blind = [draw(CATALOG, GIT, seed, index) for index in range(300)]
    even = {
        name: evenness(Counter(one.topic for one in made if accepts(one)), len(TOPICS))
        for name, made in (("leaning", leaning), ("blind", blind))
    }
    assert even["leaning"] >= 0.98
    assert even["leaning"] > even["blind"]
    for axis, values in CATALOG.axes.values().items():
        assert evenness(Counter(one.axes[axis] for one in leaning if accepts(one)), len(values)) >= 0.98


def test_axis_values_that_fail_more_often_are_drawn_more_often() -> None:
    def accepts(made: Draw) -> bool:
        return number("lot", made.seed) % 100 < (30 if made.axes["complexity"] == "tangled" else 90)

    made = walk(Balance(CATALOG, GIT, 5), accepts, 300, 8)
    counts = Counter(one.axes["complexity"] for one in made if accepts(one))
    assert evenness(counts, 3) >= 0.98
    drawn = Counter(one.axes["complexity"] for one in made)
    assert drawn["tangled"] > 1.5 * drawn["focused"]


def test_what_never_gets_through_does_not_eat_the_budget() -> None:
    accepts = lottery({TOPICS[0]: 0.0, TOPICS[1]: 0.0})
    made = walk(Balance(CATALOG, GIT, 3), accepts, 280, 4)
    counts = Counter(one.topic for one in made)
    fair = 280 / len(TOPICS)
    for hopeless in TOPICS[:2]:
        assert HOPELESS < counts[hopeless] <= fair + 1, "tried again, but not at the cost of the others"
    rest = Counter(one.topic for one in made if accepts(one))
    assert evenness(rest, len(TOPICS) - 2) >= 0.98


def test_where_little_gets_through_nothing_is_given_up_on_by_chance() -> None:
    accepts = lottery({}, 0.08)
    made = walk(Balance(CATALOG, GIT, 3), accepts, 400, 4)
    counts = Counter(one.topic for one in made)
    lucky = {one.topic for one in made if accepts(one)}
    assert all(counts[topic] >= 0.75 * 400 / len(TOPICS) for topic in TOPICS if topic not in lucky)
    assert max(counts.values()) <= LEAN * 400 / len(TOPICS) + 1


def test_a_topic_that_can_be_served_again_comes_back() -> None:
    opened = False

    def accepts(made: Draw) -> bool:
        return made.topic != TOPICS[0] or opened

    balance = Balance(CATALOG, GIT, 1)
    walk(balance, accepts, 140)
    opened = True
    later: list[Draw] = []
    for _ in range(300):
        later.append(balance.next())
        balance.began(later[-1])
        balance.ended(later[-1], True)
    assert Counter(one.topic for one in later)[TOPICS[0]] >= 300 / len(TOPICS)
