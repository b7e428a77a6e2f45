"""The setup agent against a strict server over HTTP and real containers: good work, and every clumsy kind."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import docker
import openai
import pytest

from envs.builder_settings import BuilderSettings
from envs.engine import Engine
from envs.setup_agent import SetUp, set_up
from taxonomy.task import Draw, Origin, Rejection, Task
from tests.envs.builder_stub import FINISH, Stub, calls, runs, says, serving

pytestmark = pytest.mark.docker

TASK = Task(
    draw=Draw(domain="version_control", topic="merge-conflicts", axes={}, seed=7, index=0),
    title="Untangle",
    domain_focus="Merging",
    objective="Merge the two branches.",
    scenario="Work order OPS-AAAAA-BBBBB.",
    checklist=("one", "two", "three", "four", "five", "six"),
    text="Task Title: Untangle {{ not a template }}\nWork order OPS-AAAAA-BBBBB.",
    origin=Origin(model="m", mode="raw", template="chatml", prompt_sha256="0", parameters={}),
)


@dataclass(frozen=True)
class Bench:
    """Where attempts are made."""

    engine: Engine
    base: str
    stub: Stub

    async def attempt(self, *script: Any, **settings: Any) -> SetUp | Rejection:
        self.stub.script = list(script)
        limits = BuilderSettings.model_validate(settings)
        async with self.engine.container(self.base) as container:
            return await set_up(TASK, self.stub.client(), container, "Debian", limits, "builder")

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.stub.requests

    @property
    def results(self) -> list[str]:
        """What the tools answered, as the last request carries it."""
        return [message["content"] for message in self.requests[-1]["messages"] if message["role"] == "tool"]


@pytest.fixture
async def bench(engine: Engine, base: str) -> AsyncIterator[Bench]:
    async with serving() as stub:
        yield Bench(engine, base, stub)


def rejected(end: SetUp | Rejection, reason: str) -> Rejection:
    assert isinstance(end, Rejection), end
    assert (end.stage, end.reason) == ("build", reason), end.detail
    transcript = end.evidence["transcript"]
    assert isinstance(transcript, list)
    assert TASK.text in transcript[0]["content"]  # type: ignore[index, operator, call-overload]
    json.dumps(end.model_dump())
    return end


async def test_a_state_is_made_and_captured(bench: Bench) -> None:
    end = await bench.attempt(
        calls(
            ("run_command", {"command": "id -un; pwd; mkdir -p repo; cat"}),
            ("write_file", {"path": "/app/repo/deep/run.sh", "content": "echo ü\n", "mode": "0755"}),
        ),
        runs("stat -c %a:%U:%s /app/repo/deep/run.sh; bash repo/deep/run.sh; exit 3"),
        FINISH,
    )
    assert isinstance(end, SetUp), end
    assert bench.results == [
        "exit code: 0\noutput:\nroot\n/app",
        "wrote 8 bytes to /app/repo/deep/run.sh (mode 0755)",
        "exit code: 3\noutput:\n755:root:8\nü",
    ]
    assert end.summary == "done"
    assert end.layer.tar
    assert [message["role"] for message in end.transcript] == [
        *("system", "user", "assistant", "tool", "tool", "assistant", "tool", "assistant", "tool")
    ]
    first = bench.requests[0]
    assert first["model"] == "builder"
    assert first["seed"] == 7
    assert "temperature" not in first
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert TASK.text in first["messages"][1]["content"]


async def test_replies_without_a_tool_call_are_nudged_and_then_end_it(bench: Bench) -> None:
    end = await bench.attempt(says("I will now create the repository."), nudges=2)
    rejected(end, "setup-astray")
    assert len(bench.requests) == 3
    nudge = bench.requests[-1]["messages"][-1]
    assert nudge["role"] == "user"
    assert "called no tool" in nudge["content"]


async def test_a_nudge_helps_a_model_that_listens(bench: Bench) -> None:
    lost = says('```json\n{"command": "ls"}\n```')
    end = await bench.attempt(lost, lost, runs("echo 1 > /app/x"), lost, lost, FINISH, nudges=2)
    assert isinstance(end, SetUp), end


async def test_an_answer_without_choices_is_a_reply_without_a_tool_call(bench: Bench) -> None:
    rejected(await bench.attempt({}, nudges=1), "setup-astray")
    assert len(bench.requests) == 2


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("bash", '{"command": "ls"}', "there is no tool named 'bash'"),
        ("run_command", "make a repository please", "must be one JSON object"),
        ("run_command", '{"cmd": "ls"}', "command: Field required"),
    ],
)
async def test_unusable_calls_are_told_and_then_end_it(bench: Bench, name: str, arguments: str, said: str) -> None:
    end = await bench.attempt(calls((name, arguments)), nudges=1)
    transcript: Any = rejected(end, "setup-astray").evidence["transcript"]
    assert said in bench.results[0]
    assert transcript[1]["tool_calls"][0]["function"] == {"name": name, "arguments": arguments}


async def test_mended_arguments_are_carried_out(bench: Bench) -> None:
    end = await bench.attempt(calls(("run_command", "{'command': 'echo 1 > /app/x; echo made'")), FINISH)
    assert isinstance(end, SetUp), end
    assert bench.results == ["exit code: 0\noutput:\nmade"]


async def test_nothing_of_a_reply_that_was_cut_off_is_carried_out(bench: Bench) -> None:
    cut = calls(("write_file", '{"path": "/app/x", "content": "half of'), finish_reason="length")
    end = await bench.attempt(cut, says("and then", finish_reason="length"), runs("ls /app; touch /app/y"), FINISH)
    assert isinstance(end, SetUp), end
    assert bench.results == [
        "not done: the reply was cut off at the token limit; send less at once",
        "exit code: 0\noutput:\n(none)",
    ]


async def test_more_calls_than_a_reply_may_have(bench: Bench) -> None:
    many = [("run_command", {"command": f"echo {number} >> /app/x"}) for number in range(20)]
    end = await bench.attempt(calls(*many, ("finish", {})), runs("tail -n 1 /app/x"), FINISH)
    assert isinstance(end, SetUp), end
    assert sum("too many calls" in result for result in bench.results) == 5
    assert bench.results[-1].endswith("\n15")


async def test_finish_after_a_bad_call_of_the_same_reply_is_not_taken(bench: Bench) -> None:
    end = await bench.attempt(calls(("run_command", {"command": "touch /app/x"}), ("oops", {}), ("finish", {})), FINISH)
    assert isinstance(end, SetUp), end
    assert bench.results[-1].startswith("not finished: a call before this one")


@pytest.mark.parametrize("reply", [says(None, refusal="I will not."), says("partly", finish_reason="content_filter")])
async def test_a_refusal_ends_it_at_once(bench: Bench, reply: dict[str, Any]) -> None:
    rejected(await bench.attempt(reply), "refused")
    assert len(bench.requests) == 1


async def test_the_same_call_over_and_over_is_told_once_and_then_ends_it(bench: Bench) -> None:
    rejected(await bench.attempt(runs("cat /app/missing"), repeats=3), "setup-loop")
    assert len(bench.requests) == 3
    assert "do something else" in bench.results[-1]


async def test_replies_are_bounded(bench: Bench) -> None:
    def step(body: dict[str, Any]) -> dict[str, Any]:
        return runs(f"echo {len(body['messages'])}")

    end = rejected(await bench.attempt(step, state={"steps": 6}), "over-budget")
    assert (end.evidence["part"], end.evidence["limit"]) == ("state", "steps")
    assert end.detail == "state: the starting point was not finished within 6 steps"
    assert len(bench.requests) == 6
    assert [("3 replies are left" in result) for result in bench.results] == [False, False, True, False, False]


async def test_seconds_are_bounded_for_one_command_and_for_all(bench: Bench) -> None:
    script = [runs("sleep 60 & sleep 60; echo never", timeout_seconds=1), runs("sleep 61"), runs("echo late")]
    end = rejected(await bench.attempt(*script, state={"seconds": 2.5}), "over-budget")
    assert (end.evidence["part"], end.evidence["limit"]) == ("state", "seconds")
    first, second, *rest = bench.results
    assert first.startswith("exit code: 124 (killed: it ran longer than 1 s)")
    assert second.startswith("exit code: 124")
    assert "echo late" not in json.dumps(rest)


async def test_tokens_are_bounded_as_the_server_counts_them(bench: Bench) -> None:
    def step(body: dict[str, Any]) -> dict[str, Any]:
        return runs(f"echo {len(body['messages'])}")

    bench.stub.tokens = 400
    end = rejected(await bench.attempt(step, state={"tokens": 1000}), "over-budget")
    assert (end.evidence["limit"], len(bench.requests)) == ("tokens", 3)


async def test_output_is_bounded_for_one_command_and_for_all(bench: Bench) -> None:
    script = [runs("yes abcdefg | head -n 100000; echo 1 > /app/x"), runs("seq 1 10000"), runs("seq 1 10001"), FINISH]
    end = await bench.attempt(*script, output_limit=4000, total_output_limit=6000)
    assert isinstance(end, SetUp), end
    sizes = [len(result) for result in bench.results]
    assert 4000 <= sizes[0] <= 4300
    assert 2000 <= sizes[1] <= 2300
    assert 500 <= sizes[2] <= 800
    assert "bytes left out" in bench.results[0]


async def test_output_that_is_no_text_is_shown_as_text(bench: Bench) -> None:
    end = await bench.attempt(runs("head -c 300 /dev/urandom | tee /app/x"), FINISH)
    assert isinstance(end, SetUp), end


async def test_bytes_written_are_bounded(bench: Bench) -> None:
    big = calls(("write_file", {"path": "/app/x", "content": "x" * 600}))
    end = await bench.attempt(big, big, FINISH, write_limit=1000)
    assert isinstance(end, SetUp), end
    assert bench.results[1].startswith("not written: write_file may write 1000 bytes")


async def test_a_file_where_there_can_be_none_is_told(bench: Bench) -> None:
    wrong = calls(("write_file", {"path": "/etc/passwd/x", "content": "x"}))
    end = await bench.attempt(wrong, runs("echo 1 > /app/x"), FINISH)
    assert isinstance(end, SetUp), end
    assert bench.results[0].startswith("not written: ")


async def test_finishing_with_nothing_is_told_once(bench: Bench) -> None:
    rejected(await bench.attempt(FINISH), "empty-state")
    assert len(bench.requests) == 2
    assert "no file has been added" in bench.results[0]


async def test_what_is_not_kept_is_no_state(bench: Bench) -> None:
    rejected(await bench.attempt(runs("echo x > /run/x; touch /app"), FINISH), "empty-state")


async def test_a_state_that_is_too_large_may_be_mended_once(bench: Bench) -> None:
    fill = runs("head -c 3000000 /dev/zero > /app/x")
    rejected(await bench.attempt(fill, FINISH, state_limit=1_000_000), "state-too-large")
    end = await bench.attempt(fill, FINISH, runs("echo 1 > /app/x"), FINISH, state_limit=1_000_000)
    assert isinstance(end, SetUp), end


async def test_a_model_that_ends_every_process_can_go_on(bench: Bench) -> None:
    end = await bench.attempt(runs("kill 1; kill -9 1; kill -9 -1"), runs("echo 1 > /app/x"), FINISH)
    assert isinstance(end, SetUp), end


async def test_what_still_runs_is_ended_before_the_state_is_taken(bench: Bench) -> None:
    writer = "nohup bash -c 'while :; do date +%N >> /app/log; sleep 0.01; done' > /dev/null 2>&1 & sleep 0.2"
    bench.stub.script = [runs(writer), FINISH]
    async with bench.engine.container(bench.base) as container:
        end = await set_up(TASK, bench.stub.client(), container, "Debian", BuilderSettings(), "builder")
        assert isinstance(end, SetUp), end
        before = await container.read("/app/log")
        await asyncio.sleep(0.2)
        assert before
        assert await container.read("/app/log") == before
    assert any(member.name == "app/log" and member.size == len(before) for member in end.layer.members())


async def test_a_container_that_is_gone_is_a_rejection(bench: Bench) -> None:
    def take_away(_: dict[str, Any]) -> dict[str, Any]:
        client = docker.from_env()
        for container in client.containers.list(filters={"label": f"synth.owner={bench.engine.owner}"}):
            container.kill()
        client.close()
        return runs("echo 1 > /app/x")

    rejected(await bench.attempt(take_away), "setup-failed")


async def test_a_server_that_fails_is_no_rejection(bench: Bench) -> None:
    bench.stub.status = 503
    with pytest.raises(openai.InternalServerError):
        await bench.attempt(FINISH)
    assert bench.stub.asked_in_all == 1
