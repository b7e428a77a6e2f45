"""Targeted repair with real containers: one part is rewritten with the evidence, executed, and proven by the gates."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from envs.builder import Built
from envs.builder_settings import Part
from envs.engine import Engine
from envs.folder import Base, Environment, write_folder
from envs.gates import GateSettings, Proven, prove
from envs.images import ImageStore
from envs.repair import Repaired, repair
from envs.rounds import Round, part_at_fault
from taxonomy.task import Rejection
from tests.envs.builder_stub import Stub, calls, says
from tests.envs.test_builder import CONTRACT, INSTRUCTION, KEEP, SOLUTION, TESTS, Bench, answer, bench, stub

__all__ = ["bench", "stub"]  # fixtures

pytestmark = pytest.mark.docker

STRICT = """

def check_note():
    \"\"\"A note says that the work is done.\"\"\"
    assert Path("/app/DONE").exists(), "there is no /app/DONE"
"""


def failed(reason: str, *parts: str, **gate: Any) -> Rejection:
    """What the gates say."""
    result = {
        "gate": "reference", "name": "1", "passed": False, "expected": 1.0, "reward": 0.0,
        "checks": {"check_note": 0.0}, "messages": {"check_note": "there is no /app/DONE"}, "exit_code": 0,
        "output": "merged", **gate,
    }  # fmt: skip
    passed = {**result, "gate": "nothing", "passed": True, "expected": 0.0}
    evidence: Any = {"gates": [passed, result], "parts": list(parts)}
    return Rejection(stage="gates", reason=reason, detail="the reference scored 0", evidence=evidence)


async def mended(bench: Bench, whole: Environment, part: Part, rejection: Rejection, **settings: Any) -> Environment:
    made = await repair(whole, rejection, part, bench.shop(**settings), 2)
    assert isinstance(made, Repaired), made
    assert made.environment.notes == {"builder": "builder", "rounds": 2}
    assert await bench.engine.has_image(made.image)
    return made.environment


async def built(bench: Bench) -> Environment:
    """The environment of the script, without the requests that it took."""
    made = await bench.build()
    assert isinstance(made, Built), made
    bench.stub.requests.clear()
    return made.environment


def same_but(whole: Environment, other: Environment, *changed: str) -> None:
    """Nothing but these fields differs."""
    fields = ("instruction", "solution", "checks", "wrong", "partial", "state", "alternative", "contract", "inputs")
    assert [name for name in fields if getattr(whole, name) != getattr(other, name)] == list(changed)


async def test_a_text_is_rewritten_alone_with_what_was_executed(bench: Bench, stub: Stub) -> None:
    whole = await built(bench)
    said = failed("reference-fails", "solution")

    script = SOLUTION + "echo again\n"
    stub.answers["Solution"], stub.answers["Review"] = [answer({"script": script})], [answer(KEEP)]
    same_but(whole, await mended(bench, whole, "solution", said), "solution")
    messages = stub.asked("Solution")[0]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert json.loads(messages[2]["content"]) == {"script": SOLUTION}
    for seen in (
        "# Repair\nRound 2 of 5.",
        "most likely the solution",
        "reference-fails: the reference scored 0",
        "## reference 1",
        "failed check_note: there is no /app/DONE",
        "## Instruction\n" + INSTRUCTION.strip(),
        "## Checks",
    ):
        assert seen in messages[3]["content"], seen
    assert "## nothing" not in messages[3]["content"]
    assert "again" in stub.asked("Review")[0]["messages"][-1]["content"]

    stub.answers["Tests"] = [answer(TESTS | {"checks": TESTS["checks"] + "# anew\n"})]
    same_but(whole, await mended(bench, whole, "tests", said), "checks")
    shown = json.loads(stub.asked("Tests")[0]["messages"][2]["content"])
    assert (shown["contract"][1]["checks"], shown["checks"]) == (CONTRACT[1]["checks"], whole.checks)

    text = INSTRUCTION.replace("Then write", "After that write")
    stub.answers["Instruction"] = [answer({"instruction": text})]
    other = await mended(bench, whole, "instruction", said)
    same_but(whole, other, "instruction", "contract")
    assert [demand.text.split()[0] for demand in other.contract] == ["In", "After"]

    stub.answers["Alternative"] = [answer({"script": ""})]
    same_but(whole, await mended(bench, whole, "solution", failed("alternative-fails")), "alternative")


async def test_the_setup_agent_goes_on_where_it_was(bench: Bench, stub: Stub) -> None:
    whole = await built(bench)
    look = "cat /app/repo/notes.txt; ls /etc/motd; git -C /app/repo status --short; stat -c %Y /app/repo/.git/HEAD"
    stub.script = [
        calls(("run_command", {"command": look})),
        calls(("run_command", {"command": "rm /app/blob.bin"}), ("finish", {"summary": "less"})),
    ]
    other = await mended(bench, whole, "state", failed("answer-leaked", "state"))
    same_but(whole, other, "state")
    setup = stub.asked(None)
    user = setup[0]["messages"][1]["content"]
    for seen in ("# Repair\nRound 2 of 5.", "# Starting point as it is", "/app/blob.bin", "## Reference solution"):
        assert seen in user, seen
    assert "Prepare the starting point" not in user
    seen = setup[1]["messages"][3]["content"]
    assert "alpha\nbeta" in seen
    assert "cannot access '/etc/motd'" in seen
    before = {member.name: member for member in whole.state.members()}
    after = {member.name: member for member in other.state.members()}
    assert before.keys() - after.keys() == {"app/blob.bin"}
    assert other.state.deletions == whole.state.deletions
    changed = {name for name in after if after[name].get_info() != before[name].get_info()}
    assert changed <= {"app", "app/repo/.git", "app/repo/.git/index"}, changed


async def test_what_a_repair_breaks_or_cannot_do_is_told(bench: Bench, stub: Stub) -> None:
    whole = await built(bench)
    said = failed("reference-fails", "solution")
    stub.answers["Solution"] = [says("I cannot.")]
    end = await repair(whole, said, "solution", bench.shop(solution={"steps": 1}))
    assert isinstance(end, Rejection)
    assert (end.stage, end.reason) == ("repair", "invalid-answer")
    stub.script = [calls(("run_command", {"command": "echo 1 > /app/x"}))]
    end = await repair(whole, said, "state", bench.shop(state={"steps": 1}))
    assert isinstance(end, Rejection)
    assert (end.stage, end.reason) == ("repair", "over-budget")
    # A state on which the solution fails is a state all the same: what is wrong with it is for the gates to say.
    stub.script = [calls(("run_command", {"command": "rm -r /app/repo"}), ("finish", {}))]
    other = await mended(bench, whole, "state", said)
    assert other.inputs == ()


async def test_gates_repair_and_gates_again(bench: Bench, stub: Stub, tmp_path: Path) -> None:
    whole = await built(bench)
    write_folder(replace(whole, checks=whole.checks + STRICT), tmp_path / "bad")
    end = await prove(tmp_path / "bad", bench.engine, GateSettings(repeats=1))
    assert isinstance(end, Rejection), end
    earlier: list[Round] = []
    while (part := part_at_fault(end, earlier)) != "tests":
        earlier.append(Round(len(earlier) + 1, part, end.reason, end.detail))
    assert earlier
    other = await mended(bench, replace(whole, checks=whole.checks + STRICT), "tests", end)
    found = stub.asked("Tests")[0]["messages"][-1]["content"].partition("# The other parts")[0]
    assert "check_note" in found
    write_folder(other, tmp_path / "good")
    proof = await prove(tmp_path / "good", bench.engine, GateSettings(repeats=1))
    assert isinstance(proof, Proven), proof
    assert '"rounds" = 2' in (tmp_path / "good" / "task.toml").read_text()


def test_the_part_at_fault_is_the_first_that_was_not_tried_for_this_reason() -> None:
    said = failed("reference-fails", "solution", "tests", "state")
    assert part_at_fault(said, []) == "solution"
    once = [Round(1, "solution", "reference-fails", "")]
    assert part_at_fault(said, once) == "tests"
    assert part_at_fault(failed("wrong-passes", "tests"), once) == "tests"
    twice = [*once, Round(2, "tests", "reference-fails", "", "invalid-answer")]
    assert part_at_fault(said, twice) == "state"
    assert part_at_fault(said, [*twice, Round(3, "state", "reference-fails", "")]) == "solution"
    assert part_at_fault(said, [Round(1, "solution", "reference-fails", "", "state-unworkable")]) == "state"
    broken = failed("alternative-fails", "tests", "instruction", "solution")
    rounds = [Round(1, "tests", "alternative-fails", ""), Round(2, "instruction", "alternative-fails", "")]
    assert part_at_fault(broken, rounds) == "solution"


async def other_base(engine: Engine, domain: str) -> Base:
    client = docker.from_env()
    try:
        image = ImageStore(client).status(domain)
    finally:
        client.close()
    if image is None:
        pytest.skip(f"the base image of {domain} is not there; `synth generate --domain {domain}` builds it")
    return Base(image.reference, image.id)


async def test_what_the_solver_lacks_goes_back_to_the_choice_of_the_image(bench: Bench, stub: Stub) -> None:
    image = await other_base(bench.engine, "networking")

    def asked(body: dict[str, Any]) -> dict[str, Any]:
        there = " nginx " in body["messages"][1]["content"]
        lacking = {"verdict": "missing", "reason": "It serves pages.", "missing": ["nginx"]}
        return answer(KEEP if there else lacking)

    stub.answers["Review"] = [asked]
    made = await bench.build(others={"networking": image})
    assert isinstance(made, Built), made
    assert made.environment.base == image
    assert made.environment.notes == {"builder": "builder", "image_of": "networking", "image_for": "nginx"}
    assert len(stub.asked("Instruction")) == 2

    end = await bench.rejection()
    assert (end.reason, end.evidence["missing"], end.evidence["images"]) == ("missing-packages", ["nginx"], {})
    assert "no base image has all that the work needs: nginx" in end.detail
