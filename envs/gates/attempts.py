"""One attempt: a fresh container, something done in it or nothing, and its grade."""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from envs import grading
from envs.certificate import Gate, GateResult
from envs.container import Container
from envs.engine import Engine
from envs.errors import ToolFailed
from envs.gates.outputs import EndState, end_state
from envs.gates.settings import GateSettings
from envs.grading import Grade
from envs.state import StateLayer

OUTPUT_LIMIT = 4000
"""Characters of output that a gate's result carries: the last ones."""

SOLUTION = "/solution"

GONE = "/.gone"
"""List of the paths that are taken away before an attempt; it is taken away with them."""


@dataclass(frozen=True)
class Attempt:
    """What is done in one container, and what its grade must be."""

    gate: Gate
    name: str = ""
    script: str | None = None
    kit: bytes | None = None
    """Tar of what lies beside the script while it runs."""
    laid: StateLayer | None = None
    """Laid over the initial state before the script runs."""
    expected: float = 0.0
    watched: bool = False
    """Whether the end state is looked at."""
    shifted: bool = False
    """Whether it is graded once more, under another clock and other random seeds."""


@dataclass(frozen=True)
class Attempted:
    """What came of an attempt."""

    result: GateResult
    read: tuple[str, ...] = ()
    """Files that the checks opened."""
    end: EndState | None = None
    """None where it was not looked at or cannot be told."""
    clock: GateResult | None = None
    """The second grading, where there was one."""


@dataclass(frozen=True)
class Bench:
    """Where attempts are made: the environment's image, its tests, and how."""

    engine: Engine
    image: str
    tests: bytes
    """Tar of the `tests` folder."""
    settings: GateSettings
    initial: Mapping[str, bytes]
    """Content of the state's regular files by absolute path."""

    async def attempt(self, what: Attempt) -> Attempted:
        """Make one attempt in a container of its own.

        Raises:
            EngineError: the engine failed.
        """
        began = time.monotonic()
        async with self.container() as container:
            return await self.attempt_in(container, what, began)

    def container(self) -> AbstractAsyncContextManager[Container]:
        """A fresh container of the environment."""
        asked = self.settings
        return self.engine.container(
            self.image, network=asked.network, env=asked.env, workdir=asked.workdir, limits=asked.limits
        )

    async def attempt_in(self, container: Container, what: Attempt, began: float) -> Attempted:
        """Make an attempt in a container that nothing has been done in."""
        if what.laid is not None:
            try:
                await _lay(container, what.laid)
            except ToolFailed as error:
                # What a script can do to folders a tar cannot always do after it.
                return Attempted(skipped(what.gate, what.name, f"it cannot be laid down: {error}"))
        before = await _paths(container) if what.watched else None
        code, output = await self._run(container, what)
        end = await end_state(container, before, self.initial) if before is not None else None
        grade = await self.grade(container)
        result = self._result(what, grade, code, output, time.monotonic() - began)
        clock = await self._under_another_clock(container) if what.shifted and result.passed else None
        return Attempted(result, grade.read, end, clock)

    async def grade(self, container: Container, *, shifted: bool = False) -> Grade:
        """Grade what is in a container now."""
        asked = self.settings
        return await grading.grade(
            container, self.tests, asked.tests_seconds, engine=self.engine, shifted=shifted, user=asked.tests_user
        )

    async def _run(self, container: Container, what: Attempt) -> tuple[int | None, str]:
        """Run a script as Harbor's oracle runs it, and take it away again."""
        if what.script is None:
            return None, ""
        if what.kit is not None:
            await container.put(SOLUTION, what.kit)
        await container.put_files({f"{SOLUTION}/solve.sh": (what.script.encode(), 0o755)})
        asked = self.settings
        ran = await container.run(
            f"{SOLUTION}/solve.sh",
            user=asked.script_user,
            timeout=asked.script_seconds,
            output_limit=2 * OUTPUT_LIMIT,
        )
        await container.run(f"rm -rf {SOLUTION}", user="root", workdir="/")
        return ran.exit_code, ran.output

    async def _under_another_clock(self, container: Container) -> GateResult:
        began = time.monotonic()
        what = Attempt("clock", expected=1.0)
        grade = await self.grade(container, shifted=True)
        result = self._result(what, grade, None, "", time.monotonic() - began)
        if result.passed:
            return result
        # A check that spoils what it looks at fails a second time under any clock.
        again = await self.grade(container)
        if again.reward != 1.0:
            return told_nothing(result, "the checks do not pass a second time in one container, whatever the clock")
        return result

    @staticmethod
    def _result(what: Attempt, grade: Grade, code: int | None, output: str, seconds: float) -> GateResult:
        return GateResult(
            gate=what.gate,
            name=what.name,
            passed=grade.reward == what.expected,
            expected=what.expected,
            reward=grade.reward,
            checks=dict(grade.checks),
            messages={name: text[:500] for name, text in grade.messages.items()},
            exit_code=code,
            output=output[-OUTPUT_LIMIT // 2 :] + grade.output[-OUTPUT_LIMIT // 2 :],
            seconds=seconds,
        )


def skipped(gate: Gate, name: str, why: str) -> GateResult:
    """The result of a gate that was not run."""
    return GateResult(gate=gate, name=name, passed=True, expected=None, reward=None, seconds=0.0, skipped=why)


def told_nothing(result: GateResult, why: str) -> GateResult:
    """The same result, which tells nothing after all."""
    return result.model_copy(update={"passed": True, "skipped": why})


async def _paths(container: Container) -> dict[str, float] | None:
    try:
        return await container.paths()
    except ToolFailed:
        return None


async def _lay(container: Container, layer: StateLayer) -> None:
    if layer.deletions:
        names = b"\0".join(path.encode(errors="surrogateescape") for path in layer.deletions)
        await container.put_files({GONE: (names, 0o600)})
        await container.run(f"xargs -0 rm -rf -- <{GONE}; rm -f {GONE}", user="root", workdir="/")
    await container.put("/", layer.tar)
