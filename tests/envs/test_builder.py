"""The whole line of the builder: four roles over one server, one container, an environment at the end."""

import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import instructor
import pytest

from envs.builder import Built, Workshop, build
from envs.builder_settings import BuilderSettings
from envs.engine import Engine
from envs.folder import Base, read_folder, write_folder
from envs.inventory import _repositories, describe_state, image_inventory
from envs.state import capture
from taxonomy.task import Rejection
from tests.envs.builder_stub import FINISH, Stub, calls, runs, says, serving
from tests.envs.test_builder_answers import CHECKS
from tests.envs.test_builder_setup import TASK

pytestmark = pytest.mark.docker

MAKE = """
set -e
export GIT_AUTHOR_DATE=2024-05-01T10:00:00Z GIT_COMMITTER_DATE=2024-05-01T10:00:00Z
git config --global user.name Ada && git config --global user.email ada@example.org
git init -q -b main /app/repo && cd /app/repo
printf 'alpha\\nbeta\\n' > notes.txt && git add . && git commit -qm 'Start the notes'
git switch -qc topic && printf 'alpha\\ngamma\\n' > notes.txt && git commit -qam 'Say gamma'
git switch -q main && git tag v1
git clone -q --bare /app/repo /srv/origin.git && git remote add origin /srv/origin.git
rm /root/.gitconfig /etc/motd
ln -s repo /app/current
head -c 5000 /dev/urandom > /app/blob.bin
"""

INSTRUCTION = (
    "In /app/repo bring the change of the branch `topic` into `main`, and leave `main` checked out. "
    "Then write /app/report.txt, which must hold the first line of /app/repo/notes.txt." + " " * 9
)
SOLUTION = """#!/bin/bash
set -euo pipefail
git -C /app/repo merge topic
head -n 1 /app/repo/notes.txt > /app/report.txt
"""
OTHER = SOLUTION.replace("head -n 1", "sed 1q")
REPORT = """

def check_first_line():
    \"\"\"The report has the first line of the notes.\"\"\"
    assert Path("/app/report.txt").read_text() == Path("/app/repo/notes.txt").read_text().splitlines()[0] + "\\n"
"""
CONTRACT = [
    {"statement": 1, "checks": ["check_branch"]},
    {"statement": 2, "checks": ["check_report", "check_first_line"]},
]
TESTS = {
    "checks": CHECKS + REPORT,
    "wrong_outputs": [{"name": "Writes by hand", "script": "echo gamma >> /app/repo/notes.txt"}],
    "partial_solutions": [{"name": "fetches only", "script": "git -C /app/repo fetch"}],
    "contract": CONTRACT,
}
KEEP = {"verdict": "keep", "reason": "It merged."}


def answer(value: object) -> Any:
    """A choice that holds an object."""
    return says(json.dumps(value))


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with serving() as server:
        server.script = [calls(("run_command", {"command": MAKE}), ("finish", {"summary": "two branches"}))]
        server.answers = {
            "Instruction": [says(json.dumps({"instruction": INSTRUCTION}))],
            "Solution": [answer({"script": SOLUTION})],
            "Review": [answer(KEEP)],
            "Tests": [answer(TESTS)],
            "Alternative": [answer({"script": OTHER})],
            "Contract": [answer({"contract": CONTRACT})],
        }
        yield server


@dataclass(frozen=True)
class Bench:
    """Where builds are made."""

    engine: Engine
    base: str
    stub: Stub

    def shop(self, **settings: Any) -> Workshop:
        chat = self.stub.client()
        structured = instructor.from_openai(chat, mode=instructor.Mode.JSON_SCHEMA)
        return Workshop(chat, structured, self.engine, BuilderSettings.model_validate(settings))

    async def build(self, others: Mapping[str, Base] | None = None, **settings: Any) -> Built | Rejection:
        shop = self.shop(**settings)
        base = Base(self.base, (await self.engine.image(self.base)).id)
        return await build(TASK, shop.chat, shop.structured, self.engine, base, shop.settings, others=others)

    async def built(self, **settings: Any) -> Built:
        built = await self.build(**settings)
        assert isinstance(built, Built), built
        return built

    async def rejection(self, **settings: Any) -> Rejection:
        rejection = await self.build(**settings)
        assert isinstance(rejection, Rejection)
        return rejection


@pytest.fixture
async def bench(engine: Engine, base: str, stub: Stub) -> Bench:
    return Bench(engine, base, stub)


async def test_state_instruction_solution_tests_in_this_order(bench: Bench, stub: Stub, tmp_path: Path) -> None:
    built = await bench.built()
    environment = built.environment
    assert [message["role"] for message in built.transcript] == ["system", "user", "assistant", "tool", "tool"]
    assert built.seconds.keys() == {"state", "instruction", "solution", "tests", "alternative"}
    order = [body.get("response_format", {}).get("json_schema", {}).get("name", "setup") for body in stub.requests]
    assert order == ["setup", "Instruction", "Solution", "Review", "Tests", "Alternative"]
    assert environment.task == TASK
    assert environment.instruction == INSTRUCTION.strip() + "\n"
    assert environment.solution == SOLUTION
    assert environment.alternative == OTHER
    assert environment.checks == CHECKS + REPORT
    held = [demand.checks for demand in environment.contract]
    assert held == [("check_branch",), ("check_report", "check_first_line")]
    assert await bench.engine.has_image(built.image)
    assert environment.wrong == {"writes-by-hand": "echo gamma >> /app/repo/notes.txt\n"}
    assert environment.partial == {"fetches-only": "git -C /app/repo fetch\n"}
    write_folder(environment, tmp_path / "task")
    assert read_folder(tmp_path / "task") == environment


async def test_writers_see_the_state_as_it_is_and_not_as_the_agent_says(bench: Bench, stub: Stub) -> None:
    await bench.built()
    user = stub.asked("Instruction")[0]["messages"][1]["content"]
    for seen in (
        "/app/repo/notes.txt",
        "/app/current -> repo",
        "## /app/repo",
        "## /srv/origin.git",
        "Ada <ada@example.org>",
        "(HEAD -> main, tag: v1",
        "Say gamma",
        "deleted: /etc/motd",
        "--- /app/repo/notes.txt (all 2 lines)\nalpha\nbeta",
        "/app/blob.bin",
    ):
        assert seen in user, seen
    assert "two branches" not in user
    assert ".git/objects" not in user
    assert "/root/.gitconfig" not in user


async def test_a_rejection_of_any_part_is_the_builders(bench: Bench, stub: Stub) -> None:
    once = {"steps": 1}
    stub.answers["Tests"] = [says("no")]
    end = await bench.rejection(tests=once)
    assert (end.reason, end.evidence["part"]) == ("invalid-answer", "tests")
    stub.answers["Solution"] = [says("no")]
    assert (await bench.rejection(solution=once)).evidence["part"] == "solution"
    stub.answers["Instruction"] = [says("no")]
    assert (await bench.rejection(instruction=once)).evidence["part"] == "instruction"
    stub.script = [FINISH]
    assert (await bench.rejection()).reason == "empty-state"
    assert not await images(bench.engine)


async def test_a_state_that_nobody_can_work_on_goes_back_once(bench: Bench, stub: Stub) -> None:
    lost = {"verdict": "state", "reason": "There is no branch topic."}

    def set_up(body: dict[str, Any]) -> dict[str, Any]:
        mends = "# Repair" in body["messages"][1]["content"]
        command = "git -C /app/repo branch later; ls /app" if mends else MAKE
        return calls(("run_command", {"command": command}), ("finish", {}))

    stub.script = [set_up]
    stub.answers["Review"] = [answer(lost), answer(KEEP)]
    environment = (await bench.built()).environment
    assert "app/repo/.git/refs/heads/later" in {member.name for member in environment.state.members()}
    assert len(stub.asked("Instruction")) == 1
    told = stub.asked(None)[1]["messages"][1]["content"]
    for seen in ("There is no branch topic.", SOLUTION.strip(), INSTRUCTION.strip(), "/app/repo/notes.txt"):
        assert seen in told, seen

    stub.answers["Review"] = [answer(lost)]
    end = await bench.rejection()
    assert (end.reason, end.evidence["part"]) == ("state-unworkable", "state")


async def test_what_a_model_writes_stays_text(bench: Bench, stub: Stub, tmp_path: Path) -> None:
    """Templates, shell signs and Python in a model's texts reach nothing but the container and the record."""
    hostile = f"{{{{ 7 * 7 }}}} $(touch {tmp_path}/host) `touch {tmp_path}/host` /app/repo. " * 3
    mark = tmp_path / "host"
    stub.answers["Instruction"] = [says(json.dumps({"instruction": hostile}))]
    checks = f"import os\nos.path.exists('{mark.parent}') and open('{mark}', 'w')\n" + CHECKS
    stub.answers["Tests"] = [answer(TESTS | {"checks": checks})]
    environment = (await bench.built()).environment
    assert environment.instruction == hostile.strip() + "\n"
    assert hostile.strip() in stub.asked("Solution")[0]["messages"][1]["content"]
    assert environment.checks == checks
    assert not mark.exists()


async def test_the_inventory_is_bounded_and_changes_nothing(bench: Bench) -> None:
    many = (
        'mkdir -p /app/many && cd /app/many && for i in $(seq 2000); do echo "$i" > "file $i"; done;'
        "git init -q /app/g && cd /app/g && git config user.name a && git config user.email a@b &&"
        "for i in $(seq 60); do git commit -q --allow-empty -m \"$i $(head -c 900 /dev/zero | tr '\\0' x)\"; done;"
        "mkdir '/app/it'\"'\"'s'; git init -q '/app/it'\"'\"'s'; chown -R 1000:1000 /app/g"
    )
    async with bench.engine.container(bench.base) as container:
        ran = await container.run(many, timeout=60)
        assert ran.exit_code == 0, ran.output
        layer = await capture(container)
        text = await describe_state(layer, container, 9_000)
        assert len(text) <= 9_200
        assert "... and 1960 more in /app/many" in text
        assert "## /app/g" in text
        assert "/app/many/file 1 " in text
        assert "## /app/it's" in await describe_state(layer, container, 60_000)
        assert (await capture(container)).digest == layer.digest


async def test_the_image_says_what_it_has(bench: Bench) -> None:
    async with bench.engine.container(bench.base) as container:
        image = await image_inventory(container)
    assert image.python.startswith("3.")
    assert "Debian GNU/Linux" in image.text
    assert " git " in image.text
    assert "git version" in image.text
    assert " docker " not in image.text


def test_a_repository_is_found_by_its_parts() -> None:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in (
            "a/.git/HEAD",
            "a/.git/objects",
            "a/.git/refs",
            "b.git/HEAD",
            "b.git/objects",
            "b.git/refs",
            "c/HEAD",
        ):
            tar.addfile(tarfile.TarInfo(name))
        members = tar.getmembers()
    assert _repositories(members) == {"/a/.git": "/a", "/b.git": "/b.git"}


async def images(engine: Engine) -> list[str]:
    """Environment images of an engine's owner."""
    import docker

    client = docker.from_env()
    try:
        found = client.images.list(filters={"label": f"synth.owner={engine.owner}"})
        return [tag for image in found for tag in image.tags]
    finally:
        client.close()


async def test_no_container_is_left_and_the_image_for_the_gates(bench: Bench, stub: Stub) -> None:
    built = await bench.built()
    import docker

    assert await images(bench.engine) == [built.image]
    client = docker.from_env()
    try:
        assert client.containers.list(all=True, filters={"label": f"synth.owner={bench.engine.owner}"}) == []
    finally:
        client.close()


async def test_the_first_request_of_each_role_is_the_documented_one(bench: Bench, stub: Stub) -> None:
    await bench.built(temperature=0.7)
    setup, *writers = stub.requests
    assert setup.keys() == {"model", "messages", "tools", "max_tokens", "seed", "temperature"}
    for body in writers:
        assert body.keys() == {"model", "messages", "response_format", "max_tokens", "seed", "temperature"}
        assert body["response_format"]["type"] == "json_schema"
    assert runs("x")["message"]["tool_calls"][0]["function"]["name"] == setup["tools"][0]["function"]["name"]
