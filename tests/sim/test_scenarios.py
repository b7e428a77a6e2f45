"""What every scenario is held to: its texts, and its state, scripts, checks and teacher in real containers."""

import ast
import json
import re
import subprocess
import sys
from asyncio import gather
from typing import Any

import docker
import pytest

from envs.builder_settings import BuilderSettings
from envs.engine import Engine
from envs.images import ImageStore
from synth.sim.catalog import built_in, name_of
from synth.sim.hand import prompt_returned
from synth.sim.misbehave import Misbehaviour
from synth.sim.model import Sim, count_tokens
from synth.sim.scenario import Run, Scenario, Script
from synth.sim.ticket import Ticket, find_tickets, scenario_number
from taxonomy.catalog import load_catalog
from taxonomy.drift import drift
from taxonomy.layout import Layout
from taxonomy.task import Draw
from tests.sim import requests, rig
from tests.taxonomy.tasks import task

CATALOG = built_in()
KINDS = [(domain, kind) for domain in CATALOG.domains() for kind in CATALOG.kinds(domain)]
SEEDS = range(25)
each_scenario = pytest.mark.parametrize(("domain", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", value))


def make(domain: str, kind: type[Scenario], seed: int) -> Scenario:
    scenario = CATALOG.make(Ticket(scenario_number(name_of(domain, kind)), seed))
    assert scenario is not None
    return scenario


def base_of(domain: str, build: bool) -> str:
    """Reference of the domain's base image; where it is not there yet it is built, or the test is skipped."""
    client = docker.from_env()
    try:
        store = ImageStore(client, packages=load_catalog().packages)
        if build:
            return store.ensure_now(domain, print).reference
        if (found := store.status(domain)) is None:
            pytest.skip(f"the base image of {domain} is not there; `make test-all` or a run of the domain builds it")
        return found.reference
    finally:
        client.close()


def scripts(scenario: Scenario) -> dict[str, str]:
    named = {script.name: script.text for script in [*scenario.wrong(), *scenario.partial()]}
    return {"reference": scenario.solution(), **named}


@each_scenario
def test_texts_have_the_form_that_the_stages_expect(domain: str, kind: type[Scenario]) -> None:
    for seed in SEEDS:
        scenario = make(domain, kind, seed)
        for line in (scenario.title, scenario.focus, scenario.objective, *scenario.checklist):
            assert line == line.strip()
            assert line
            assert "\n" not in line
        assert 6 <= len(scenario.checklist) <= 10
        assert len(set(scenario.checklist)) == len(scenario.checklist)
        assert [str(ticket) for ticket in find_tickets(scenario.story)] == [scenario.ticket]
        assert {str(ticket) for ticket in find_tickets(scenario.instruction)} == {scenario.ticket}
        labels = r"^\W*(Task Title|Domain Focus|Objective|Scenario|Todo Checklist)\W*:"
        assert not re.search(labels, scenario.story, re.MULTILINE)
        assert 200 <= len(scenario.instruction) <= 6000
        assert re.search(r"(?<![\w.])/[\w.-]+/", scenario.instruction), "no absolute path"
        for text in (scenario.title, scenario.objective, scenario.story, scenario.instruction, *scenario.checklist):
            assert not re.search(r"\[[^\[\]]*\|", text), f"an open choice is left: {text}"
            assert not re.search(r"\{\w+\}|\bNone\b(?! of)|  \w", text), text


@each_scenario
def test_the_same_seed_gives_the_same_task(domain: str, kind: type[Scenario]) -> None:
    def everything(scenario: Scenario) -> tuple[Any, ...]:
        texts = scenario.title, scenario.objective, scenario.story, tuple(scenario.checklist), scenario.instruction
        return *texts, scenario.setup(), scripts(scenario), scenario.checks()

    for seed in (0, 3, 2**32 - 1):
        scenario = make(domain, kind, seed)
        first = everything(scenario)
        assert everything(scenario) == first, "a second call gives something else"
        assert everything(make(domain, kind, seed)) == first
    assert everything(make(domain, kind, 1)) != everything(make(domain, kind, 2))


@each_scenario
def test_checks_and_scripts_are_well_formed(domain: str, kind: type[Scenario]) -> None:
    for seed in range(5):
        scenario = make(domain, kind, seed)
        tree = ast.parse(scenario.checks())
        checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")]
        assert checks
        for check in checks:
            assert not check.args.args
            docstring = ast.get_docstring(check) or ""
            assert docstring.endswith(".")
            assert "\n" not in docstring
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
        assert len(scenario.wrong()) >= 2
        assert len(scenario.partial()) >= 1
        others: list[Script] = [*scenario.wrong(), *scenario.partial()]
        assert len({script.name for script in others}) == len(others)
        for script in others:
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", script.name)
        for name, text in scripts(scenario).items():
            done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name}: {done.stderr}"
        steps = scenario.setup()
        assert 1 <= len(steps) <= 20
        for step in steps:
            if isinstance(step, Run):
                assert len(step.command.encode()) < 100_000, "longer than one argument of a program may be"
            else:
                assert step.path.startswith("/")


@each_scenario
async def test_the_writers_answers_are_not_cut_off(domain: str, kind: type[Scenario]) -> None:
    limit = BuilderSettings().max_tokens
    for seed in range(15):
        tried = await Sim().chat(requests.structured("Tests", f"# Task\n{make(domain, kind, seed).story}"))
        assert count_tokens(requests.text_of(tried)) < 0.9 * limit


@each_scenario
async def test_the_judge_lets_it_pass(domain: str, kind: type[Scenario]) -> None:
    sim = Sim(misbehaviour=Misbehaviour(infeasible_tasks=0))
    for seed in SEEDS:
        asked = requests.completion(domain, kind.topic, seed)
        task = (await sim.complete(asked))["choices"][0]["text"]
        verdict = json.loads(requests.text_of(await sim.chat(requests.verdict(task))))
        assert all(finding["passed"] for finding in verdict["criteria"]), verdict


@each_scenario
def test_it_is_about_its_topic_and_not_about_a_file(domain: str, kind: type[Scenario]) -> None:
    catalog = load_catalog()
    assert kind.topic in catalog.domain(domain).topics
    for seed in SEEDS:
        scenario = make(domain, kind, seed)
        layout = Layout(
            title=scenario.title,
            domain_focus=scenario.focus,
            objective=scenario.objective,
            scenario=scenario.story,
            checklist=tuple(scenario.checklist),
        )
        assert drift(task(layout, Draw(domain=domain, topic=kind.topic, axes={}, seed=seed, index=0)), catalog) is None


class Tried:
    """One task of a scenario, sampled and set up by requests to the model alone, and frozen as an image."""

    def __init__(self, engine: Engine, domain: str, kind: type[Scenario], seed: int) -> None:
        self.sim = Sim(misbehaviour=Misbehaviour(infeasible_tasks=0, looping_teachers=0, surrendering_teachers=0))
        self.engine = engine
        self.scenario = make(domain, kind, seed)
        self.task = f"**Task Title:** {self.scenario.title}\n\n**Scenario:**\n{self.scenario.story}"

    async def written(self, name: str) -> Any:
        return json.loads(requests.text_of(await self.sim.chat(requests.structured(name, f"# Task\n{self.task}"))))

    async def set_up(self, box: rig.Box) -> None:
        history: list[dict[str, Any]] = []
        for _ in range(40):
            message = (await self.sim.chat(requests.building(self.task, history)))["choices"][0]["message"]
            history.append(message)
            for call in message["tool_calls"]:
                arguments = json.loads(call["function"]["arguments"])
                match call["function"]["name"]:
                    case "run_command":
                        code, output = await box.bash(arguments["command"])
                        result = f"exit code: {code}\noutput:\n{output}"
                    case "write_file":
                        await box.put(arguments["path"], arguments["content"], arguments["mode"])
                        result = f"wrote {len(arguments['content'])} bytes to {arguments['path']}"
                    case _:
                        assert "succeeded" in arguments["summary"], arguments["summary"]
                        return
                history.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        raise AssertionError("the setup agent does not finish")

    async def freeze(self, base: str) -> str:
        async with rig.box(self.engine, base) as box:
            await self.set_up(box)
            return await box.commit()

    async def after(self, image: str, script: str, checks: str, twice: bool) -> dict[str, str]:
        """Failed checks after a script has run in a fresh container; graded twice, the grades must be the same."""
        async with rig.box(self.engine, image) as box:
            code, output = await box.bash(script)
            first = await box.grade(checks)
            assert not twice or await box.grade(checks) == first, "grading is not repeatable"
            assert code == 0, f"exit code {code}\n{script}\n{output}"
        return failed(first)

    async def work(self, image: str, instruction: str, checks: str, seed: int) -> str:
        """Let the teacher solve the task in a terminal; what it typed."""
        async with rig.box(self.engine, image) as box:
            messages = await rig.drive(box, instruction, lambda said: self.sim.chat(requests.trial(said, seed)))
            result = failed(await box.grade(checks))
        said = [json.loads(message["content"]) for message in messages if message["role"] == "assistant"]
        assert not result, f"trial {seed} fails: {result}\n{messages[-3]['content']}\n{messages[-2]['content']}"
        turns = [answer for answer in said if answer["commands"] != [] and answer["commands"][0]["keystrokes"]]
        assert 4 <= len(turns) <= 16, f"{len(turns)} turns"
        assert said[-1]["task_complete"]
        assert said[-2]["task_complete"]
        assert not said[-2]["commands"], "the last turn acts instead of having looked"
        for command in (command for turn in turns for command in turn["commands"]):
            keys = command["keystrokes"]
            assert keys.endswith("\n")
            assert "\t" not in keys
            assert len(keys) < 2500
            assert not re.search(r'"[^"\']*![^"\']*"', keys), f"history expansion: {keys}"
        assert prompt_returned(messages[-2]["content"].split("\n\nAre you sure")[0])
        return json.dumps([turn["commands"] for turn in turns])


def failed(results: dict[str, str]) -> dict[str, str]:
    return {name: message for name, message in results.items() if message}


async def prove(
    engine: Engine, base: str, domain: str, kind: type[Scenario], seed: int, trials: int, every: bool = True
) -> None:
    tried = Tried(engine, domain, kind, seed)
    image = await tried.freeze(base)
    instruction = (await tried.written("Instruction"))["instruction"]
    solution, tests = (await tried.written("Solution"))["script"], await tried.written("Tests")
    checks = tests["checks"]
    scenario = built_in().recognise(instruction)
    assert scenario is not None
    # All that the scenario has, not only those that one answer of the tests writer holds.
    wrong, partial = scenario.wrong(), scenario.partial()
    others = {script.name: script.text for script in [*wrong, *partial]}
    assert {each["name"] for each in tests["wrong_outputs"] + tests["partial_solutions"]} <= set(others)
    references = [solution, solution]
    if not every:
        others, references = {wrong[0].name: wrong[0].text}, [solution]
    if (other := scenario.alternative()) is not None:
        references.append(other)
    scripts = ("true", *references, *others.values())
    results = await gather(*(tried.after(image, script, checks, every) for script in scripts))
    nothing, passed, rest = results[0], results[1 : 1 + len(references)], results[1 + len(references) :]
    assert nothing, "doing nothing passes"
    assert not any(passed), f"the reference fails: {passed}"
    for name, result in zip(others, rest, strict=True):
        assert result, f"{name} passes"
    typed = [await tried.work(image, instruction, checks, trial) for trial in range(trials)]
    assert trials < 3 or len(set(typed)) > 1, "every trial types the same: no slip, no habit"


@pytest.mark.docker
@each_scenario
async def test_scenario_holds_in_containers(engine: Engine, domain: str, kind: type[Scenario]) -> None:
    """What takes seconds, where the domain's image is there; a teacher's trial for version_control alone."""
    trials = int(domain == "version_control")
    await prove(engine, base_of(domain, build=False), domain, kind, seed=1, trials=trials, every=False)


@pytest.mark.docker
@pytest.mark.slow
@each_scenario
async def test_scenario_holds_with_every_script_and_more_trials(
    engine: Engine, domain: str, kind: type[Scenario]
) -> None:
    await prove(engine, base_of(domain, build=True), domain, kind, seed=3, trials=3)
