"""What sets have in common: tasks by id, families, texts to the word, and texts that are nearly the same.

Near is a Jaccard similarity of word 3-shingles from `THRESHOLD` on, counted exactly over an inverted index: sets here
have thousands of tasks at most.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from pydantic import BaseModel

from trajectories.export.members import Member

THRESHOLD = 0.7
"""The same from which on a task counts as written before while it is sampled."""


class Near(BaseModel):
    """Two tasks whose texts are nearly the same."""

    one: str
    other: str
    similarity: float


class Overlap(BaseModel):
    """What two sets have in common."""

    one: str
    other: str
    task_ids: list[str]
    families: list[str]
    texts: list[str]
    """SHA-256 of the words of each text that both have."""
    near: list[Near]
    """Tasks with different ids and different words all the same near."""

    @property
    def tasks(self) -> int:
        """How much of what is one task in both sets there is; families, which sets for training share, do not count."""
        return len(self.task_ids) + len(self.texts) + len(self.near)


class Report(BaseModel):
    """Every set, and every two of them."""

    threshold: float
    sets: dict[str, dict[str, int]]
    """Tasks and families of each set, by the set's name."""
    pairs: list[Overlap]


def report(sets: Mapping[str, Mapping[str, Member]]) -> Report:
    """Compare every two sets; takes the members of each by their names."""
    counts = {
        name: {"tasks": len(members), "families": len({each.family for each in members.values() if each.family})}
        for name, members in sets.items()
    }
    pairs = [overlap(one, sets[one], other, sets[other]) for one, other in combinations(sets, 2)]
    return Report(threshold=THRESHOLD, sets=counts, pairs=pairs)


def overlap(one: str, mine: Mapping[str, Member], other: str, theirs: Mapping[str, Member]) -> Overlap:
    """What two named sets have in common."""

    def common(what: str) -> list[str]:
        return sorted(_values(mine, what) & _values(theirs, what))

    return Overlap(
        one=one,
        other=other,
        task_ids=common("task_id"),
        families=common("family"),
        texts=common("text_hash"),
        near=[
            Near(one=left, other=right, similarity=round(similarity, 4))
            for left, right, similarity in near(mine, theirs, THRESHOLD)
            if left != right and mine[left].text_hash != theirs[right].text_hash
        ],
    )


def _values(members: Mapping[str, Member], what: str) -> set[Any]:
    # A set whose rows show no instruction (world-model rows) has no texts to compare.
    return {getattr(each, what) for each in members.values() if what != "text_hash" or each.text} - {None}


def near(
    mine: Mapping[str, Member], theirs: Mapping[str, Member], threshold: float
) -> Iterator[tuple[str, str, float]]:
    """Pairs of names whose texts are near, with their similarity, sorted by name; the same words are near too."""
    holders: dict[str, list[str]] = {}
    for name in sorted(theirs):
        for shingle in theirs[name].shingles if theirs[name].text else ():
            holders.setdefault(shingle, []).append(name)
    for name in sorted(mine):
        shingles = mine[name].shingles if mine[name].text else frozenset()
        shared = Counter(holder for shingle in shingles for holder in holders.get(shingle, ()))
        for other in sorted(shared):
            similarity = shared[other] / (len(shingles) + len(theirs[other].shingles) - shared[other])
            if similarity >= threshold:
                yield name, other, similarity
