"""Every role's request gets the right kind of answer, from its text alone."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from envs.answers import Holding
from envs.contract import breaches, statements
from envs.writers import demands
from synth.sim import contract
from synth.sim.catalog import built_in
from synth.sim.misbehave import Misbehaviour
from synth.sim.model import Sim, count_tokens
from synth.sim.refusal import SimError
from synth.sim.ticket import find_tickets
from tests.sim import requests

TOPIC = "reflog-recovery"


def sim(seed: int = 0, **rates: float) -> Sim:
    return Sim(
        seed,
        Misbehaviour(**{"infeasible_tasks": 0.0, "looping_teachers": 0.0, "surrendering_teachers": 0.0, **rates}),
    )


async def task_of(seed: int, **rates: float) -> str:
    answer = await sim(**rates).complete(requests.completion("version_control", TOPIC, seed))
    return str(answer["choices"][0]["text"])


async def test_sampling_gives_a_task_in_the_layout() -> None:
    answer = await sim().complete(requests.completion("version_control", TOPIC, 17))
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    order = ["**Task Title:**", "**Domain Focus:**", "**Objective:**", "**Scenario:**", "**Todo Checklist:**"]
    places = [choice["text"].index(label) for label in order]
    assert places == sorted(places)
    assert places[0] == 0
    assert choice["text"].count("- [ ] ") in range(6, 11)
    assert len(list(find_tickets(choice["text"]))) == 1
    usage = answer["usage"]
    assert usage["completion_tokens"] == count_tokens(choice["text"]) > 100
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_sampling_depends_on_the_seed_and_on_nothing_that_went_before() -> None:
    one = sim()
    texts = [
        (await one.complete(requests.completion("version_control", TOPIC, seed)))["choices"][0]["text"]
        for seed in range(8)
    ]
    assert len(set(texts)) == 8
    assert await task_of(5) == texts[5]
    other = await sim(seed=1).complete(requests.completion("version_control", TOPIC, 5))
    assert other["choices"][0]["text"] not in texts


@pytest.mark.parametrize(
    ("domain", "topic", "names"), [("cooking", "soup", "version_control"), ("version_control", "knitting", TOPIC)]
)
async def test_what_it_cannot_serve_is_said_so(domain: str, topic: str, names: str) -> None:
    with pytest.raises(SimError, match=names) as raised:
        await sim().complete(requests.completion(domain, topic, 1))
    assert raised.value.status == 404
    assert raised.value.body["error"]["code"].startswith("unknown_")


async def test_max_tokens_and_stop_are_honoured() -> None:
    whole = await task_of(3)
    cut = await sim().complete(requests.completion("version_control", TOPIC, 3, max_tokens=20))
    assert cut["choices"][0]["finish_reason"] == "length"
    assert whole.startswith(cut["choices"][0]["text"])
    assert cut["usage"]["completion_tokens"] == 20
    stopped = await sim().complete(
        requests.completion("version_control", TOPIC, 3, stop=["**Scenario", "**Objective:**"])
    )
    assert stopped["choices"][0] == {
        "index": 0,
        "text": whole.split("**Objective:**")[0],
        "logprobs": None,
        "finish_reason": "stop",
    }
    exact = count_tokens(whole)
    answer = await sim().complete(requests.completion("version_control", TOPIC, 3, max_tokens=exact))
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_a_prompt_without_domain_is_answered_honestly() -> None:
    answer = await sim().complete({"model": "sim", "prompt": "Once upon a time"})
    assert "not a language model" in answer["choices"][0]["text"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hello, who are you?"}],
        [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        [{"role": "user", "content": "Task Description:\nwork order OPS-AAAAA-AAAAA"}],
        [{"role": "system", "content": "You are helpful."}],
    ],
)
async def test_what_it_does_not_recognise_is_answered_honestly(messages: list[dict[str, Any]]) -> None:
    answer = await sim().chat({"model": "sim", "messages": messages})
    assert answer["object"] == "chat.completion"
    assert "not a language model" in requests.text_of(answer)
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("call", "payload"),
    [
        ("chat", {}),
        ("chat", {"messages": []}),
        ("chat", {"messages": ["hello"]}),
        ("complete", {"prompt": 3}),
        ("complete", {"prompt": "x", "seed": "one"}),
    ],
)
async def test_wrong_requests_are_refused(call: str, payload: dict[str, Any]) -> None:
    with pytest.raises(SimError) as raised:
        await getattr(sim(), call)(payload)
    assert raised.value.status == 400
    assert raised.value.body["error"]["type"] == "invalid_request_error"


async def written(name: str, text: str, *further: tuple[str, str], **rates: float) -> Any:
    """The answer of a writer to a prompt, and to what was said afterwards."""
    request = requests.structured(name, text)
    request["messages"] += [{"role": role, "content": content} for role, content in further]
    return json.loads(requests.text_of(await sim(**rates).chat(request)))


def numbered(texts: Sequence[str]) -> str:
    """Statements as the prompts number them."""
    lines = "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))
    return f"# Statements\nThe same:\n\n{lines}\n\n# Initial state\n1. no statement"


async def test_writers_answer_from_the_ticket() -> None:
    task = await task_of(9)
    scenario = built_in().recognise(task)
    assert scenario is not None
    draft = f"# Task\n{task}\n"
    assert await written("Instruction", draft) == {"instruction": scenario.instruction}
    assert await written("Solution", draft) == {"script": scenario.solution()}
    assert await written("Alternative", draft) == {"script": scenario.alternative() or ""}
    wanted = statements(scenario.instruction)
    tests = await written("Tests", draft + numbered(wanted))
    assert set(tests) == {"checks", "wrong_outputs", "partial_solutions", "contract"}
    assert tests["checks"] == scenario.checks()
    wrong = {script.name: script.text for script in scenario.wrong()}
    assert len(tests["wrong_outputs"]) == 2
    assert all(wrong[each["name"]] == each["script"] for each in tests["wrong_outputs"])
    assert len(tests["partial_solutions"]) == 1
    holdings = [Holding.model_validate(one) for one in tests["contract"]]
    assert breaches(scenario.instruction, tests["checks"], demands(wanted, holdings)) == []
    assert await written("Contract", draft + numbered(wanted)) == {"contract": tests["contract"]}


async def test_the_solver_keeps_what_ended_well_and_does_the_rest_again() -> None:
    task = await task_of(9)
    scenario = built_in().recognise(task)
    assert scenario is not None
    first = ("assistant", '{"script": "exit 3"}')
    kept = await written("Review", f"# Task\n{task}", first, ("user", "# Run 1\nexit code: 0\noutput:\nexit code: 1"))
    assert kept["verdict"] == "keep"
    again = await written("Review", f"# Task\n{task}", first, ("user", "# Run 1\nexit code: 3"))
    assert (again["verdict"], again["script"]) == ("rewrite", scenario.solution())
    right = ("assistant", json.dumps(again, ensure_ascii=False))
    third = await written("Review", f"# Task\n{task}", right, ("user", "# Run 2\nexit code: 3"))
    assert third["verdict"] == "state"


async def test_the_contract_knows_what_is_not_the_scenarios_own() -> None:
    task = await task_of(9)
    scenario = built_in().recognise(task)
    assert scenario is not None
    extra = "The file /app/x must be there."
    tests = await written("Tests", f"# Task\n{task}\n" + numbered([*statements(scenario.instruction), extra]))
    assert tests["contract"][-1]["checks"] == []
    less = await written("Tests", f"# Task\n{task}\n" + numbered(statements(scenario.instruction)[:1]))
    assert len(less["contract"]) == 1


def test_every_scenario_has_a_contract_without_breaches() -> None:
    catalog = built_in()
    for domain in catalog.domains():
        for topic in catalog.topics(domain):
            scenario = catalog.draw(domain, topic, 11)
            assert scenario is not None
            wanted, checks = statements(scenario.instruction), scenario.checks()
            assert contract.statements(scenario.instruction) == list(wanted)
            answer = contract.answered(numbered(wanted), scenario.instruction, checks, contract.check_names(checks))
            made = demands(wanted, [Holding.model_validate(one) for one in answer])
            assert breaches(scenario.instruction, checks, made) == [], (domain, topic)


async def test_writers_of_an_unknown_task_answer_in_form() -> None:
    for name, keys in (
        ("Instruction", {"instruction"}),
        ("Solution", {"script"}),
        ("Review", {"verdict", "reason", "script"}),
        ("Alternative", {"script"}),
        ("Contract", {"contract"}),
        ("Tests", {"checks", "wrong_outputs", "partial_solutions", "contract"}),
    ):
        assert set(await written(name, "# Task\nsomething else")) == keys


async def test_the_setup_agent_goes_on_by_the_results_and_finishes() -> None:
    task = await task_of(9)
    scenario = built_in().recognise(task)
    assert scenario is not None
    history: list[dict[str, Any]] = []
    asked: list[Any] = []
    while True:
        answer = await sim().chat(requests.building(task, history))
        assert answer["choices"][0]["finish_reason"] == "tool_calls"
        message = answer["choices"][0]["message"]
        history.append(message)
        calls = message["tool_calls"]
        assert len({call["id"] for call in calls}) == len(calls)
        if calls[0]["function"]["name"] == "finish":
            break
        for call in calls:
            asked.append(json.loads(call["function"]["arguments"]))
            history.append({"role": "tool", "tool_call_id": call["id"], "content": "exit code: 0\noutput:\n"})
    assert [each.get("command") for each in asked] == [getattr(step, "command", None) for step in scenario.setup()]
    assert "succeeded" in calls[0]["function"]["arguments"]


@pytest.mark.parametrize(
    "result", ["exit code: 2\noutput:\nfatal: no", "exit code: 124 (timed out after 60 s)", '{"exit_code": 1}']
)
async def test_the_setup_agent_reports_a_failure_and_stops(result: str) -> None:
    task = await task_of(9)
    first = (await sim().chat(requests.building(task)))["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": result} for call in first["tool_calls"]]
    (call,) = (await sim().chat(requests.building(task, [first, *results])))["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "finish"
    assert json.loads(call["function"]["arguments"])["summary"].startswith("Failed")


async def test_the_setup_agent_of_an_unknown_task_says_so() -> None:
    (call,) = (await sim().chat(requests.building("Bake a cake.")))["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "finish"
    assert "not a language model" in call["function"]["arguments"]
