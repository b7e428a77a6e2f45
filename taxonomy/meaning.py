"""Clusters of meaning: tasks that are about the same thing, and how many of them a set may hold.

Near-duplicates share words in order; two tasks can share none and still ask for the same. Here each task is a vector,
semhash finds the cluster whose first task (its *leader*) is nearest, and a cluster that is full takes no more.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from taxonomy.task import Rejection, Task

if TYPE_CHECKING:
    from semhash import SemHash

Vectors = NDArray[np.float32]


class MeaningSettings(BaseModel):
    """How tasks are put into clusters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    similarity: float = Field(default=0.6, gt=0, le=1)
    """Cosine similarity to a cluster's leader from which on a task belongs to it."""
    cap: int = Field(default=25, ge=1)
    """Tasks that one cluster may hold, accepted or under way; more are turned away."""


class StaticEmbedder:
    """A static embedding made of hashes: nothing is loaded and nothing is learned.

    Each word's vector is the mean of seeded random directions of the word and its parts of four letters, so that
    `rebase` and `rebasing` lie close; a text is the sum of its words' vectors, weighted by 1 + log of their count, with
    the words that any English text has left out (random indexing, Sahlgren 2005; subwords as in fastText, Bojanowski et
    al. 2017). It knows topics by their words and no synonyms: where a set is to be spread by meaning proper, give an
    embedding endpoint.
    """

    dimensions = 256

    def encode(self, inputs: Sequence[str], **_: object) -> Vectors:
        """One vector of length 1 a text (0 for a text without words)."""
        return np.array([self._text(text) for text in inputs], np.float32).reshape(-1, self.dimensions)

    def _text(self, text: str) -> Vectors:
        words = Counter(word for word in _words(text) if word not in _FILLING)
        total = np.zeros(self.dimensions, np.float32)
        for word, count in words.items():
            total += (1 + log(count)) * _word(word, self.dimensions)
        return _unit(total)


class Membership(NamedTuple):
    """Which cluster a task is in."""

    cluster: str
    """Id of the leader, the cluster's first task."""
    leads: bool
    """Whether the task itself is the leader."""


class Clusters:
    """The clusters of the tasks taken so far."""

    def __init__(self, settings: MeaningSettings | None = None) -> None:
        """Begin with none."""
        self.settings = settings or MeaningSettings()
        self._leaders: list[str] = []
        self._vectors: list[Vectors] = []
        self._sizes: Counter[str] = Counter()
        self._of: dict[str, str] = {}
        self._index: SemHash[str] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Number of tasks by cluster; largest first, without those that hold none any more."""
        return {cluster: size for cluster, size in self._sizes.most_common() if size}

    def nearest(self, vector: Vectors) -> tuple[str, float] | None:
        """The cluster that a vector belongs to, with its cosine similarity to the leader; None where it begins one."""
        if not self._leaders:
            return None
        if self._index is None:
            self._index = self._indexed()
        unit = _unit(vector)
        found = self._index.index.query_threshold(unit[None, :], threshold=self.settings.similarity - 1e-3)[0][0]
        best: tuple[float, str] | None = None
        for place in sorted(int(index) for index in found):
            similarity = float(self._vectors[place] @ unit)
            if similarity >= self.settings.similarity and (best is None or similarity > best[0]):
                best = (similarity, self._leaders[place])
        return (best[1], best[0]) if best else None

    def check(self, task: Task, vector: Vectors) -> Rejection | None:
        """A Rejection of stage `dedupe` where the task's cluster is full, or None."""
        if task.id in self._of:
            return None
        found = self.nearest(vector)
        if found is None or self._sizes[found[0]] < self.settings.cap:
            return None
        leader, similarity = found
        return Rejection(
            stage="dedupe",
            reason="full-cluster",
            detail=f"{self._sizes[leader]} tasks already mean what {leader} does ({similarity:.2f})",
            evidence={"cluster": leader, "similarity": round(similarity, 4), "size": self._sizes[leader]},
        )

    def add(self, task: Task, vector: Vectors) -> Membership:
        """Take a task into its cluster, or let it begin one. Taking it again changes nothing."""
        if task.id not in self._of:
            found = self.nearest(vector)
            self.restore(task.id, found[0] if found else task.id, vector)
        leader = self._of[task.id]
        return Membership(leader, leader == task.id)

    def restore(self, task: str, cluster: str, vector: Vectors) -> None:
        """Put back what an earlier go found: a task's id and its cluster; the vector counts where it leads one."""
        if task == cluster and cluster not in self._sizes:
            self._leaders.append(cluster)
            self._vectors.append(_unit(vector))
            self._index = None
        self._of[task] = cluster
        self._sizes[cluster] += 1

    def release(self, task: str) -> None:
        """Give a task's place back, because it was turned away later on. Its cluster stays, led by it or not."""
        if (cluster := self._of.pop(task, None)) is not None:
            self._sizes[cluster] -= 1

    def _indexed(self) -> "SemHash[str]":
        from semhash import SemHash
        from vicinity import Backend

        # Exact search: the leaders of a set of thousands fit in one product of matrices.
        return SemHash.from_embeddings(
            np.stack(self._vectors), self._leaders, StaticEmbedder(), ann_backend=Backend.BASIC, metric="cosine"
        )


def said(task: Task) -> str:
    """What is compared of a task: title, objective, scenario and checklist, without the layout's labels."""
    return "\n".join([task.title, task.objective, task.scenario, *task.checklist])


def _unit(vector: Vectors) -> Vectors:
    """The vector at length 1; 0 stays 0."""
    length = float(np.linalg.norm(vector))
    unit: Vectors = (vector / length).astype(np.float32) if length else vector
    return unit


_WORD = re.compile(r"[^\W\d_]{2,}")
_FILLING = frozenset(
    re.findall(
        r"\w+",
        """
    about above after again all also an and any are as at be because been before being below between both but by can
    could did do does doing done down during each every few first for from further had has have having he her here
    his how if in into is it its itself just last later made make many may more most must my new no nor not now of
    off on once one only or other our out over own same she should since so some still such than that the their them
    then there these they this those through to too two under until up use used using very was we were what when
    where which while who whom why will with within without would yet you your
    """,
    )
)
"""Words that any English text has."""


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=100_000)
def _word(word: str, dimensions: int) -> Vectors:
    framed = f"<{word}>"
    parts = [framed, *(framed[start : start + 4] for start in range(max(0, len(framed) - 3)))]
    mean: Vectors = np.mean([_direction(part, dimensions) for part in parts], axis=0)
    return _unit(mean)


@lru_cache(maxsize=100_000)
def _direction(part: str, dimensions: int) -> Vectors:
    """A fixed random direction for a piece of a word."""
    seed = int.from_bytes(blake2b(part.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
