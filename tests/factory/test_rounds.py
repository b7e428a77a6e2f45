"""The yield by round is read off the ledger, and what a folder says of its rounds is read back."""

from pathlib import Path

from envs.rounds import Round
from synth.ledger import Ledger, StageRow
from synth.rounds import FILE_NAME, rounds_of, rounds_text, yield_by_round


def test_each_round_tells_what_it_certified_and_what_is_left(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for number in range(5):
            ledger.record(StageRow(item=f"t{number}", stage="build", status="done"))
        ledger.record(StageRow(item="t5", stage="build", status="rejected", reason="over-budget"))
        ledger.record(StageRow(item="t6", stage="build", status="failed", reason="engine"))
        for number, rounds in enumerate((0, 0, 2, 7)):
            row = StageRow(item=f"t{number}", stage="gates", status="done", data={"folder": "x", "rounds": rounds})
            ledger.record(row)
        ledger.record(StageRow(item="t4", stage="gates", status="rejected", reason="flaky"))
        table = yield_by_round(ledger)
    assert [(one.round, one.certified, one.open) for one in table] == [
        *((0, 2, 4), (1, 0, 4), (2, 1, 3)),
        *((3, 0, 3), (4, 0, 3), (5, 1, 2)),
    ]


def test_rounds_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    rounds = [Round(1, "tests", "wrong-passes", "ä", "invalid-answer", 0.5), Round(2, "state", "answer-leaked", "x")]
    assert rounds_of(tmp_path) == []
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / FILE_NAME).write_text(rounds_text(rounds), encoding="utf-8")
    assert rounds_of(tmp_path) == rounds
