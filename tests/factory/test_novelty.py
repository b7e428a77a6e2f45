"""What makes a task new: by words, by meaning, against benchmarks; and that it is known again after a stop."""

import json
from pathlib import Path

import pytest

from synth.ledger import Ledger, StageRow
from synth.novelty import Novelty, NoveltyEntry
from synth.rows import write_contamination
from synth.run_folder import RunFolder
from taxonomy.benchmarks import read_benchmarks
from taxonomy.decontamination import Benchmarks
from taxonomy.layout import render
from taxonomy.meaning import MeaningSettings
from taxonomy.task import Rejection, Task
from tests.taxonomy.tasks import DRAW, LAYOUT, task


def other(word: str, index: int) -> Task:
    """A task of other words."""
    layout = LAYOUT.model_copy(
        update={
            "title": f"{word} and its title",
            "objective": " ".join(f"{word}o{number}" for number in range(10)) + ".",
            "scenario": " ".join(f"{word}{number}" for number in range(30)),
            "checklist": tuple(" ".join(f"{word}c{n}x{m}" for m in range(6)) for n in range(6)),
        }
    )
    return task(layout, DRAW.model_copy(update={"index": index}))


def reason(found: NoveltyEntry | Rejection) -> str:
    return found.reason if isinstance(found, Rejection) else "new"


def test_words_benchmarks_and_meaning_each_have_their_name(tmp_path: Path) -> None:
    (tmp_path / "bench.txt").write_text("\n".join([other("harbour", 1).text, "and more"]))
    novelty = Novelty(
        0.7, MeaningSettings(similarity=0.5, cap=1), Benchmarks(read_benchmarks([tmp_path / "bench.txt"]))
    )
    first = novelty.take(task(), [-1.0, 0.0])
    assert reason(first) == "new"
    assert reason(novelty.take(task(draw=DRAW.model_copy(update={"index": 9})))) == "near-duplicate"
    copied = novelty.take(other("harbour", 2), [0.0, -1.0])
    assert isinstance(copied, Rejection)
    assert copied.reason == "in-benchmark"
    assert "harbour" in str(copied.evidence["ours"])
    assert "harbour" in str(copied.evidence["theirs"])
    assert reason(novelty.take(other("orchard", 3), [1.0, 0.0])) == "new"
    assert reason(novelty.take(other("glacier", 4), [0.9, 0.1])) == "full-cluster"
    assert reason(novelty.take(other("meadow", 5), [0.0, 1.0])) == "new"
    assert novelty.repeats("a text of nobody") is None


@pytest.mark.parametrize("given", [None, [0.6, 0.8]])
def test_an_earlier_go_is_taken_up(tmp_path: Path, given: list[float] | None) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        first = Novelty(0.7, MeaningSettings(similarity=0.5, cap=1), Benchmarks([]))
        one = task()
        entry = first.take(one, given)
        assert isinstance(entry, NoveltyEntry)
        assert entry.vector == given
        ledger.record(StageRow(item=one.draw.id, stage="sample", status="done", data=one.model_dump(mode="json")))
        ledger.record(
            StageRow(item=one.id, stage="dedupe", status="done", parent=one.draw.id, data=entry.model_dump(mode="json"))
        )
        again = Novelty(0.7, MeaningSettings(similarity=0.5, cap=1), Benchmarks([]))
        again.restore(ledger)
    assert reason(again.take(task(draw=DRAW.model_copy(update={"index": 9})), given)) == "near-duplicate"
    if given:
        assert reason(again.take(other("glacier", 4), [0.59, 0.81])) == "full-cluster"


@pytest.mark.parametrize("stage", ["judge", "build", "gates"])
def test_what_was_turned_away_later_fills_no_cluster(tmp_path: Path, stage: str) -> None:
    settings = MeaningSettings(similarity=0.5, cap=1)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        first, one = Novelty(0.7, settings, Benchmarks([])), other("orchard", 3)
        entry = first.take(one, [1.0, 0.0])
        assert isinstance(entry, NoveltyEntry)
        assert reason(first.take(other("glacier", 4), [0.9, 0.1])) == "full-cluster"
        first.release(one.id)
        assert reason(first.take(other("glacier", 4), [0.9, 0.1])) == "new"
        ledger.record(StageRow(item=one.draw.id, stage="sample", status="done", data=one.model_dump(mode="json")))
        ledger.record(
            StageRow(item=one.id, stage="dedupe", status="done", parent=one.draw.id, data=entry.model_dump(mode="json"))
        )
        ledger.record(StageRow(item=one.id, stage=stage, status="rejected", reason="some"))
        again = Novelty(0.7, settings, Benchmarks([]))
        again.restore(ledger)
    assert reason(again.take(other("glacier", 4), [0.9, 0.1])) == "new"
    assert reason(again.take(other("meadow", 5), [0.9, 0.1])) == "full-cluster"


def test_contamination_is_reported_with_both_texts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.held(), Ledger.open(folder.ledger_file) as ledger:
        assert write_contamination(folder, ledger) == 0
        assert not (folder.path / "contamination.jsonl").exists()
        (tmp_path / "bench.txt").write_text(render(LAYOUT))
        rejection = Novelty(0.7, MeaningSettings(), Benchmarks(read_benchmarks([tmp_path / "bench.txt"]))).take(task())
        assert isinstance(rejection, Rejection)
        ledger.record(
            StageRow(
                item=task().id,
                stage="dedupe",
                status="rejected",
                reason=rejection.reason,
                data=rejection.model_dump(mode="json"),
            )
        )
        assert write_contamination(folder, ledger) == 1
    line = json.loads((folder.path / "contamination.jsonl").read_text())
    assert line["item"] == task().id
    assert line["stage"] == "dedupe"
    assert line["kind"] == "13-gram"
    assert line["ours"]
    assert line["theirs"]
    assert line["benchmark"] == str(tmp_path / "bench.txt")
