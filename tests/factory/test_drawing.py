"""Draws are on record before they are used, and a run that is taken up again draws what it would have drawn."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.drawing import STAGE, Drawing, recorded
from synth.ledger import Ledger, StageRow
from taxonomy.catalog import load_catalog
from taxonomy.draws import draw, number
from taxonomy.task import Draw

CATALOG = load_catalog()
DOMAINS = ["security", "version_control"]


def accepts(made: Draw) -> bool:
    return number("lot", made.seed) % 100 < (20 if made.topic < "h" else 90)


def walk(drawing: Drawing, count: int) -> list[Draw]:
    made = []
    for _ in range(count):
        made.append(drawing.next())
        drawing.ended(made[-1], accepts(made[-1]))
    return made


@given(st.lists(st.integers(0, 40), max_size=3).map(sorted), st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_goes_that_are_cut_anywhere_draw_what_one_go_draws(tmp_path: Path, cuts: list[int], seed: int) -> None:
    file = tmp_path / "ledger.sqlite"
    file.unlink(missing_ok=True)
    whole = tmp_path / "whole.sqlite"
    whole.unlink(missing_ok=True)
    with Ledger.open(whole) as ledger:
        expected = walk(Drawing(CATALOG, DOMAINS, seed, ledger), 40)
    for count in [*cuts, 40]:
        with Ledger.open(file) as ledger:
            made = walk(Drawing(CATALOG, DOMAINS, seed, ledger), count)
            assert made == expected[:count], "what is on record is walked again, and then goes on"
            assert list(recorded(ledger)) == expected[: max([0, *(cut for cut in cuts if cut <= count), count])]


def test_a_draw_is_on_record_before_anything_is_made_of_it(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        made = Drawing(CATALOG, DOMAINS, 0, ledger).next()
        row = ledger.get(made.id, STAGE)
        assert row is not None
        assert Draw.model_validate(row.data) == made


def test_a_run_from_before_draws_were_recorded_is_taken_up(tmp_path: Path) -> None:
    old = [draw(CATALOG, DOMAINS, 0, 0), draw(CATALOG, DOMAINS, 0, 1), draw(CATALOG, DOMAINS, 0, 0, attempt=1)]
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for number_old, one in enumerate(old):
            data = {"draw": one.model_dump(mode="json")}
            rejected = number_old == 1
            ledger.record(
                StageRow(
                    item=one.id,
                    stage="sample",
                    status="rejected" if rejected else "done",
                    reason="truncated" if rejected else None,
                    data={"evidence": data} if rejected else data,
                )
            )
        drawing = Drawing(CATALOG, DOMAINS, 0, ledger)
        assert [drawing.next() for _ in old] == old
        later = drawing.next()
        assert later.index == 2
        assert later.id not in {one.id for one in old}
