"""Faults come at their rates, the same ones for the same item, and server faults pass on a retry."""

import asyncio
import json
import time
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from synth.sim.misbehave import Misbehaviour
from synth.sim.model import Sim
from synth.sim.refusal import SimError
from tests.sim import requests

TASK = requests.completion("version_control", "reflog-recovery", 4)


def sim(**rates: float) -> Sim:
    return Sim(
        0, Misbehaviour(**{"infeasible_tasks": 0.0, "looping_teachers": 0.0, "surrendering_teachers": 0.0, **rates})
    )


@pytest.mark.parametrize("wrong", [{"slow": 1.5}, {"http_429": -0.1}, {"slow_seconds": 1e9}, {"lazy_teachers": 0.1}])
def test_rates_that_make_no_sense_are_refused_in_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Misbehaviour).validate_python(wrong)


async def task() -> str:
    return str((await sim().complete(TASK))["choices"][0]["text"])


@pytest.mark.parametrize(("rate", "status"), [("http_429", 429), ("http_500", 500)])
async def test_server_faults_come_at_their_rate_and_pass_on_a_retry(rate: str, status: int) -> None:
    model = sim(**{rate: 0.5})
    good = bad = 0
    for _ in range(200):
        try:
            await model.complete(TASK)
        except SimError as error:
            assert error.status == status
            assert error.body["error"]["message"]
            bad += 1
        else:
            good += 1
    assert 60 < bad < 140
    assert good + bad == 200


async def test_a_server_without_faults_remembers_nothing() -> None:
    model = sim()
    for _ in range(3):
        await model.complete(TASK)
    assert not model._asked


async def test_slow_answers_take_their_time() -> None:
    model = sim(slow=1.0, slow_seconds=0.2)
    start = time.monotonic()
    await asyncio.gather(*(model.complete(TASK) for _ in range(5)))
    assert 0.2 <= time.monotonic() - start < 1.0


async def test_cut_off_answers_say_so() -> None:
    whole = await task()
    choice = (await sim(cut_off=1.0).complete(TASK))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert whole.startswith(choice["text"])
    assert len(choice["text"]) < len(whole)


async def test_invalid_json_does_not_parse_and_the_prose_is_spared() -> None:
    model = sim(invalid_json=1.0)
    assert (await model.complete(TASK))["choices"][0]["text"] == await task()
    answer = requests.text_of(await model.chat(requests.structured("Instruction", await task())))
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer)


async def conversation(model: Sim, seed: int, turns: int) -> list[dict[str, Any]]:
    """The teacher's answers where every screen is a bare prompt behind the last command."""
    instruction = json.loads(requests.text_of(await model.chat(requests.structured("Instruction", await task()))))[
        "instruction"
    ]
    messages = [
        {"role": "user", "content": f"Task Description:\n{instruction}\n\nCurrent terminal state:\nroot@box:/app#\n"}
    ]
    answers = []
    for _ in range(turns):
        text = requests.text_of(await model.chat(requests.trial(messages, seed)))
        answers.append(json.loads(text))
        if answers[-1]["task_complete"]:
            break
        typed = "".join(f"root@box:/app# {command['keystrokes']}" for command in answers[-1]["commands"])
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": f"{typed}root@box:/app#"}]
    return answers


async def test_looping_teachers_repeat_themselves() -> None:
    answers = await conversation(sim(looping_teachers=1.0), 1, 6)
    assert len({json.dumps(answer["commands"]) for answer in answers}) == 1
    assert not any(answer["task_complete"] for answer in answers)


async def test_surrendering_teachers_give_up_without_having_done_anything() -> None:
    answers = await conversation(sim(surrendering_teachers=1.0), 1, 4)
    assert answers[-1]["task_complete"]
    assert "up" in answers[-1]["plan"].lower()


async def test_conduct_is_drawn_per_trial_and_does_not_change() -> None:
    model = sim(looping_teachers=0.5)
    first = [json.dumps(await conversation(model, seed, 2)) for seed in range(12)]
    again = [json.dumps(await conversation(model, seed, 2)) for seed in range(12)]
    assert first == again
    loops = sum("I need to see the state of things." in text for text in first)
    assert 1 <= loops <= 11


async def test_cheating_solutions_do_not_touch_the_repository() -> None:
    answer = json.loads(
        requests.text_of(await sim(cheating_solutions=1.0).chat(requests.structured("Solution", await task())))
    )
    honest = json.loads(requests.text_of(await sim().chat(requests.structured("Solution", await task()))))
    assert answer["script"] != honest["script"]
    assert "git" not in answer["script"]


REPAIR = "# Repair\nRound 1 of 5. The environment was executed and did not pass."


async def attempt(name: str, *said: str, **rates: float) -> Any:
    """A writer's answer to the task and to what was said afterwards."""
    request = requests.structured(name, f"# Task\n{await task()}\n# Statements\n1. Nothing.\n")
    for text in said:
        request["messages"] += [{"role": "assistant", "content": "{}"}, {"role": "user", "content": text}]
    return json.loads(requests.text_of(await sim(**rates).chat(request)))


@pytest.mark.parametrize(
    ("part", "name", "field"),
    [("instruction", "Instruction", "instruction"), ("solution", "Solution", "script"), ("tests", "Tests", "checks")],
)
async def test_clumsy_parts_are_rewritten_well_in_a_repair_unless_that_fails_too(
    part: str, name: str, field: str
) -> None:
    good = (await attempt(name))[field]
    clumsy = {f"clumsy_{part}": 1.0}
    bad = (await attempt(name, **clumsy))[field]
    assert bad != good
    assert (await attempt(name, **clumsy))[field] == bad
    assert (await attempt(name, REPAIR, **clumsy))[field] == good
    assert (await attempt(name, REPAIR, **clumsy, clumsy_repair=1.0))[field] != good


async def test_a_clumsy_setup_agent_leaves_the_answer_and_takes_it_away_in_a_repair() -> None:
    text = await task()

    async def steps(first: str, **rates: float) -> list[dict[str, Any]]:
        history: list[dict[str, Any]] = []
        made = []
        while True:
            message = (await sim(**rates).chat(requests.building(first, history)))["choices"][0]["message"]
            history.append(message)
            for call in message["tool_calls"]:
                if call["function"]["name"] == "finish":
                    return made
                made.append(json.loads(call["function"]["arguments"]))
                history.append({"role": "tool", "tool_call_id": call["id"], "content": "exit code: 0\noutput:\n"})

    honest = await steps(text)
    *others, bad = await steps(text, clumsy_state=1.0)
    assert others == honest
    (mended,) = await steps(f"{text}\n{REPAIR}", clumsy_state=1.0)
    assert bad.get("path", ".orig") in mended["command"]
    assert len(await steps(f"{text}\n{REPAIR}", clumsy_repair=1.0)) == 2


async def test_some_clumsy_checks_are_mended_when_they_are_asked_for_again() -> None:
    mended = 0
    for seed in range(12):
        draft = (await sim().complete(requests.completion("version_control", "reflog-recovery", seed)))["choices"][0]
        request = requests.structured("Tests", f"# Task\n{draft['text']}")
        honest = json.loads(requests.text_of(await sim().chat(request)))["checks"]
        request["messages"] += [{"role": "assistant", "content": "{}"}, {"role": "user", "content": "Correct it."}]
        again = json.loads(requests.text_of(await sim(clumsy_tests=1.0).chat(request)))["checks"]
        mended += again == honest
    assert 2 <= mended <= 10
