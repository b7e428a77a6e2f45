"""What is built for an audit of the judges is never a row, whatever the policy."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from synth.audit import audited
from synth.ledger import Ledger, StageRow
from synth.rows import chosen, proven
from synth.run_folder import RunFolder
from synth.settings import Settings
from synth.stages import Stages, Trial
from taxonomy.catalog import load_catalog
from taxonomy.decontamination import Benchmarks
from taxonomy.task import Rejection
from tests.taxonomy.tasks import task
from trajectories.labels import label
from trajectories.policy import Kept, load_policy
from trajectories.record import Command, Message, Scaffold, Tokens, Trajectory, Turn, save


class Silence:
    """A watch that nobody looks at."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def solved() -> Trajectory:
    said = '{"analysis": "", "plan": "", "commands": [], "task_complete": true}'
    turn = Turn(emitted=said, commands=(Command(keystrokes="ls\n", seconds=0.1),), declared=True, screen="$")
    return label(
        Trajectory(
            task_id=task().id,
            domain="version_control",
            topic="hooks",
            teacher="teacher",
            model="m",
            scaffold=Scaffold(name="terminus-2", version="1"),
            seed=1,
            messages=(Message(role="user", content="Do it."), Message(role="assistant", content=said)),
            turns=(turn,),
            ended="complete",
            reward=1.0,
            tokens=Tokens(),
            seconds=1.0,
        ),
        Settings().rollout.loop,
    )


@pytest.mark.parametrize("built_all_the_same", [True, False])
def test_no_policy_and_no_export_takes_it(tmp_path: Path, built_all_the_same: bool) -> None:
    one, found = task(), solved()
    trial = Trial(one, "teacher", "sim:sim", 0)
    policy = load_policy("everything")
    folder = RunFolder(tmp_path)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(StageRow(item=one.id, stage="judge", status="done", data={"audited": built_all_the_same}))
        ledger.record(StageRow(item=one.id, stage="gates", status="done"))
        ledger.record(StageRow(item=trial.id, stage="rollout", status="done", parent=one.id))
        (folder.trials / trial.id).mkdir(parents=True)
        save(found, folder.trials / trial.id)
        assert audited(ledger, one.id) == built_all_the_same
        tools: Any = SimpleNamespace(
            ledger=ledger,
            watch=Silence(),
            settings=Settings(),
            catalog=load_catalog(),
            benchmarks=Benchmarks([]),
            policy=policy,
            run=folder,
            gateway=None,
            engine=None,
        )
        decided = Stages(tools).choose(trial, found)
        if built_all_the_same:
            assert isinstance(decided, Rejection)
            assert (decided.stage, decided.reason) == ("policy", "audited")
        else:
            assert isinstance(decided, Kept)
        row = ledger.get(trial.id, "policy")
        assert row is not None
        assert row.status == ("rejected" if built_all_the_same else "done")
        exported = chosen(folder, ledger, policy)
        assert (list(exported.kept), list(exported.others)) == ([] if built_all_the_same else [found.id], [])
        assert list(proven(folder, ledger)) == ([] if built_all_the_same else [one.id])


def test_a_task_without_a_judgement_is_not_audited(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert not audited(ledger, "x")
