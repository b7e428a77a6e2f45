"""The main job from end to end: real Docker, real Harbor, the built-in model."""

import json
import os
import secrets
import signal
import time
from pathlib import Path

import datasets
import pytest

from envs.certificate import read_certificate
from envs.folder import folder_digest
from synth.ledger import Ledger
from synth.run_folder import RunFolder
from synth.sim.catalog import built_in
from taxonomy.catalog import load_catalog
from taxonomy.draws import draw
from taxonomy.task import Draw
from tests.factory.commands import start, synth
from tests.factory.leftovers import of_run
from trajectories.record import load

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("base")]

ORDER = ("generate", "--domain", "version_control")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a name of its own, so that its containers can be told from those of other tests."""
    return tmp_path / f"run{secrets.token_hex(4)}"


def rows(run: Path) -> list[dict]:
    """The messages rows."""
    return [json.loads(line) for line in (run / "rows" / "messages.jsonl").read_text().splitlines()]


def test_two_rows_each_with_its_evidence(run: Path, tmp_path: Path) -> None:
    ended = synth(*ORDER, "--n", "2", "--run", str(run), "--json", folder=tmp_path)
    assert ended.code == 0, ended.err
    summary = ended.json
    assert summary["accepted"] == 2
    assert summary["candidates"] >= 2
    assert summary["cost_usd"] == 0
    assert set(summary["rows"]) >= {"messages.jsonl", "sharegpt.jsonl", "messages.parquet", "sharegpt.parquet"}

    made = rows(run)
    assert len({row["id"] for row in made}) == 2
    for row in made:
        assert row["metadata"]["reward"] == 1
        assert row["metadata"]["ended"] == "complete"
        assert row["metadata"]["domain"] == "version_control"
        task = run / "tasks" / row["metadata"]["task_id"]
        certificate = read_certificate(task)
        assert certificate.certified
        assert certificate.digests.folder == folder_digest(task)
        gates = [result.gate for result in certificate.gates]
        assert gates.count("reference") == 2
        assert {"builds", "nothing", "partial", "wrong"} <= set(gates)

    with Ledger.open(run / "ledger.sqlite", read_only=True) as ledger:
        trials = [row.item for row in ledger.rows(stage="policy", status="done")]
        by_id = {(record := load(run / "trials" / trial / "trajectory.json")).id: record for trial in trials}
        assert ledger.totals().calls > 0
    for row in made:
        # What is in the row is what was sent and answered, to the letter.
        recorded = by_id[row["id"]]
        assert [(m["role"], m["content"]) for m in row["messages"]] == [(m.role, m.content) for m in recorded.messages]
        assert recorded.labels is not None
        assert recorded.labels.reexecuted is True

    lock = json.loads((run / "lock.json").read_text())
    assert lock["git_revision"] is None or len(lock["git_revision"].removesuffix("+changes")) == 40
    assert lock["base_images"]["version_control"]["id"].startswith("sha256:")
    assert {"catalog", "rubric", "packages", "prompts", "models"} <= set(lock)

    loaded = datasets.load_dataset(str(run / "rows"), "messages", split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["id"]) == sorted(row["id"] for row in made)
    assert of_run(run.name) == []

    # The same command again has nothing left to do; a larger n goes on from here.
    again = synth(*ORDER, "--n", "2", "--run", str(run), "--json", folder=tmp_path)
    assert (again.code, again.json["accepted"]) == (0, 2)
    more = synth(*ORDER, "--n", "3", "--run", str(run), "--json", folder=tmp_path)
    assert (more.code, more.json["accepted"]) == (0, 3)
    assert {row["id"] for row in made} < {row["id"] for row in rows(run)}

    shown = synth("status", str(run), "--json", folder=tmp_path)
    assert shown.json["accepted"] == 3
    everything = synth("export", str(run), "--policy", "everything", "--out", str(tmp_path / "all"), folder=tmp_path)
    assert everything.code == 0, everything.err
    assert len((tmp_path / "all" / "messages.jsonl").read_text().splitlines()) >= 3


def test_what_repeats_a_benchmark_is_turned_away_and_reported(run: Path, tmp_path: Path) -> None:
    scenarios = built_in()
    catalog = load_catalog().only({"version_control": scenarios.topics("version_control")})
    drawn = draw(catalog, ["version_control"], 0, 0)
    first = scenarios.draw("version_control", drawn.topic, drawn.seed)
    assert first is not None
    (tmp_path / "bench.jsonl").write_text(json.dumps({"instruction": f"Somebody else wrote:\n{first.story}"}) + "\n")
    (tmp_path / "synth.toml").write_text('benchmarks = ["bench.jsonl"]\n')
    ended = synth(*ORDER, "--n", "1", "--max-candidates", "1", "--run", str(run), "--json", folder=tmp_path)
    assert ended.code == 1, ended.err
    assert ended.json["rejected"] == {"dedupe": {"in-benchmark": 1}}
    line = json.loads((run / "contamination.jsonl").read_text())
    assert line["benchmark"] == "bench.jsonl:1"
    assert line["ours"]
    assert line["theirs"]

    # The run goes on with the next draw; what was drawn stays on record and is not drawn anew.
    again = synth(*ORDER, "--n", "1", "--run", str(run), "--json", folder=tmp_path)
    assert again.code == 0, again.err
    with Ledger.open(run / "ledger.sqlite", read_only=True) as ledger:
        drawn_by_run = [Draw.model_validate(row.data) for row in ledger.rows(stage="draw")]
        assert {row.item for row in ledger.rows(stage="sample")} == {each.id for each in drawn_by_run}
    assert drawn_by_run[0] == drawn
    assert 2 <= len(drawn_by_run) == again.json["candidates"] <= 4
    assert rows(run)[0]["metadata"]["topic"] == drawn_by_run[-1].topic


def test_killed_and_interrupted_runs_go_on(run: Path, tmp_path: Path) -> None:
    order = (*ORDER, "--n", "3", "--run", str(run), "--json")
    killed = start(order, tmp_path)
    wait_for_stage(run, "build")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()

    interrupted = start(order, tmp_path)
    wait_for_stage(run, "gates")
    os.kill(interrupted.pid, signal.SIGINT)
    _, err = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130, err
    assert "goes on from here" in err
    assert of_run(run.name) == []

    ended = synth(*order, folder=tmp_path)
    assert ended.code == 0, ended.err
    made = rows(run)
    assert len(made) == 3
    assert len({row["id"] for row in made}) == 3
    assert len({row["metadata"]["task_id"] for row in made}) == 3
    assert of_run(run.name) == []


def test_two_processes_cannot_work_on_one_run(run: Path, tmp_path: Path) -> None:
    order = (*ORDER, "--n", "1", "--run", str(run))
    first = start(order, tmp_path)
    try:
        wait_for_stage(run, "sample")
        second = synth(*order, folder=tmp_path)
        assert second.code == 2
        assert len(second.err.strip().splitlines()) == 1
        assert f"process {first.pid} works on this run" in second.err
    finally:
        os.kill(first.pid, signal.SIGTERM)
        first.communicate(timeout=60)
    assert first.returncode == 130
    assert of_run(run.name) == []


def wait_for_stage(run: Path, stage: str, seconds: float = 180) -> None:
    """Until the ledger has a done row of the stage."""
    ledger_file = RunFolder(run).ledger_file
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ledger_file.exists():
            with Ledger.open(ledger_file, read_only=True) as ledger:
                if next(ledger.rows(stage=stage, status="done"), None) is not None:
                    return
        time.sleep(0.1)
    pytest.fail(f"no item came through {stage} within {seconds} s")
