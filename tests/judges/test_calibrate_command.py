"""`synth judge calibrate` as a user starts it: the built-in model, two judges on a server, past runs, wrong orders."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from judges.agreement import wilson
from judges.gold import SHIPPED, load_gold
from judges.rubric import load_rubric
from synth.calibration import Calibrated
from synth.cli.judge import told
from synth.ledger import Ledger, StageRow
from synth.report.verdicts import executed
from taxonomy.catalog import load_catalog
from tests.factory.commands import synth
from tests.gateway.openai_stub import Reply, StrictOpenAI, chat_answer
from tests.judges.test_verdict import verdict

GOLD = {one.task.text: one for one in load_gold(load_catalog(), load_rubric())}


def test_the_built_in_model_is_measured_and_said_to_be_none(tmp_path: Path) -> None:
    ended = synth("judge", "calibrate", "--json", "--out", "there/figures.json", folder=tmp_path)
    assert ended.code == 0, ended.err
    found = ended.json
    assert json.loads((tmp_path / "there" / "figures.json").read_text()) == found
    assert (found["ended"], found["by_sim"], found["unanswered"]) == ("done", True, {})
    made = found["calibration"]
    assert sum(made["gold"].values()) == len(GOLD)
    (sim,) = made["judges"]
    assert (sim["name"], sim["model"], sim["answered"]) == ("judge", "sim:sim", len(GOLD))
    assert sim["by_kind"]["clear"]["value"] >= 0.9, "what is plainly feasible it lets through"
    assert sim["infeasible"]["recall"]["count"] >= 1
    assert made["pairs"] == []
    assert made["drifted"] == ["summarise-the-sweeps"]


def settings(folder: Path, url: str) -> None:
    """Two judges on a server, and two files of the gold set: 20 tasks, of which 4 + 4 are clear."""
    (folder / "gold").mkdir()
    for name in ("security", "version_control"):
        (folder / "gold" / f"{name}.yaml").write_text((SHIPPED / f"{name}.yaml").read_text())
    (folder / "synth.toml").write_text(
        'roles.judge = ["stub:strict", "stub:lenient"]\njudge.judges = 2\njudge.rule = "any"\n'
        f'[upstreams.stub]\nurl = "{url}"\nkey_env = "STUB_KEY"\nattempts = 1\nprices."*" = {{input = 1, output = 1}}\n'
    )


def task_in(payload: dict[str, Any]) -> Any:
    """The gold task that a judge's request is about."""
    user = payload["messages"][1]["content"]
    text = user.partition("BEGIN TASK")[2].partition("\n")[2].rpartition("\nEND TASK")[0]
    return GOLD[text]


async def test_two_judges_on_a_server_and_their_agreement(tmp_path: Path) -> None:
    def answer(path: str, payload: dict[str, Any]) -> dict[str, Any]:
        one = task_in(payload)
        if payload["model"] == "strict":
            failed = one.label.fails or (("clarity",) if one.label.kind == "borderline" else ())
        else:
            failed = one.label.fails if one.label.kind == "infeasible" else ()
        said = verdict(*failed, difficulty="medium")
        return chat_answer(said.model_dump_json(), payload)

    async with StrictOpenAI(answer, models=("strict", "lenient")) as stub:
        settings(tmp_path, stub.url)
        key = {"STUB_KEY": "stub-key"}
        order = ("judge", "calibrate", "--gold", "gold", "--in-flight", "4")
        ended = await asyncio.to_thread(synth, *order, "--json", folder=tmp_path, extra=key)
        assert ended.code == 0, ended.err
        assert stub.busiest <= 2 * 4
        shown = await asyncio.to_thread(synth, *order, "--judge", "stub:strict", folder=tmp_path, extra=key)
    made = ended.json["calibration"]
    strict, lenient = made["judges"]
    assert [(one["name"], one["model"]) for one in made["judges"]] == [
        *(("judge.1", "stub:strict"), ("judge.2", "stub:lenient"))
    ]
    # Of 20: 8 clear, 3 borderline and feasible, 3 borderline and not, 6 infeasible.
    assert (strict["feasible"]["recall"]["count"], strict["feasible"]["recall"]["of"]) == (8, 11)
    assert (strict["infeasible"]["recall"]["count"], lenient["infeasible"]["recall"]["count"]) == (9, 6)
    assert strict["right_criterion"]["value"] == 1.0
    (pair,) = made["pairs"]
    # Both yes on the clear ones, both no on the infeasible ones, apart on the 6 borderline ones.
    by_chance = (8 / 20) * (14 / 20) + (12 / 20) * (6 / 20)
    assert pair["agreement"]["kappa"] == pytest.approx((14 / 20 - by_chance) / (1 - by_chance))
    assert made["combined"]["feasible"]["recall"]["value"] == 1.0, "any of them lets it through"
    assert ended.json["by_sim"] is False
    assert ended.json["cost_usd"] > 0
    assert shown.code == 0, shown.err
    assert "stub:strict" in shown.out and "stub:lenient" not in shown.out
    assert "turned away, and should not be" in shown.out and "sim is no language model" not in shown.out


async def test_what_cannot_be_judged_is_named_and_no_answer_is_counted(tmp_path: Path) -> None:
    async def answer(path: str, payload: dict[str, Any]) -> dict[str, Any] | Reply:
        one = task_in(payload)
        if one.id == "wip-to-series":
            return Reply({"error": {"message": "broken", "type": "x"}}, status=500)
        return chat_answer("so so" if one.id == "moved-submodule" else verdict().model_dump_json(), payload)

    async with StrictOpenAI(answer, models=("strict", "lenient")) as stub:
        settings(tmp_path, stub.url)
        order = ("judge", "calibrate", "--gold", "gold", "--judge", "stub:strict", "--json")
        extra = {"STUB_KEY": "stub-key", "SYNTH_JUDGE__JUDGES": "2"}
        ended = await asyncio.to_thread(synth, *order, folder=tmp_path, extra=extra)
    assert ended.code == 1, ended.err
    assert list(ended.json["unanswered"]) == ["wip-to-series"]
    first, second = ended.json["calibration"]["judges"]
    assert (first["name"], second["name"]) == ("judge #1", "judge #2")
    assert first["invalid"] == ["moved-submodule"]
    assert first["answered"] == 20 - 2


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--judge", "acme:best"), 2, "there is no upstream 'acme'"),
        (("--gold", "broken"), 2, "broken/g.yaml: tasks.a.topic: field required"),
        (("--runs", "nowhere"), 3, "there is no ledger at"),
    ],
)
def test_wrong_orders_are_one_line(tmp_path: Path, more: tuple[str, ...], code: int, said: str) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "g.yaml").write_text("domain: security\ntasks:\n  a: {kind: clear}\n")
    ended = synth("judge", "calibrate", *more, folder=tmp_path)
    assert ended.code == code, ended.err
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_past_verdicts_against_what_was_executed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with Ledger.open(run / "ledger.sqlite") as ledger:

        def judged(name: str, audited: bool, certified: bool | None, rewards: tuple[float | None, ...] = ()) -> None:
            opinion = {"judge": "judge", "model": "m", "verdict": verdict().model_dump()}
            data = {
                "task_id": name, "rubric": "r", "rule": "majority", "opinions": [opinion],
                "difficulty": "medium", "disagreements": [], "audited": audited,
            }
            ledger.record(StageRow(item=name, stage="judge", status="done", data=data))
            if certified is None:
                return
            status, reason = ("done", None) if certified else ("rejected", "nothing-passes")
            ledger.record(StageRow(item=name, stage="build", status="done"))
            ledger.record(StageRow(item=name, stage="gates", status=status, reason=reason))
            for repeat, reward in enumerate(rewards):
                trial = {"reward": reward}
                ledger.record(
                    StageRow(item=f"{name}-{repeat}", stage="rollout", status="done", parent=name, data=trial)
                )

        judged("a", False, True, (0.0, 1.0))
        judged("b", False, True, (0.5,))
        judged("c", False, True, (None,))
        judged("d", False, False)
        judged("e", False, None)
        judged("f", True, True, (1.0,))
        judged("g", True, False)
        ledger.record(StageRow(item="h", stage="build", status="rejected", reason="setup-failed"))
        for name, reason in (("i", "infeasible-network"), ("j", "infeasible-clarity"), ("k", "invalid-answer")):
            ledger.record(StageRow(item=name, stage="judge", status="rejected", reason=reason))
        found = executed(run, ledger)
    assert (found.passed.judged, found.passed.built) == (5, 4)
    assert (found.passed.certified.count, found.passed.certified.of) == (3, 4)
    assert (found.passed.solved.count, found.passed.solved.of) == (1, 2)
    assert (found.audited.certified.count, found.audited.certified.of) == (1, 2)
    # Four were turned away, half of those that were looked into could be certified: two are lost, three were kept.
    assert (found.turned_away, found.lost, found.recall) == (4, 2.0, 3 / 5)
    low, high = wilson(1, 2)
    assert found.recall_interval == pytest.approx((3 / (3 + 4 * high), 3 / (3 + 4 * low)))
    shown = told(Calibrated(ended="done", calibration=None, unanswered={}, runs=[found], by_sim=False, cost_usd=None))
    assert "precision: certified 0.75" in shown
    assert "recall: about 0.60 [0.45, 0.89]; of 4 turned away 2 were built" in shown


def test_without_an_audit_recall_is_not_known(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(StageRow(item="i", stage="judge", status="rejected", reason="infeasible-network"))
        found = executed(tmp_path, ledger)
    assert (found.turned_away, found.lost, found.recall) == (1, None, None)
