"""The gates of one environment under way: each says what it ran and what it found."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from envs import folder as task_folder
from envs import grading, state
from envs.certificate import GateResult
from envs.container.packing import pack_folder
from envs.contract import breaches
from envs.engine import Engine
from envs.errors import ToolFailed
from envs.gates import derived, leaks, stated
from envs.gates.attempts import OUTPUT_LIMIT, Attempt, Attempted, Bench, skipped, told_nothing
from envs.gates.clock import across
from envs.gates.fault import Finding, finding, of_reference
from envs.gates.outputs import EndState, contents, differing
from envs.gates.settings import GateSettings

REASONS = {
    "nothing": "nothing-passes",
    "partial": "partial-passes",
    "wrong": "wrong-passes",
    "derived": "wrong-passes",
    "cheat": "cheat-passes",
    "alternative": "alternative-fails",
    "clock": "clock-dependent",
    "leaks": "answer-leaked",
}
"""Of a gate that is one graded attempt: the reason when its reward is another than it must be."""


@dataclass
class Told:
    """What one gate, or several in order, have to say."""

    results: list[GateResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Told") -> None:
        self.results += other.results
        self.findings += other.findings


class Work:
    """The gates of one environment under way. What depends on the reference's outputs waits for its first repeat."""

    def __init__(self, folder: Path, bench: Bench, layer: state.StateLayer | None) -> None:
        self.folder = folder
        self.bench = bench
        self.layer = layer
        self.instruction = text_of(folder / "instruction.md")
        solve = folder / "solution" / "solve.sh"
        self.solution = solve.read_text() if solve.exists() else None
        self.checks = text_of(folder / "tests" / "checks.py") or _tests_text(folder / "tests")
        self.kit = pack_folder(folder / "solution") if self.solution is not None else None
        self.ours = _ours(folder / "tests")
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[Attempted | None] = loop.create_future()
        self.repeated: asyncio.Future[bool] = loop.create_future()
        self.outputs: EndState | None = None
        self.varied: list[str] = []

    @classmethod
    async def prepared(cls, folder: Path, engine: Engine, image: str, settings: GateSettings) -> "Work":
        """Read what is needed of the folder, and of the image where no state layer tells its content."""
        try:
            layer = state.read(folder / "environment")
        except FileNotFoundError:
            layer = None
        bench = Bench(engine, image, pack_folder(folder / "tests"), settings, contents(layer.tar) if layer else {})
        if layer is None:
            try:
                async with bench.container() as container:
                    bench = replace(bench, initial=await leaks.reach(container))
            except ToolFailed:
                pass  # Gates that compare with the initial state have nothing to compare with, and say so.
        return cls(folder, bench, layer)

    async def all(self, thorough: bool) -> Told:
        """Run every gate; in order, up to the first that finds something unless all are asked for."""
        whole = self._contract_texts()
        whole.add(self._leaked_texts())
        if whole.findings and not thorough:
            return whole
        work: list[Awaitable[Told]] = [
            self._untouched(),
            self._reference(),
            self._alternative(),
            *(self._graded(Attempt("partial", *one)) for one in task_folder.scripts(self.folder, "partial").items()),
            *(self._graded(Attempt("wrong", *one)) for one in task_folder.scripts(self.folder, "wrong").items()),
            self._spoiled(),
            self._tampered(),
            self._cheated(),
            self._stated(),
            self._answers(),
        ]
        async with _tasks(work) as tasks:
            for task in tasks:
                whole.add(await task)
                if whole.findings and not thorough:
                    break
        return whole

    async def _untouched(self) -> Told:
        """The image holds the state to the bit, nobody's tests lie in it, and doing nothing scores 0."""
        told = Told()
        began = time.monotonic()
        async with self.bench.container() as container:
            if self.layer is not None:
                difference = await state.differs(container, self.layer)
                told.results.append(_compared("state", "", [difference] if difference else [], began))
                if difference:
                    detail = f"the built image does not hold the state: {difference}"
                    told.findings.append(finding("state-differs", detail, "state"))
                    return told
            began = time.monotonic()
            lying = await leaks.harness(container)
            told.results.append(_compared("leaks", "harness", lying, began))
            told.findings += [finding("answer-leaked", lying[0], "leaks", "harness")] if lying else []
            done = await self.bench.attempt_in(container, Attempt("nothing"), time.monotonic())
        told.add(self._judged(done.result))
        return told

    async def _reference(self) -> Told:
        """The reference scores 1 each time, once more under another clock; what it leaves is kept for other gates."""
        if self.solution is None:
            self.first.set_result(None)
            self.repeated.set_result(False)
            return Told([skipped("reference", "", "the folder has no solution/solve.sh")])
        repeats = self.bench.settings.repeats
        attempts = [
            Attempt(
                "reference", str(number + 1), self.solution, self.kit, expected=1.0,
                watched=number < 2, shifted=number == repeats - 1 and self.ours,
            )
            for number in range(repeats)
        ]  # fmt: skip
        async with _tasks([self.bench.attempt(attempt) for attempt in attempts]) as tasks:
            first = await tasks[0]
            good = first.result.passed
            self.outputs = first.end if good else None
            self.first.set_result(first if good else None)
            runs = [await task for task in tasks]
        if len(runs) > 1 and first.end is not None and runs[1].end is not None:
            self.varied = differing(first.end, runs[1].end)
        self.repeated.set_result(good)
        told = Told([run.result for run in runs])
        if any(not result.passed for result in told.results):
            unjudged = next((one for one in told.results if one.reward is None), None)
            told.findings.append(self._no_verdict(unjudged) if unjudged else of_reference(told.results))
        if not self.ours:
            told.results.append(skipped("clock", "", "the clock of tests that are not ours is not moved"))
        for run in runs:
            if run.clock is not None:
                told.add(self._clocked(run.clock))
        return told

    def _clocked(self, result: GateResult) -> Told:
        red = [name for name, verdict in result.checks.items() if verdict < 1]
        if not result.passed and red and all(across(self.checks, name) for name in red):
            why = f"{', '.join(red)}: the clock of the programs that it runs is not moved"
            return Told([told_nothing(result, why)])
        return self._judged(result)

    async def _alternative(self) -> Told:
        script = text_of(self.folder / task_folder.EVIDENCE / task_folder.ALTERNATIVE)
        if not script:
            return Told([skipped("alternative", "", "the folder has no other solution")])
        return await self._graded(Attempt("alternative", script=script, expected=1.0))

    async def _cheated(self) -> Told:
        """A hostile agent that is root does nothing of the task."""
        if not self.ours:
            return Told([skipped("cheat", "", "tests that are not ours run beside whatever the agent left")])
        return await self._graded(Attempt("cheat", script=grading.cheat()))

    async def _spoiled(self) -> Told:
        """The outputs that the reference leaves, spoiled in several ways."""
        first = await self.first
        if first is None or first.end is None:
            why = "the reference's end state is not known"
            return Told([skipped("derived", kind, why) for kind in derived.KINDS])
        outputs = derived.asked(first.end, self.instruction, first.read)
        plans = derived.spoiled(first.end, outputs, self.bench.initial, self.instruction)
        told = await self._planned(list(plans.items()))
        if not any(found.reason == "wrong-passes" for found in told.findings):
            return told
        # What is made anew by the checks, such as a service's log, may hold anything, and may be missing too.
        gone = await self.bench.attempt(derived.without(first.end, outputs, "derived"))
        if not gone.result.passed or gone.result.skipped:
            return told
        why = f"nothing asks for {', '.join(outputs[:3])}: it may be missing as well"
        results = [one if one.passed else told_nothing(one, why) for one in told.results]
        return Told(results, [found for found in told.findings if found.reason != "wrong-passes"])

    async def _tampered(self) -> Told:
        """The reference on other inputs: it must not pass with outputs that are those of the other inputs."""
        inputs = task_folder.inputs_of(self.folder)
        if not inputs or self.layer is None or self.solution is None:
            return Told([skipped("derived", derived.TAMPERED, "the folder ships no graded inputs")])
        chosen = derived.chosen_inputs(inputs, self.bench.initial, self.instruction)
        if not await self.repeated or self.outputs is None or not chosen:
            return Told([skipped("derived", derived.TAMPERED, "the reference's end state is not known")])
        work = [self._tampered_with(path, self.layer, self.outputs) for path in chosen]
        return await _in_order(work)

    async def _tampered_with(self, path: str, layer: state.StateLayer, true: EndState) -> Told:
        plan = derived.tampered(path, layer, self.bench.initial[path], self.solution or "", self.kit)
        if isinstance(plan, str):
            return Told([skipped("derived", f"{derived.TAMPERED} {path}", plan)])
        done = await self.bench.attempt(plan)
        if done.result.passed:
            return Told([done.result])
        other = [one for one in differing(true, done.end) if one not in self.varied] if done.end else []
        if not [one for one in other if one != path]:
            return Told([told_nothing(done.result, "the reference leaves the same outputs: it has no influence")])
        return self._judged(done.result, f"with {path} tampered with before the reference ran, what it made of that")

    async def _stated(self) -> Told:
        """What the checks open of what the reference creates is named in the instruction, or nothing asks for it."""
        first = await self.first
        if first is None or first.end is None:
            return Told([skipped("contract", derived.WITHOUT, "the reference's end state is not known")])
        files = stated.unstated(first.end, first.read, self.instruction, self.checks)
        if not files:
            return Told([skipped("contract", derived.WITHOUT, "every file that the checks open is named or was there")])
        done = await self.bench.attempt(derived.without(first.end, files, "contract"))
        if done.result.passed or done.result.skipped:
            return Told([done.result])
        detail = f"the checks ask for {', '.join(files[:3])}, which the instruction does not name"
        found = finding("contract-broken", detail, "contract", derived.WITHOUT, "unwritten-check")
        return Told([done.result], [found])

    async def _answers(self) -> Told:
        """No file of the initial state is the answer: not by its name, and not by what copying it comes to."""
        first = await self.first
        if first is None or first.end is None:
            return Told([skipped("leaks", "answers", "the reference's end state is not known")])
        began = time.monotonic()
        told = self._leaked("answers", leaks.answers(self.bench.initial, first.end, self.instruction), began)
        plan = leaks.copied(self.bench.initial, first.end, self.instruction)
        told.add(await self._planned([("copied-answer", plan)], "leaks"))
        return told

    def _leaked_texts(self) -> Told:
        """No text of solution or checks lies in the initial state."""
        began = time.monotonic()
        problems = leaks.texts(self.bench.initial, self.solution or "", self.checks)
        return self._leaked("texts", problems, began)

    def _leaked(self, name: str, problems: list[str], began: float) -> Told:
        found = [finding("answer-leaked", problems[0], "leaks", name)] if problems else []
        return Told([_compared("leaks", name, problems, began)], found)

    def _contract_texts(self) -> Told:
        """The contract between instruction and checks, as far as the texts tell."""
        contract = task_folder.contract_of(self.folder)
        if not contract:
            return Told([skipped("contract", "texts", "the folder has no contract")])
        began = time.monotonic()
        try:
            problems = breaches(self.instruction, self.checks, contract)
        except SyntaxError as error:
            problems = [f"checks.py is no Python: {error.msg}"]
        told = Told([_compared("contract", "texts", problems, began)])
        if problems:
            unwritten = problems[0].startswith("no statement")
            seen = "unwritten-check" if unwritten else "unchecked-demand"
            told.findings.append(finding("contract-broken", problems[0], "contract", "texts", seen))
        return told

    async def _planned(self, plans: Sequence[tuple[str, Attempt | str]], gate: str = "derived") -> Told:
        """Make the planned attempts at the same time; of the others say why there are none."""
        work = [self._graded(plan) for _, plan in plans if isinstance(plan, Attempt)]
        told = await _in_order(work)
        for kind, plan in plans:
            if isinstance(plan, str):
                told.results.append(skipped("leaks" if gate == "leaks" else "derived", kind, plan))
        return told

    async def _graded(self, attempt: Attempt) -> Told:
        return self._judged((await self.bench.attempt(attempt)).result)

    def _judged(self, result: GateResult, what: str = "") -> Told:
        """What a graded attempt says."""
        if result.passed and result.gate == "nothing":
            # A verdict of 0 in which no check failed was not the checks' doing.
            failed = result.model_copy(update={"passed": False})
            if grading.VOID in result.messages:
                return Told([failed], [self._no_verdict(failed)])
            if result.checks and min(result.checks.values()) >= 1:
                detail = "every check passes on the initial state"
                return Told([failed], [finding("nothing-passes", detail, "nothing")])
        if result.passed:
            return Told([result])
        if result.reward is None:
            return Told([result], [self._no_verdict(result)])
        reason = REASONS[result.gate]
        which = what or f"{result.gate} {result.name}".strip()
        said = next(iter(result.messages.items()), None)
        why = f": {said[0]}: {said[1]}" if said else ""
        return Told([result], [finding(reason, f"{which} scored {result.reward:g}{why}", result.gate, result.name)])

    @staticmethod
    def _no_verdict(result: GateResult) -> Finding:
        which = f"{result.gate} {result.name}".strip()
        why = f": {result.messages[grading.VOID]}" if grading.VOID in result.messages else ""
        return finding("no-verdict", f"{which}: the tests left no verdict{why}", result.gate, result.name)


def _compared(gate: str, name: str, problems: list[str], began: float) -> GateResult:
    return GateResult.model_validate(
        {
            "gate": gate,
            "name": name,
            "passed": not problems,
            "expected": None,
            "reward": None,
            "output": "\n".join(problems)[:OUTPUT_LIMIT],
            "seconds": time.monotonic() - began,
        }
    )


def text_of(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _tests_text(folder: Path) -> str:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".sh") and path.is_file()]
    return "\n".join(path.read_text(errors="replace") for path in files)


def _ours(tests: Path) -> bool:
    return grading.ours([path.name for path in tests.iterdir()])


async def _in_order(work: Sequence[Awaitable[Told]]) -> Told:
    told = Told()
    async with _tasks(work) as tasks:
        for task in tasks:
            told.add(await task)
    return told


@asynccontextmanager
async def _tasks[T](work: Sequence[Awaitable[T]]) -> AsyncIterator[Sequence[asyncio.Future[T]]]:
    """Start all, and on the way out stop and await those that are not done."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
