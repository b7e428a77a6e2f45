"""The writers against a strict server over HTTP: what goes back to a model, how often, and how it ends."""

import json
from collections.abc import AsyncIterator
from typing import Any

import instructor
import openai
import pytest

from envs.builder_settings import BuilderSettings
from envs.conversation import Desk
from envs.engine import Container, Engine
from envs.execution import Tried, syntax_errors
from envs.inventory import ImageInventory
from envs.solver import Missing, Solved, solve, solve_otherwise
from envs.state import StateLayer
from envs.verifier import Verified, write_tests
from envs.writers import write_contract, write_instruction
from synth.gateway.client import structured
from taxonomy.task import Rejection
from tests.envs.builder_stub import Stub, says, serving
from tests.envs.test_builder_setup import TASK

pytestmark = pytest.mark.docker

INSTRUCTION = (
    "The list of words lies in /app/words.txt. Write /app/count.txt, which must hold the number of its lines and a"
    " newline.\n"
)
CHECKS = '''"""Checks."""
from pathlib import Path


def check_count():
    """The file has the number of lines."""
    assert Path("/app/count.txt").exists(), "there is no /app/count.txt"
    assert Path("/app/count.txt").read_text() == "3\\n", "the number is wrong"
'''
SOLUTION = "#!/bin/bash\nset -e\nmkdir -p /app\necho 3 > /app/count.txt\necho counted\n"
FALSE_ANSWER = {"name": "does-nothing", "script": "#!/bin/bash\ntrue\n"}
CONTRACT = [{"statement": 1, "checks": [], "why": "the situation"}, {"statement": 2, "checks": ["check_count"]}]
TESTS = {
    "checks": CHECKS,
    "wrong_outputs": [FALSE_ANSWER],
    "partial_solutions": [FALSE_ANSWER],
    "contract": CONTRACT,
}
KEEP = {"verdict": "keep", "reason": "counted"}
EMPTY = StateLayer(b"\0" * 1024)
TRIED = Tried(0, False, "", 0.1, "0644 /app/count.txt", EMPTY)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with serving() as server:
        server.answers = {
            "Instruction": [as_json({"instruction": INSTRUCTION})],
            "Solution": [as_json({"script": SOLUTION})],
            "Review": [as_json(KEEP)],
            "Tests": [as_json(TESTS)],
            "Contract": [as_json({"contract": CONTRACT})],
        }
        yield server


@pytest.fixture
async def container(engine: Engine, base: str) -> AsyncIterator[Container]:
    async with engine.container(base) as one:
        yield one


def plain(client: openai.AsyncOpenAI) -> Any:
    return instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)


@pytest.fixture(params=[plain, structured])
def client(request: pytest.FixtureRequest, stub: Stub) -> Any:
    """Instructor as it comes, and as the factory makes it: they tell of failures in different ways."""
    return request.param(stub.client())


@pytest.fixture
def desk(stub: Stub, engine: Engine, base: str) -> Desk:
    return a_desk(plain(stub.client()), engine, base)


def a_desk(client: Any, engine: Engine | None, base: str, **settings: Any) -> Desk:
    image = ImageInventory("Debian", "3.11.2")
    limits = BuilderSettings.model_validate(settings)
    return Desk(TASK, client, engine, base, image, "0644 /app/x", limits, "builder")  # type: ignore[arg-type]


def as_json(value: Any) -> dict[str, Any]:
    return says(json.dumps(value))


def rejected(end: object, reason: str, part: str) -> Rejection:
    assert isinstance(end, Rejection), end
    assert (end.stage, end.reason, end.evidence["part"]) == ("build", reason, part)
    json.dumps(end.model_dump())
    return end


def told(stub: Stub, name: str, place: int = -1) -> str:
    """What a request of this kind said last."""
    last: str = stub.asked(name)[place]["messages"][-1]["content"]
    return last


async def test_each_writer_sees_what_came_before(stub: Stub, desk: Desk) -> None:
    assert await write_instruction(desk) == INSTRUCTION
    solved = await solve(desk, INSTRUCTION)
    assert isinstance(solved, Solved), solved
    assert solved.script == SOLUTION
    assert (solved.runs, solved.tried.exit_code, solved.tried.output) == (1, 0, "counted\n")
    assert "/app/count.txt" in solved.tried.end
    verified = await write_tests(desk, EMPTY, INSTRUCTION, SOLUTION, solved.tried)
    assert isinstance(verified, Verified), verified
    assert verified.problems == ()
    assert [demand.checks for demand in verified.contract] == [(), ("check_count",)]
    for body in stub.requests:
        assert body["messages"][0]["role"] == "system"
        assert TASK.text in body["messages"][1]["content"]
        assert "0644 /app/x" in body["messages"][1]["content"]
        assert (body["model"], body["seed"], body["max_tokens"]) == ("builder", 7, 16384)
    assert INSTRUCTION.strip() in stub.asked("Solution")[0]["messages"][1]["content"]
    tests = stub.asked("Tests")[0]["messages"][1]["content"]
    for seen in (INSTRUCTION.strip(), SOLUTION.strip(), "1. The list of words", "2. Write /app", "/app/count.txt"):
        assert seen in tests


async def test_a_validators_words_go_back_and_help(stub: Stub, client: Any) -> None:
    stub.answers["Instruction"] = [as_json({"instruction": "Do it."}), as_json({"instruction": INSTRUCTION})]
    assert await write_instruction(a_desk(client, None, "")) == INSTRUCTION
    assert "has 6 characters; it must have 80 to 12000" in told(stub, "Instruction")
    assert len(stub.requests) == 2


async def test_as_many_steps_as_the_budget_has_and_no_more(stub: Stub, client: Any) -> None:
    stub.answers["Instruction"] = [says("Sorry, what?")]
    end = rejected(await write_instruction(a_desk(client, None, "")), "invalid-answer", "instruction")
    assert len(stub.requests) == 4
    tried = end.evidence["answers"]
    assert isinstance(tried, list)
    assert len(tried) == 4
    assert "Sorry, what?" in json.dumps(tried)


async def test_tokens_are_counted_over_all_replies_of_a_part(stub: Stub, client: Any) -> None:
    stub.tokens = 60
    stub.answers["Instruction"] = [as_json({"instruction": "Do it."})]
    desk = a_desk(client, None, "", instruction={"tokens": 100})
    end = rejected(await write_instruction(desk), "over-budget", "instruction")
    assert len(stub.requests) == 2
    assert (end.evidence["limit"], end.evidence["used"]) == ("tokens", {"steps": 2, "tokens": 120, "seconds": 0.0})
    assert end.detail == "instruction: there was no usable instruction within 100 tokens"


async def test_an_answer_that_is_cut_off(stub: Stub, client: Any) -> None:
    stub.answers["Solution"] = [says('{"script": "rm -rf /app', finish_reason="length")]
    rejected(await solve(a_desk(client, None, ""), INSTRUCTION), "answer-cut-off", "solution")
    assert len(stub.requests) == 1


async def test_a_refusal(stub: Stub, client: Any) -> None:
    stub.answers["Solution"] = [says(None, refusal="I will not.")]
    desk = a_desk(client, None, "", solution={"steps": 2})
    end = rejected(await solve(desk, INSTRUCTION), "refused", "solution")
    assert "I will not." in json.dumps(end.evidence)


async def test_an_answer_without_choices(stub: Stub, client: Any) -> None:
    stub.answers["Solution"] = [{}]
    rejected(await solve(a_desk(client, None, ""), INSTRUCTION), "invalid-answer", "solution")


async def test_a_server_that_fails_is_no_rejection_and_is_not_asked_again(stub: Stub, client: Any) -> None:
    stub.status = 503
    with pytest.raises(openai.InternalServerError):
        await write_instruction(a_desk(client, None, ""))
    assert stub.asked_in_all == 1


# The solver


async def test_bash_in_the_container_has_a_say(stub: Stub, desk: Desk) -> None:
    stub.answers["Solution"] = [as_json({"script": "if true; then echo /app\n"})]
    again = {"verdict": "rewrite", "reason": "It lacks a fi.", "script": SOLUTION}
    stub.answers["Review"] = [as_json(KEEP), as_json(again), as_json(KEEP)]
    solved = await solve(desk, INSTRUCTION)
    assert isinstance(solved, Solved), solved
    assert "script.sh: line 2: syntax error: unexpected end of file" in told(stub, "Review", 0)
    assert "was not run, because bash does not read it: it cannot be kept" in told(stub, "Review", 1)
    assert solved.runs == 2


async def test_the_solver_reads_what_happened_and_goes_on_in_a_fresh_container(stub: Stub, desk: Desk) -> None:
    first = "#!/bin/bash\necho 1 > /app/first.txt\necho half way\nexit 3\n"
    second = "#!/bin/bash\nls /app/first.txt || echo gone\n" + SOLUTION
    stub.answers["Solution"] = [as_json({"script": first})]
    stub.answers["Review"] = [
        as_json(KEEP),
        as_json({"verdict": "rewrite", "reason": "It ended early.", "script": second}),
        as_json(KEEP),
    ]
    solved = await solve(desk, INSTRUCTION)
    assert isinstance(solved, Solved), solved
    assert solved.script == second
    assert "gone" in solved.tried.output
    seen = told(stub, "Review", 0)
    for line in ("# Run 1", "exit code: 3", "half way", "/app/first.txt"):
        assert line in seen
    assert "ended with exit code 3: it cannot be kept" in told(stub, "Review", 1)
    assert "/app/first.txt\n" not in solved.tried.end


async def test_a_solution_that_goes_on_failing_is_over_its_budget(stub: Stub, engine: Engine, base: str) -> None:
    stub.answers["Solution"] = [as_json({"script": "exit 3"})]
    stub.answers["Review"] = [as_json({"verdict": "rewrite", "reason": "Once more.", "script": "exit 4"})]
    desk = a_desk(plain(stub.client()), engine, base, solution={"steps": 3})
    end = rejected(await solve(desk, INSTRUCTION), "over-budget", "solution")
    assert (end.evidence["limit"], end.evidence["script"]) == ("steps", "exit 4\n")
    assert end.detail == "solution: the last of 3 runs ended with exit code 4 within 3 steps"


async def test_seconds_of_all_runs_are_bounded(stub: Stub, engine: Engine, base: str) -> None:
    stub.answers["Solution"] = [as_json({"script": "sleep 60"})]
    desk = a_desk(plain(stub.client()), engine, base, solution={"seconds": 1})
    end = rejected(await solve(desk, INSTRUCTION), "over-budget", "solution")
    assert end.evidence["limit"] == "seconds"


async def test_what_is_missing_is_looked_for_before_it_is_believed(stub: Stub, desk: Desk) -> None:
    def lacks(*names: str) -> dict[str, Any]:
        return as_json({"verdict": "missing", "reason": "It needs them.", "missing": names})

    stub.answers["Solution"] = [as_json({"script": "exit 1"})]
    stub.answers["Review"] = [lacks("git", "json", "python3-minimal"), lacks("git", "frobnicate", "no.such.module")]
    assert await solve(desk, INSTRUCTION) == Missing(("frobnicate", "no.such.module"), "It needs them.")
    assert "the image has git, json, python3-minimal" in told(stub, "Review", 1)


async def test_a_second_solution_sees_no_other_and_counts_only_when_it_ends_well(stub: Stub, desk: Desk) -> None:
    stub.answers["Alternative"] = [as_json({"script": text}) for text in (SOLUTION, "exit 1", "")]
    assert await solve_otherwise(desk, INSTRUCTION) == SOLUTION
    assert await solve_otherwise(desk, INSTRUCTION, 1) == ""
    assert await solve_otherwise(desk, INSTRUCTION, 2) == ""
    asked = stub.asked("Alternative")
    assert len({body["seed"] for body in asked} | {7}) == 4
    assert all(len(body["messages"]) == 2 and "counted" not in json.dumps(body) for body in asked)


# The verifier writer


async def checked(desk: Desk, layer: StateLayer = EMPTY) -> Verified | Rejection:
    return await write_tests(desk, layer, INSTRUCTION, SOLUTION, TRIED)


async def test_tests_that_do_not_parse_and_a_false_answer_that_does_not(stub: Stub, desk: Desk) -> None:
    bad = TESTS | {"wrong_outputs": [FALSE_ANSWER | {"script": "echo 'open"}]}
    stub.answers["Tests"] = [as_json(TESTS | {"checks": "def check_a(:"}), as_json(bad), as_json(TESTS)]
    verified = await checked(desk)
    assert isinstance(verified, Verified)
    assert "do not parse as Python at line 1" in told(stub, "Tests", 1)
    assert "wrong_outputs-does-nothing.sh: line 1: unexpected EOF" in told(stub, "Tests", 2)


async def test_what_the_executed_checks_say_goes_back(stub: Stub, desk: Desk) -> None:
    strict = CHECKS.replace("3\\n", "3\\n\\n")
    untold = TESTS | {"contract": CONTRACT[:1]}
    hollow = '"""Checks."""\ndef check_count():\n    """It is so."""\n    assert True\n'
    stub.answers["Tests"] = [
        *(as_json(TESTS | {"checks": source}) for source in (hollow, strict)), as_json(untold), as_json(TESTS),
    ]  # fmt: skip
    verified = await checked(desk)
    assert isinstance(verified, Verified)
    assert verified.problems == ()
    assert "the initial state passes every check (check_count)" in told(stub, "Tests", 1)
    assert "check_count fails on the reference's end state: the number is wrong" in told(stub, "Tests", 2)
    third = told(stub, "Tests", 3)
    assert "nothing is said of the statement: Write /app/count.txt" in third
    assert "no statement of the instruction asks for what check_count checks" in third


async def test_checks_that_are_right_in_form_go_on_when_the_budget_is_used_up(stub: Stub, desk: Desk) -> None:
    strict = TESTS | {"checks": CHECKS.replace("3\\n", "4\\n")}
    stub.answers["Tests"] = [as_json(strict), as_json(strict), says("I give up.")]
    verified = await checked(desk)
    assert isinstance(verified, Verified)
    assert len(stub.asked("Tests")) == 4
    assert verified.problems[0].startswith("check_count fails on the reference's end state")


async def test_a_contract_with_breaches_is_asked_for_again_and_then_handed_on(stub: Stub, desk: Desk) -> None:
    stub.answers["Contract"] = [as_json({"contract": []}), as_json({"contract": CONTRACT[1:]})]
    contract = await write_contract(desk, INSTRUCTION, CHECKS)
    assert not isinstance(contract, Rejection)
    assert [demand.checks for demand in contract] == [("check_count",)]
    assert "nothing is said of the statement: The list of words" in told(stub, "Contract")
    assert len(stub.requests) == 4


async def test_parsers_of_the_container_are_asked_and_nothing_is_run(container: Container) -> None:
    good = {"a.sh": "touch /app/ran\n", "b.py": "open('/app/ran', 'w')\n"}
    assert await syntax_errors(container, good) == ""
    assert "ran" not in (await container.run("ls /app /tmp")).output
    # Good for Python 3.12 and later, but not for the 3.11 that will run it.
    newer = 'x = {"a": 1}\nprint(f"{x["a"]}")\n'
    assert "SyntaxError" in await syntax_errors(container, {"checks.py": newer})
