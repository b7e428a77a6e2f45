"""Planted defects: each is caught by the gate that should catch it, and named with the part at fault."""

from pathlib import Path

import pytest

from envs.certificate import check_signature
from envs.folder import Environment, write_folder
from envs.gates import Proven, prove
from taxonomy.task import Rejection

from .conftest import Sample
from .defects import sound
from .defects.table import DEFECTS, Defect

pytestmark = pytest.mark.docker

GATES = {
    "builds", "state", "nothing", "reference", "clock", "alternative", "partial", "wrong", "derived", "cheat",
    "contract", "leaks",
}  # fmt: skip


async def the_sound_one(sample: Sample, defect: Defect | None = None) -> Environment:
    whole = {
        "instruction": sound.INSTRUCTION, "solution": sound.SOLUTION, "alternative": sound.ALTERNATIVE,
        "checks": sound.CHECKS, "wrong": sound.WRONG, "partial": sound.PARTIAL, "contract": sound.CONTRACT,
        "inputs": sound.INPUTS,
    }  # fmt: skip
    return await sample.make(defect.setup if defect else sound.SETUP, **{**whole, **(defect.changes if defect else {})})


async def test_the_sound_environment_is_certified_by_every_gate(sample: Sample, tmp_path: Path) -> None:
    write_folder(await the_sound_one(sample), tmp_path)
    proven = await prove(tmp_path, sample.engine)
    assert isinstance(proven, Proven), proven
    certificate = proven.certificate
    assert {gate.gate for gate in certificate.gates} == GATES
    skipped = {f"{gate.gate}/{gate.name}": gate.skipped for gate in certificate.gates if gate.skipped}
    assert set(skipped) == {"contract/without", "leaks/copied-answer"}, skipped
    assert all(gate.passed for gate in certificate.gates)
    assert certificate.flakiness.model_dump() == {"runs": 2, "passed": 2, "rate": 0.0}
    assert (certificate.outputs, certificate.varying) == (["/app/total.json"], [])
    assert (certificate.never_red, certificate.declared) == ([], [])
    assert check_signature(certificate)


FAST = {
    "the-image-has-another-state", "a-check-crashes", "a-check-asks-for-the-year", "the-checks-always-pass",
    "half-the-work-is-enough", "an-empty-output-is-right", "a-verdict-can-be-forged", "a-demand-that-nobody-checks",
    "the-checks-lie-there",
}  # fmt: skip
"""One of each kind: all of them take minutes."""


def test_there_are_at_least_twenty_kinds_and_every_reason_is_among_them() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) >= 20
    assert {defect.name for defect in DEFECTS} > FAST
    assert {defect.reason for defect in DEFECTS} == {
        "build-broken", "state-differs", "nothing-passes", "no-verdict", "reference-fails", "flaky", "partial-passes",
        "wrong-passes", "alternative-fails", "cheat-passes", "contract-broken", "answer-leaked", "clock-dependent",
    }  # fmt: skip


@pytest.mark.parametrize(
    "defect",
    [pytest.param(one, id=one.name, marks=() if one.name in FAST else pytest.mark.slow) for one in DEFECTS],
)
async def test_a_defect_is_caught_and_named(sample: Sample, tmp_path: Path, defect: Defect) -> None:
    write_folder(await the_sound_one(sample, defect), tmp_path)
    if defect.edit:
        defect.edit(tmp_path)
    rejection = await prove(tmp_path, sample.engine, defect.settings)
    assert isinstance(rejection, Rejection), "it is certified"
    said = f"{rejection.reason}: {rejection.detail}"
    assert (rejection.stage, rejection.reason) == ("gates", defect.reason), said
    finding = rejection.evidence["finding"]
    assert isinstance(finding, dict)
    gate, _, name = defect.gate.partition("/")
    assert finding["gate"] == gate, said
    assert not name or finding["name"] == name, said
    assert rejection.evidence["parts"][0] == defect.part, said  # type: ignore[index]
    assert defect.says in rejection.detail, said
    assert not (tmp_path / "certificate.json").exists()
