"""Balance, clusters and nearest neighbours are counted from the ledger."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from synth.cli.status import status
from synth.ledger import Ledger, StageRow
from synth.report.diversity import balance, nearest
from synth.sim.catalog import built_in
from taxonomy.duplicates import shingles
from taxonomy.layout import Layout, render
from taxonomy.meaning import StaticEmbedder, said
from taxonomy.task import Draw, Task
from tests.taxonomy.tasks import task


def sampled(topic: str, skill: str, index: int) -> Task:
    """One of sim's tasks, as it is sampled."""
    scenario = built_in().draw("version_control", topic, index)
    assert scenario is not None
    layout = Layout(
        title=scenario.title,
        domain_focus=scenario.focus,
        objective=scenario.objective,
        scenario=scenario.story,
        checklist=tuple(scenario.checklist),
    )
    draw = Draw(domain="version_control", topic=topic, axes={"skill": skill}, seed=index, index=index)
    return task(layout, draw).model_copy(update={"text": render(layout)})


def record(ledger: Ledger, one: Task, cluster: str, accepted: bool) -> None:
    """A task all the way through the ledger."""
    ledger.record(StageRow(item=one.draw.id, stage="draw", status="done", data=one.draw.model_dump(mode="json")))
    ledger.record(StageRow(item=one.draw.id, stage="sample", status="done", data=one.model_dump(mode="json")))
    ledger.record(
        StageRow(item=one.id, stage="dedupe", status="done", parent=one.draw.id, data={"cluster": cluster})
    )
    state, reason = ("done", None) if accepted else ("rejected", "reward")
    ledger.record(StageRow(item=f"{one.id}-t", stage="policy", status=state, reason=reason, parent=one.id))


def test_balance_clusters_and_distances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topics = ["hooks", "hooks", "hooks", "submodules", "submodules", "remote-push"]
    skills = ["repair", "verify", "repair", "repair", "verify", "repair"]
    made = [sampled(*pair, index) for index, pair in enumerate(zip(topics, skills, strict=True))]
    kept = made[:4]
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert balance(ledger) is None
        assert nearest(ledger) is None
        ledger.fingerprint({"meaning": {"cap": 3}})
        for one in made:
            record(ledger, one, made[0].id if one.draw.topic == "hooks" else one.id, one in kept)
        found = balance(ledger)
        near = nearest(ledger)
    assert found is not None
    assert near is not None
    assert (found.accepted, found.drawn, found.domains) == (4, 6, 1.0)
    # 3, 1 and 0 of three topics; 3 and 1 of two skills.
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert found.topics == {"version_control": pytest.approx(np.exp(entropy) / 3)}
    assert found.axes == {"skill": pytest.approx(np.exp(entropy) / 2)}
    assert [one.name for one in found.shortest] == [
        *("version_control/remote-push", "skill=verify", "version_control/submodules")
    ]
    assert (found.shortest[0].drawn, found.shortest[0].accepted, found.shortest[0].fair) == (1, 0, 1.33)
    clusters = found.clusters
    assert (clusters.taken, clusters.accepted, clusters.sizes, clusters.largest) == (4, 2, [3, 1], 0.75)
    assert (clusters.full, clusters.cap, clusters.refused) == ({made[0].id: 3}, 3, 0)

    # Distances by looking at every pair.
    vectors = StaticEmbedder().encode([said(one) for one in kept])
    meaning, words = [1.0] * 4, [1.0] * 4
    for a, b in combinations(range(4), 2):
        one, other = shingles(kept[a]), shingles(kept[b])
        apart = 1 - len(one & other) / len(one | other), 1 - float(vectors[a] @ vectors[b])
        for place in (a, b):
            words[place], meaning[place] = min(words[place], apart[0]), min(meaning[place], apart[1])
    assert near.tasks == 4
    assert (near.words.least, near.words.mean) == (pytest.approx(min(words)), pytest.approx(np.mean(words)))
    assert near.words.median == pytest.approx(np.median(words))
    assert (near.meaning.least, near.meaning.mean) == (
        pytest.approx(min(meaning), abs=1e-5),
        pytest.approx(np.mean(meaning), abs=1e-5),
    )

    assert status(tmp_path, True, False) == 0
    shown = capsys.readouterr().out
    assert "axes: skill 0.88" in shown
    assert "shortest: version_control/remote-push 0 of 1 drawn (even: 1.33)" in shown
    assert "full (cap 3)" in shown
    assert "distance to the nearest, words: least" in shown
    assert status(tmp_path, False, True) == 0
    assert '"nearest"' not in capsys.readouterr().out
