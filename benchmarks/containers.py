"""What working in containers costs: the courier beside the engine's own exec, in one run, on this machine.

    PYTHONPATH=. python benchmarks/containers.py [IMAGE]

Prints milliseconds of wall time and of processor time (of the whole machine, so run nothing else) per operation, then
Harbor trials a minute with a scripted agent of 12 turns, one and eight at a time, and proofs a minute.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

os.environ.update(HARBOR_TELEMETRY="off", LITELLM_LOCAL_MODEL_COST_MAP="True")

from harbor.agents.base import BaseAgent
from harbor.agents.terminus_2.tmux_session import TmuxSession
from harbor.models.trial.config import AgentConfig, EnvironmentConfig, TaskConfig, TrialConfig
from harbor.trial.trial import Trial

from envs.engine import Engine, owner
from envs.folder import Base, Environment, write_folder
from envs.gates import Proven, prove
from envs.state import capture
from taxonomy.task import Draw, Origin, Task

TURNS = 12


class ScriptedAgent(BaseAgent):
    """Does in its terminal what Terminus-2 does each turn, without a model: look for the session, type, read."""

    @staticmethod
    def name() -> str:
        return "scripted"

    def version(self) -> str:
        return "1"

    async def setup(self, environment: Any) -> None:
        self.session = TmuxSession("bench", environment, Path("/logs/agent/pane"), None, None)
        await self.session.start()

    async def run(self, instruction: str, environment: Any, context: Any) -> None:  # noqa: ARG002
        for turn in range(TURNS):
            assert await self.session.is_session_alive()
            await self.session.send_keys([f"echo turn {turn}", "Enter"], min_timeout_sec=0.05)
            await self.session.get_incremental_output()


def processor_seconds() -> float:
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


async def measure(name: str, work: Callable[[], Awaitable[Any]], times: int) -> None:
    before, walls = processor_seconds(), []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        walls.append(time.perf_counter() - began)
    cpu = (processor_seconds() - before) / times
    print(f"{name:32} {sorted(walls)[times // 2] * 1000:8.1f} ms wall {cpu * 1000:8.1f} ms processor", flush=True)


async def operations(engine: Engine, image: str, way: str) -> None:
    async def life() -> None:
        async with engine.container(image):
            pass

    await measure(f"{way}: container", life, 8)
    async with engine.container(image) as container:
        await measure(f"{way}: command", lambda: container.run("true"), 30)
        await measure(f"{way}: put a file", lambda: container.put_files({"/app/x": (b"x" * 1000, 0o644)}), 20)
        await measure(f"{way}: read a file", lambda: container.read("/app/x"), 20)


async def trials(engine: Engine, folder: Path, image: str, way: str, at_once: int, count: int) -> None:
    async def one(number: int) -> None:
        with tempfile.TemporaryDirectory() as place:
            config = TrialConfig(
                task=TaskConfig(path=folder),
                trials_dir=Path(place),
                trial_name=f"t{number}",
                agent=AgentConfig(import_path="benchmarks.containers:ScriptedAgent"),
                environment=EnvironmentConfig(
                    import_path="envs.harbor_environment:SdkEnvironment", kwargs={"image": image, "owner": engine.owner}
                ),
            )
            result = await (await Trial.create(config)).run()
            assert result.exception_info is None, result.exception_info
            assert result.verifier_result.rewards["reward"] == 0

    await rate(f"{way}: {TURNS}-turn trials, {at_once} at once", one, at_once, count)


async def rate(name: str, one: Callable[[int], Awaitable[None]], at_once: int, count: int) -> None:
    gate = asyncio.Semaphore(at_once)

    async def bounded(number: int) -> None:
        async with gate:
            await one(number)

    before, began = processor_seconds(), time.perf_counter()
    await asyncio.gather(*(bounded(number) for number in range(count)))
    seconds, cpu = time.perf_counter() - began, processor_seconds() - before
    print(f"{name:44} {count / seconds * 60:7.1f} a minute {cpu / count:7.2f} s processor each", flush=True)


async def an_environment(engine: Engine, image: str) -> Environment:
    async with engine.container(image) as container:
        await container.run("git init -q /app/repo && cd /app/repo && echo x >a && git add . && touch b")
        layer = await capture(container)
    origin = Origin(model="m", mode="raw", template="chatml", prompt_sha256="0", parameters={})
    draw = Draw(domain="version_control", topic="hooks", axes={}, seed=1, index=0)
    whole: dict[str, Any] = dict.fromkeys(("title", "domain_focus", "objective", "scenario", "text"), "x")
    return Environment(
        task=Task(draw=draw, checklist=("x",), origin=origin, **whole),
        instruction="Make /app/done.",
        solution="touch /app/done\n",
        checks="import os\ndef check_done():\n    assert os.path.exists('/app/done')\n",
        wrong={"w1": "touch /app/don\n", "w2": "true\n"},
        partial={"p": "mkdir /app/d\n"},
        state=layer,
        base=Base(image, (await engine.image(image)).id),
    )


async def without_courier(*_: Any) -> None:
    return None


async def main(image: str) -> None:
    courier = Engine._with_courier
    async with Engine.connect(owner("bench")) as engine:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "task"
            write_folder(await an_environment(engine, image), folder)

            async def proof(_: int) -> None:
                assert isinstance(await prove(folder, engine), Proven)

            try:
                for way in ("exec", "courier"):
                    Engine._with_courier = without_courier if way == "exec" else courier  # type: ignore[method-assign,assignment]
                    await operations(engine, image, way)
                    tag = engine.tag("bench")
                    await engine.build(folder / "environment", tag)
                    await trials(engine, folder, tag, way, 1, 5)
                    await trials(engine, folder, tag, way, 8, 24)
                await rate("courier: proofs (every gate), 1 at once", proof, 1, 4)
                await rate("courier: proofs (every gate), 4 at once", proof, 4, 12)
            finally:
                await engine.reap(own=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "synth-base:dev"))
