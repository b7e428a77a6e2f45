"""Is a task new? Held against the tasks already taken, word by word and by meaning, and against benchmarks."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from synth.ledger import Ledger
from taxonomy.decontamination import Benchmarks, Match
from taxonomy.duplicates import NearDuplicates
from taxonomy.meaning import Clusters, MeaningSettings, StaticEmbedder, Vectors, said
from taxonomy.task import Rejection, Task

_LATER = ("judge", "build", "gates")
"""Stages that may turn a new task away as such; a trial of it that is turned away says nothing of the others."""


class NoveltyEntry(BaseModel):
    """What the ledger keeps of a task that is new."""

    cluster: str
    """Id of the first task of its cluster of meaning."""
    vector: list[float] | None = None
    """Where the cluster lies, kept by its first task where a model gave the vector."""


class Novelty:
    """The tasks taken so far, by words and by meaning, and the benchmarks that none may repeat."""

    def __init__(self, near_duplicate: float, meaning: MeaningSettings, benchmarks: Benchmarks) -> None:
        """Begin with no task.

        Args:
            near_duplicate: Jaccard similarity from which a task counts as written before.
            meaning: clusters and their cap.
            benchmarks: what none may repeat.
        """
        self._duplicates = NearDuplicates(near_duplicate)
        self._clusters = Clusters(meaning)
        self._static = StaticEmbedder()
        self._benchmarks = benchmarks

    def restore(self, ledger: Ledger) -> None:
        """Take up the tasks that earlier goes of a run took."""
        for row in ledger.rows(stage="dedupe", status="done"):
            sampled = ledger.get(row.parent or "", "sample")
            if sampled is None:
                continue
            task, entry = Task.model_validate(sampled.data), NoveltyEntry.model_validate(row.data)
            self._duplicates.add(task)
            vector = self.static(task) if entry.vector is None else np.array(entry.vector, np.float32)
            self._clusters.restore(task.id, entry.cluster, vector)
            later = (ledger.get(task.id, stage) for stage in _LATER)
            if any(row is not None and row.status == "rejected" for row in later):
                self._clusters.release(task.id)

    def release(self, task: str) -> None:
        """A task was turned away by a later stage: its cluster of meaning has room for another."""
        self._clusters.release(task)

    def static(self, task: Task) -> Vectors:
        """Where a task lies by the built-in embedding."""
        vector: Vectors = self._static.encode([said(task)])[0]
        return vector

    def take(self, task: Task, given: Sequence[float] | None = None) -> NoveltyEntry | Rejection:
        """Take a task if it is new. Checked and taken in one go, so that of two twins one passes.

        Args:
            task: in question.
            given: its vector where a model made it; None uses the built-in embedding.

        Returns:
            Its entry, or a Rejection of stage `dedupe`: `near-duplicate`, `in-benchmark` (with both texts as evidence)
            or `full-cluster`.
        """
        vector = self.static(task) if given is None else np.array(given, np.float32)
        if rejection := self._duplicates.check(task):
            return rejection
        if match := self.repeats(said(task)):
            return contaminated("dedupe", match)
        if rejection := self._clusters.check(task, vector):
            return rejection
        self._duplicates.add(task)
        cluster, leads = self._clusters.add(task, vector)
        return NoveltyEntry(cluster=cluster, vector=None if given is None or not leads else list(given))

    def repeats(self, text: str) -> Match | None:
        """The benchmark that a text repeats, or None."""
        return self._benchmarks.match(text)


def contaminated(stage: str, match: Match) -> Rejection:
    """The Rejection of what repeats a benchmark, with both texts."""
    return Rejection(
        stage=stage,
        reason="in-benchmark",
        detail=f"repeats {match.benchmark} ({match.kind}, {match.share:.0%} of it)",
        evidence=match.evidence(),
    )
