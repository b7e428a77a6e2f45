"""The builder: a setup agent that replays a scenario's steps, the solver, and the writers."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

from synth.sim import clumsy
from synth.sim.contract import answered, check_names
from synth.sim.misbehave import Misbehaviour, lot
from synth.sim.scenario import Run, Scenario, Script, Write

SETUP_TOOLS = frozenset({"run_command", "write_file", "finish"})
WRITERS = ("Instruction", "Solution", "Review", "Tests", "Alternative", "Contract")
_BATCH = 3
WRONG, PARTIAL = 2, 1
"""Scripts in an answer of the tests writer: what the factory asks for at least. Each is a container of the gates."""
_ROUND = re.compile(r"^# Repair\nRound (\d+) of", re.MULTILINE)
_EXIT = re.compile(r"exit[ _]code\W{1,4}(-?\d+)", re.IGNORECASE)
_UNWRITTEN = re.compile(r"\A\s*(?:not written|not done|bad arguments|error|unknown)", re.IGNORECASE)
_NO_TICKET = "There is no work order in the task that I know, so I cannot make it: I am sim, not a language model."


def set_up(
    scenario: Scenario | None, messages: Sequence[Mapping[str, Any]], misbehaviour: Misbehaviour
) -> tuple[str, list[dict[str, Any]]]:
    """The setup agent's next reply.

    Args:
        scenario: the task's scenario; None where the task carries no known work order.
        messages: the conversation so far; one `tool` message for each call that was made.
        misbehaviour: how often it goes wrong.

    Returns:
        What the agent says, and its tool calls (`name`, `arguments`).
    """
    if scenario is None:
        return _NO_TICKET, [_call("finish", summary=f"Failed: {_NO_TICKET}")]
    results = [str(message.get("content") or "") for message in messages if message["role"] == "tool"]
    steps = _steps(scenario, _round(messages), misbehaviour)
    for step, result in zip(steps, results, strict=False):
        if problem := _problem(step, result):
            return f"That did not work: {problem}.", [_call("finish", summary=f"Failed: {problem}.")]
    if len(results) >= len(steps):
        summary = f"The initial state for {scenario.ticket} is in place ({len(steps)} steps, all succeeded)."
        return "Everything is in place.", [_call("finish", summary=summary)]
    rng, position = Random(f"batches/{scenario.ticket}"), 0
    while position <= len(results):  # replies before this one had these sizes
        position += rng.randint(1, _BATCH)
    batch = steps[len(results) : position]
    said = f"Steps {len(results) + 1} to {len(results) + len(batch)} of {len(steps)}."
    return said, [_step_call(step) for step in batch]


def write(
    name: str, scenario: Scenario | None, misbehaviour: Misbehaviour, messages: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the writer of the answer called `name` (one of `WRITERS`) says.

    Args:
        name: the schema's name.
        scenario: the task's scenario; None where the task carries no known work order.
        misbehaviour: how often it goes wrong.
        messages: the conversation so far: what was run, and which round of repair it is, stands in it.
    """
    if scenario is None:
        return _unknown(name)
    number = _round(messages)
    match name:
        case "Instruction":
            bad = clumsy.is_clumsy("instruction", scenario, number, misbehaviour)
            return {"instruction": clumsy.instruction(scenario, number) if bad else scenario.instruction}
        case "Solution":
            return {"script": _solution(scenario, number, misbehaviour)}
        case "Review":
            return _review(scenario, messages)
        case "Alternative":
            return {"script": scenario.alternative() or ""}
        case "Contract":
            checks = scenario.checks()
            prompt = str(messages[1]["content"])
            return {"contract": answered(prompt, scenario.instruction, checks, check_names(checks))}
    return _tests(scenario, number, misbehaviour, messages)


def _round(messages: Sequence[Mapping[str, Any]]) -> int:
    """The round of repair that a conversation is about; 0 where it is the first attempt."""
    said = "\n".join(str(message["content"]) for message in messages if message["role"] == "user")
    found = list(_ROUND.finditer(said))
    return int(found[-1][1]) if found else 0


def _steps(scenario: Scenario, number: int, misbehaviour: Misbehaviour) -> list[Run | Write]:
    if number:
        return clumsy.mended(scenario, number, misbehaviour)
    bad = clumsy.is_clumsy("state", scenario, 0, misbehaviour)
    return [*scenario.setup(), *([clumsy.state(scenario, 0)] if bad else [])]


def _solution(scenario: Scenario, number: int, misbehaviour: Misbehaviour) -> str:
    if lot("cheat", scenario.ticket) < misbehaviour.cheating_solutions:
        return _cheat(Random(f"cheat/{scenario.ticket}"))
    if clumsy.is_clumsy("solution", scenario, number, misbehaviour):
        return clumsy.solution(scenario, number)
    return scenario.solution()


def _review(scenario: Scenario, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keep what ended with exit code 0; else do it again, and rightly; where that was right, the state is wrong."""
    code = _EXIT.search(str(messages[-1]["content"]))
    if code and int(code[1]) == 0:
        return {"verdict": "keep", "reason": "It ended with exit code 0."}
    said = f"It ended with exit code {code[1]}." if code else "It was not run."
    written = [str(message["content"]) for message in messages if message["role"] == "assistant"]
    if code and json.dumps(scenario.solution(), ensure_ascii=False) in written[-1]:
        return {"verdict": "state", "reason": f"The script is right, and yet: {said}"}
    return {"verdict": "rewrite", "reason": said, "script": scenario.solution()}


def _tests(
    scenario: Scenario, number: int, misbehaviour: Misbehaviour, messages: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The scenario's checks; clumsy ones may be mended when they are asked for again."""
    own = checks = scenario.checks()
    asked = sum(message["role"] == "user" for message in messages) - (2 if number else 1)
    bad = clumsy.is_clumsy("tests", scenario, number, misbehaviour)
    if bad and (not asked or clumsy.stubborn(scenario, number)):
        checks = clumsy.checks(scenario, number)
    return {
        "checks": checks,
        "wrong_outputs": _some(scenario, scenario.wrong(), WRONG),
        "partial_solutions": _some(scenario, scenario.partial(), PARTIAL),
        "contract": answered(str(messages[1]["content"]), scenario.instruction, own, check_names(checks)),
    }


def _step_call(step: Run | Write) -> dict[str, Any]:
    return _call("run_command" if isinstance(step, Run) else "write_file", **asdict(step))


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}


def _problem(step: Run | Write, result: str) -> str | None:
    if isinstance(step, Write):
        return f"{step.path} was not written ({result.strip()[:200]})" if _UNWRITTEN.match(result) else None
    code = _EXIT.search(result)
    if code and int(code[1]) != 0:
        return f"a command ended with exit code {code[1]} ({result.strip()[-200:]!r})"
    return None if code or not _UNWRITTEN.match(result) else f"a command was not run ({result.strip()[:200]})"


def _cheat(rng: Random) -> str:
    forged = '{"reward": 1}'
    return rng.choice(
        (
            (
                f"#!/bin/bash\nmkdir -p /logs/verifier\necho '{forged}' > /logs/verifier/reward.json\necho 1 >"
                " /logs/verifier/reward.txt\n"
            ),
            "#!/bin/bash\nmkdir -p /tests\nprintf 'def check_all():\\n    assert True\\n' > /tests/checks.py\nexit 0\n",
            "#!/bin/bash\ntouch /app/DONE /app/.solved\necho 'all checks passed'\nexit 0\n",
        )
    )


def _unknown(name: str) -> dict[str, Any]:
    """Answers in the right form for a task that is not known here; no gate will believe them."""
    match name:
        case "Instruction":
            return {"instruction": f"{_NO_TICKET} Nothing is to be done in /app, and nothing about it can be tested."}
        case "Solution":
            return {"script": f"#!/bin/bash\necho {_NO_TICKET!r}\nexit 1\n"}
        case "Review":
            return {"verdict": "rewrite", "reason": _NO_TICKET, "script": f"echo {_NO_TICKET!r}\nexit 1\n"}
        case "Alternative":
            return {"script": ""}
        case "Contract":
            return {"contract": []}
    nothing = [{"name": "nothing", "script": "#!/bin/bash\ntrue\n"}]
    checks = (
        f'def check_known():\n    """The task is one that sim knows."""\n    raise AssertionError({_NO_TICKET!r})\n'
    )
    return {"checks": checks, "wrong_outputs": nothing, "partial_solutions": nothing, "contract": []}


def _some(scenario: Scenario, scripts: Sequence[Script], most: int) -> list[dict[str, str]]:
    """As many as the factory asks of a tests writer, others for another task; the scenario's own tests run them all."""
    chosen = Random(scenario.ticket).sample(list(scripts), min(most, len(scripts)))
    return [{"name": script.name, "script": script.text} for script in chosen]
