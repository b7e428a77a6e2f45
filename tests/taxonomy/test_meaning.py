"""Clusters of meaning: what belongs together, what a cap does, and that an earlier go is taken up exactly."""

import numpy as np
import pytest

from taxonomy.layout import Layout
from taxonomy.meaning import Clusters, MeaningSettings, StaticEmbedder, Vectors, said
from taxonomy.task import Task
from tests.taxonomy.tasks import DRAW, LAYOUT, task

EMBEDDER = StaticEmbedder()


def about(objective: str, index: int) -> Task:
    layout = Layout(
        title=objective.split(".")[0],
        domain_focus="the same for all",
        objective=objective,
        scenario=f"{objective} The people who asked will look at it when it is done.",
        checklist=LAYOUT.checklist[:0]
        + tuple(f"{objective} part {word}" for word in ["one", "two", "three", "four", "five", "six"]),
    )
    return task(layout, DRAW.model_copy(update={"index": index}))


def vector(one: Task) -> Vectors:
    found: Vectors = EMBEDDER.encode([said(one)])[0]
    return found


REBASE = about("Rebase the feature branch onto main and squash its fixup commits.", 1)
REBASING = about("Squash fixup commits while rebasing a feature branch on main.", 2)
PROXY = about("Let nginx answer on port 8443 with a certificate for the shop.", 3)


def test_the_static_embedding_tells_topics_apart_and_is_always_the_same() -> None:
    near, far = vector(REBASE) @ vector(REBASING), vector(REBASE) @ vector(PROXY)
    assert near > 0.6
    assert far < 0.3
    assert np.array_equal(StaticEmbedder().encode(["Two words"]), StaticEmbedder().encode(["two, WORDS!"]))
    assert np.allclose(np.linalg.norm(EMBEDDER.encode(["some text", "of words"]), axis=1), 1, atol=1e-5)
    assert not EMBEDDER.encode(["", "the of and"]).any()
    assert EMBEDDER.encode([]).shape == (0, 256)


def test_a_full_cluster_takes_no_more_and_others_go_on() -> None:
    clusters = Clusters(MeaningSettings(similarity=0.5, cap=2))
    assert clusters.nearest(vector(REBASE)) is None
    assert clusters.add(REBASE, vector(REBASE)) == (REBASE.id, True)
    assert clusters.check(REBASING, vector(REBASING)) is None
    assert clusters.add(REBASING, vector(REBASING)) == (REBASE.id, False)
    third = about("Squash the fixup commits of a feature branch and rebase it on main.", 4)
    rejection = clusters.check(third, vector(third))
    assert rejection is not None
    assert (rejection.stage, rejection.reason) == ("dedupe", "full-cluster")
    assert rejection.evidence["cluster"] == REBASE.id
    assert clusters.check(PROXY, vector(PROXY)) is None
    # A task that is in is never turned away by itself, and adding it again counts it once.
    assert clusters.check(REBASE, vector(REBASE)) is None
    clusters.add(REBASE, vector(REBASE))
    assert clusters.sizes == {REBASE.id: 2}


def test_a_place_is_given_back() -> None:
    clusters = Clusters(MeaningSettings(similarity=0.5, cap=1))
    clusters.add(REBASE, vector(REBASE))
    assert clusters.check(REBASING, vector(REBASING)) is not None
    clusters.release(REBASE.id)
    clusters.release(REBASE.id)
    assert clusters.sizes == {}
    assert clusters.check(REBASING, vector(REBASING)) is None
    assert clusters.add(REBASING, vector(REBASING)) == (REBASE.id, False), "the cluster stays where it was"
    assert clusters.sizes == {REBASE.id: 1}
    assert clusters.check(REBASE, vector(REBASE)) is not None


def test_an_earlier_go_is_taken_up() -> None:
    first = Clusters(MeaningSettings(similarity=0.5))
    tasks = [REBASE, PROXY, REBASING]
    members = [first.add(one, vector(one)) for one in tasks]
    again = Clusters(MeaningSettings(similarity=0.5))
    for one, member in zip(tasks, members, strict=True):
        again.restore(one.id, member.cluster, vector(one) * 3)
    assert again.sizes == first.sizes
    probe = vector(about("Rebase a branch and squash its commits.", 9))
    assert again.nearest(probe) == pytest.approx(first.nearest(probe))


def test_hundreds_of_clusters_are_searched_exactly() -> None:
    rng = np.random.default_rng(1)
    clusters = Clusters(MeaningSettings(similarity=0.9))
    made = rng.standard_normal((300, 64)).astype(np.float32)
    for index, one in enumerate(made):
        clusters.add(task(draw=DRAW.model_copy(update={"index": index})), one)
    assert len(clusters.sizes) == 300
    for index in (0, 150, 299):
        found = clusters.nearest(made[index] + 0.01)
        assert found is not None
        assert found[0] == task(draw=DRAW.model_copy(update={"index": index})).id
