"""A clumsy builder and the rounds of repair, from end to end: what is defective is found, named, rewritten, proven."""

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from envs.certificate import read_certificate
from envs.folder import folder_digest, read_folder
from synth.factory import Order
from synth.ledger import Ledger
from synth.report.progress import Progress
from synth.rounds import rounds_of, yield_by_round
from synth.run import Go, Summary, go
from synth.run_folder import RunFolder
from synth.settings import load
from synth.stages import STAGES, Stages
from taxonomy.catalog import load_catalog
from tests.factory.commands import synth
from tests.factory.leftovers import of_run

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("base")]

CLUMSY = """\
policy = "everything"
reference_repeats = 1
[sim]
infeasible_tasks = 0.0
clumsy_state = 1.0
clumsy_instruction = 1.0
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a name of its own."""
    return tmp_path / f"run{secrets.token_hex(4)}"


def test_two_parts_of_each_environment_are_repaired(run: Path, tmp_path: Path) -> None:
    (tmp_path / "synth.toml").write_text(CLUMSY)
    order = ("generate", "--domain", "version_control", "--n", "2", "--run", str(run), "--json")
    ended = synth(*order, folder=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.json["accepted"] == 2
    parts: set[str] = set()
    with Ledger.open(run / "ledger.sqlite", read_only=True) as ledger:
        for row in ledger.rows(stage="gates", status="done"):
            folder = run / "tasks" / row.item
            rounds = rounds_of(folder)
            # A starting point that the solver cannot work on is mended before it comes to the gates.
            assert "instruction" in {one.part for one in rounds}
            parts |= {one.part for one in rounds}
            assert [one.round for one in rounds] == list(range(1, len(rounds) + 1))
            recorded = list(ledger.rows(stage="repair", parent=row.item))
            assert [one.item for one in recorded] == [f"{row.item}/{one.round}" for one in rounds]
            assert [one.data["part"] for one in recorded] == [one.part for one in rounds]
            assert [one.data["reason"] for one in recorded] == [one.reason for one in rounds]
            assert row.data["rounds"] == len(rounds)
            assert read_folder(folder).notes["rounds"] == len(rounds)
            assert read_certificate(folder).digests.folder == folder_digest(folder)
        table = yield_by_round(ledger)
        assert sum(one.certified for one in table) == 2
        assert table[0].certified == 0
        assert ledger.totals(stage="repair").calls >= 4
    assert {"state", "instruction"} <= parts
    assert of_run(run.name) == []

    # What a kill left on disk alone is on record after the next go; what is on record stays as it is.
    with Ledger.open(run / "ledger.sqlite") as ledger:
        task = next(ledger.rows(stage="gates", status="done")).item
        ledger.forget(task, "gates")
        ledger.forget(f"{task}/1", "repair")
        for row in list(ledger.rows(stage="policy", parent=task)):
            ledger.forget(row.item, "policy")
    (run / "tasks" / task / "certificate.json").unlink()
    (run / "built").mkdir(exist_ok=True)
    (run / "tasks" / task).rename(run / "built" / task)
    again = synth(*order, folder=tmp_path)
    assert (again.code, again.json["accepted"]) == (0, 2), again.err
    with Ledger.open(run / "ledger.sqlite", read_only=True) as ledger:
        rows = list(ledger.rows(stage="repair", parent=task))
        assert rows
        assert sorted(row.item for row in rows) == [f"{task}/{one.round}" for one in rounds_of(run / "tasks" / task)]


def test_rounds_are_bounded_and_the_last_one_is_kept_as_evidence(run: Path, tmp_path: Path) -> None:
    settings = "clumsy_repair = 1.0\n[builder]\nrepair_rounds = 1\n"
    (tmp_path / "synth.toml").write_text(CLUMSY + settings)
    order = ("generate", "--domain", "version_control", "--n", "1", "--max-candidates", "1", "--run", str(run))
    ended = synth(*order, "--json", folder=tmp_path)
    assert ended.code == 1, ended.err
    (folder,) = (run / "rejected").iterdir()
    (only,) = json.loads((folder / "evidence" / "rounds.json").read_text())
    assert only["round"] == 1
    assert sum(ended.json["rejected"]["gates"].values()) == 1
    with Ledger.open(run / "ledger.sqlite", read_only=True) as ledger:
        assert [(one.certified, one.open) for one in yield_by_round(ledger)] == [(0, 1)] * 6
    assert of_run(run.name) == []


@pytest.mark.slow
def test_a_clumsy_builder_reaches_four_in_five(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of all first attempts at each part are defective, and three in ten repairs: at least 80 % are certified."""
    # What is measured ends at the gates.
    monkeypatch.setattr(Stages, "trials", lambda *_: [])
    rates = {f"clumsy_{part}": 0.5 for part in ("state", "instruction", "solution", "tests")}
    settings = load({"sim": {"infeasible_tasks": 0.0, "clumsy_repair": 0.3, **rates}}, environment={})
    candidates = 20
    order = Order(("version_control",), candidates, candidates)

    async def work() -> Summary:
        progress = Progress(candidates, STAGES)
        return await go(
            Go(RunFolder(run), order, settings, load_catalog(), progress, {}, progress.follow)
        )

    asyncio.run(work())
    with Ledger.open(run / "ledger.sqlite", read_only=True) as ledger:
        table = yield_by_round(ledger)
        feasible = sum(1 for _ in ledger.rows(stage="judge", status="done"))
        print("round certified open")
        for one in table:
            print(f"{one.round:>5} {one.certified:>9} {one.open:>4}")
        for row in ledger.rows(stage="repair"):
            print(row.item, row.status, row.data.get("part"), row.data.get("reason"))
        lost = [(row.item, row.stage, row.reason, row.detail) for row in ledger.rows(status="rejected")]
    certified = sum(one.certified for one in table)
    assert feasible >= 15
    assert certified >= 0.8 * feasible, lost
    assert of_run(run.name) == []
