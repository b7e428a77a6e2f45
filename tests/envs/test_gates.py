"""The gates as a whole: what a sound proof holds, what goes on after a finding, what folders of other people get.

The single defects are planted in tests/envs/defects and looked for in test_defects.py.
"""

import asyncio
import json
from pathlib import Path

import pytest

from envs.certificate import check_signature, read_certificate
from envs.engine import Engine
from envs.folder import folder_digest, write_folder
from envs.gates import GateSettings, Proven, examine, prove
from envs.owner import LABEL
from taxonomy.task import Rejection

from .conftest import CHECKS, SOLUTION, Sample

pytestmark = pytest.mark.docker

PLAIN = "git init -q -b main /app/repo && cd /app/repo && git config user.name A && git config user.email a@b.c" \
    " && echo one >a.txt && git add . && git commit -qm 1 && git checkout -qb feature && echo two >b.txt && git add ." \
    " && git commit -qm 2 && git checkout -q main"  # fmt: skip


async def nothing_left(engine: Engine) -> bool:
    await engine.settle()
    api = engine._sdk.api
    for _ in range(100):
        containers = api.containers(all=True, filters={"label": f"{LABEL}={engine.owner}"})
        images = api.images(filters={"label": f"{LABEL}={engine.owner}"})
        if containers == [] and images == []:
            return True
        # The engine answers a second removal of the same container before the first is through.
        await asyncio.sleep(0.1)
    return False


async def test_a_sound_environment_is_certified(sample: Sample, tmp_path: Path) -> None:
    environment = await sample.make()
    write_folder(environment, tmp_path)
    before = folder_digest(tmp_path)
    proven = await prove(tmp_path, sample.engine)
    assert isinstance(proven, Proven), proven
    assert read_certificate(tmp_path) == proven.certificate
    assert check_signature(proven.certificate)
    ran = [(gate.gate, gate.name) for gate in proven.certificate.gates if gate.skipped is None]
    assert ran == [
        ("builds", ""), ("leaks", "texts"), ("state", ""), ("leaks", "harness"), ("nothing", ""),
        ("reference", "1"), ("reference", "2"),
        ("clock", ""), ("partial", "checks-out"), ("wrong", "copies-the-file"), ("wrong", "merges-elsewhere"),
        ("cheat", ""), ("leaks", "answers"),
    ]  # fmt: skip
    assert all(gate.passed for gate in proven.certificate.gates)
    checks = {gate.name or gate.gate: gate.checks for gate in proven.certificate.gates}
    assert checks["1"] == {"check_merged": 1, "check_files": 1}
    assert checks["checks-out"] == {"check_merged": 0, "check_files": 1}
    assert proven.certificate.outputs == ["/app/repo/b.txt"]
    digests = proven.certificate.digests
    assert (digests.state, digests.folder) == (environment.state.digest, before)
    assert digests.folder == folder_digest(tmp_path)
    # The image is left for the rollout, and named by what it holds.
    assert (await sample.engine.image(proven.image)).id == digests.image
    again = await prove(tmp_path, sample.engine)
    assert isinstance(again, Proven)
    assert again.image == proven.image
    await sample.engine.remove_image(proven.image)
    assert await nothing_left(sample.engine)


async def test_a_rejected_environment_leaves_nothing_but_its_evidence(sample: Sample, tmp_path: Path) -> None:
    write_folder(await sample.make(PLAIN, checks="def check_always():\n    pass\n"), tmp_path)
    rejection = await prove(tmp_path, sample.engine)
    assert isinstance(rejection, Rejection)
    assert (rejection.stage, rejection.reason, rejection.evidence["parts"]) == (
        "gates", "nothing-passes", ["tests", "state"],
    )  # fmt: skip
    assert "\n" not in rejection.detail
    gates = json.loads(json.dumps(rejection.model_dump(mode="json")))["evidence"]["gates"]
    assert [gate["gate"] for gate in gates if not gate["passed"]] == ["nothing"]
    assert not (tmp_path / "certificate.json").exists()
    assert await nothing_left(sample.engine)


async def test_a_folder_that_does_not_build_is_named_with_its_log(sample: Sample, tmp_path: Path) -> None:
    write_folder(await sample.make(PLAIN), tmp_path)
    dockerfile = tmp_path / "environment/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN echo reason && exit 4\n")
    rejection = await prove(tmp_path, sample.engine)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "build-broken"
    assert "reason" in str(rejection.evidence["gates"])
    assert await nothing_left(sample.engine)


async def test_a_thorough_examination_goes_on_after_a_finding(sample: Sample, tmp_path: Path) -> None:
    lax = CHECKS.replace('assert "feature" in', 'assert "main" in')
    write_folder(await sample.make(PLAIN, checks=lax, alternative="cd /app/repo && git checkout -q x\n"), tmp_path)
    seen = await examine(tmp_path, sample.engine, thorough=True)
    assert [(found.reason, found.gate, found.name) for found in seen.findings] == [
        ("alternative-fails", "alternative", ""),
        ("partial-passes", "partial", "checks-out"),
        ("wrong-passes", "wrong", "copies-the-file"),
    ]
    assert [result.gate for result in seen.results if not result.passed] == [found.gate for found in seen.findings]
    await seen.discard(sample.engine)
    assert await nothing_left(sample.engine)


async def test_gates_run_without_a_network_and_see_no_solution_or_tests(sample: Sample, tmp_path: Path) -> None:
    spying = SOLUTION + '[ ! -e /tests ] || exit 3\n[ "$(ls /sys/class/net)" = lo ] || exit 4\n'
    checks = CHECKS + '\n\ndef check_no_solution():\n    assert not Path("/solution").exists()\n'
    write_folder(await sample.make(PLAIN, solution=spying, checks=checks), tmp_path)
    proven = await prove(tmp_path, sample.engine)
    assert isinstance(proven, Proven), proven
    assert [gate.exit_code for gate in proven.certificate.gates if gate.gate == "reference"] == [0, 0]
    # Nothing that any attempt did made this check fail, and the certificate says so.
    assert proven.certificate.never_red == ["check_no_solution"]


async def test_what_varies_and_what_uses_chance_is_recorded_and_no_failure(sample: Sample, tmp_path: Path) -> None:
    noisy = SOLUTION + "mkdir /app/log && echo $RANDOM$RANDOM >/app/log/run.txt\n"
    write_folder(await sample.make(PLAIN, solution=noisy), tmp_path)
    proven = await prove(tmp_path, sample.engine)
    assert isinstance(proven, Proven), proven
    assert proven.certificate.outputs == ["/app/log/run.txt", "/app/repo/b.txt"]
    assert proven.certificate.varying == ["/app/log/run.txt"]
    assert proven.certificate.declared == ["solution: $RANDOM"]


def a_strangers(folder: Path, base: str) -> None:
    for name, text in {
        "environment/Dockerfile": f"FROM {base}\nWORKDIR /place\n",
        "instruction.md": "Say hi in hello.txt.\n",
        "solution/solve.sh": "#!/bin/bash\ncp /solution/words hello.txt\n",
        "solution/words": "hi\n",
        "tests/test.sh": "#!/bin/bash\ngrep -q hi /place/hello.txt && r=1 || r=0\necho $r >/logs/verifier/reward.txt\n",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


async def test_a_folder_of_other_people_is_proven_too(sample: Sample, tmp_path: Path) -> None:
    a_strangers(tmp_path, sample.base)
    proven = await prove(tmp_path, sample.engine, GateSettings(repeats=1))
    assert isinstance(proven, Proven), proven
    ran = [f"{gate.gate}/{gate.name}" for gate in proven.certificate.gates if gate.skipped is None]
    assert ran == [
        "builds/", "leaks/texts", "leaks/harness", "nothing/", "reference/1", "derived/empty", "derived/constant",
        "derived/copied-input", "leaks/answers",
    ]  # fmt: skip
    assert proven.certificate.digests.state is None


async def test_a_given_image_is_used_and_left(sample: Sample, tmp_path: Path) -> None:
    a_strangers(tmp_path, "nowhere:none")
    (tmp_path / "solution/solve.sh").unlink()
    tests = '[ "$(pwd) $WORD" = "/srv hey" ] && echo 0 >/logs/verifier/reward.txt\n'
    (tmp_path / "tests/test.sh").write_text(f"#!/bin/bash\n{tests}")
    settings = GateSettings(image=sample.base, workdir="/srv", env={"WORD": "hey"})
    seen = await examine(tmp_path, sample.engine, settings, thorough=True)
    assert (seen.findings, seen.image_tag, seen.shared) == ([], sample.base, True)
    skipped = {result.gate: result.skipped for result in seen.results}
    assert skipped["builds"] == "the image is given"
    assert skipped["reference"] == "the folder has no solution/solve.sh"
    await seen.discard(sample.engine)
    assert await sample.engine.has_image(sample.base)
