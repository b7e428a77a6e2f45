"""An evaluation: a model works in every task several times, through the gateway, in fresh containers.

What the ledger calls done is on disk and whole, as in a run; the same command goes on where an earlier one stopped. A
trial that breaks for a reason outside the model is tried again, and is in no figure where it keeps breaking.
"""

import asyncio
import importlib.metadata
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from envs.engine import Engine, Limits, owner
from envs.errors import DiskFull, EngineError, EngineMissing
from synth.bookkeeping import Book, Broken, BudgetSpent, SetAside, UpstreamFailed, Watch
from synth.factory import PATIENCE, RunStalled
from synth.gateway.gateway import Gateway
from synth.gateway.settings import GatewaySettings, ModelName, Upstream
from synth.ledger import Ledger
from synth.run_folder import RunFolder
from synth.settings import Settings
from synth.sim.model import Sim
from synth.stopping import first_of, until_stopped
from synth.task_images import ensure_bases, task_image
from taxonomy.catalog import load_catalog
from taxonomy.task import Rejection, content_id
from trajectories.evaluation.passes import TrialLine
from trajectories.evaluation.result import TRIALS, Ended, EvaluationResult, result_of, save, write_lines
from trajectories.evaluation.tasks import FoundTask, find_tasks

ROLE = "student"
"""The role that the evaluated model is served as, whoever it is."""
ENDPOINT = "endpoint"
"""Name of the upstream that a bare address becomes."""
_STAGE = "rollout"
_REFUSED = (401, 403, 404)
"""Answers of a server that every other trial would get too."""


class BadEvaluation(Exception):
    """What is asked for makes no sense; one line."""


@dataclass(frozen=True)
class Evaluation:
    """What is asked for."""

    tasks: tuple[Path, ...]
    model: str
    endpoint: str | None
    key_env: str | None
    """Name of the variable that holds the endpoint's key."""
    k: int
    repeats: int
    out: Path
    settings: Settings


def served(settings: Settings, model: str, endpoint: str | None = None, key_env: str | None = None) -> GatewaySettings:
    """The gateway's settings for one model in the role of the student.

    Args:
        settings: with the upstreams and roles of synth.toml.
        model: with `endpoint` the server's own name for it; else `upstream:model`, the name of a role with one model
            (`teacher`, `student`), or `sim`.
        endpoint: address up to and including `/v1` of a server.
        key_env: name of the variable that holds its key; None where it needs none.

    Raises:
        BadEvaluation: there is no such upstream or role, or the address is none.
    """
    upstreams = dict(settings.upstreams)
    if endpoint is not None:
        name = ModelName(ENDPOINT, model)
        try:
            upstreams[ENDPOINT] = Upstream(url=endpoint, key_env=key_env)
        except ValidationError as error:
            raise BadEvaluation(f"--endpoint: {error.errors(include_url=False)[0]['msg']}") from None
    else:
        name = named(settings, model)
    return GatewaySettings.model_validate(
        {"roles": {ROLE: [name]}, "upstreams": upstreams, "max_cost_usd": settings.max_cost_usd}
    )


def named(settings: Settings, model: str, flag: str = "--model") -> ModelName:
    """The model that a text names: `upstream:model`, a role with one model, or `sim`.

    Raises:
        BadEvaluation: there is no such upstream or role.
    """
    if model == "sim":
        return ModelName("sim", "sim")
    if model in (roles := settings.gateway().served()):
        return roles[model]
    try:
        name = ModelName.parse(model)
    except ValueError:
        known = ", ".join(roles)
        more = "; a server's own name for a model needs --endpoint" if flag == "--model" else ""
        raise BadEvaluation(
            f"{flag}: {model!r} is neither upstream:model nor a role that is served ({known}){more}"
        ) from None
    if name.upstream not in settings.upstreams:
        there = ", ".join(settings.upstreams)
        raise BadEvaluation(f"{flag}: there is no upstream {name.upstream!r}; there are: {there}")
    return name


async def evaluate(
    asked: Evaluation, watch: Watch, environment: Mapping[str, str], told: Callable[[TrialLine, int, int], None]
) -> EvaluationResult:
    """Work on an evaluation until every trial is over or something ends it.

    Args:
        asked: tasks, model, how often, where to.
        watch: is told what a person should know.
        environment: where keys are looked up.
        told: is given every trial that is over, how many are, and how many there are to be.

    Returns:
        The figures as they stand. They are in `result.json` too when every trial is over, broken ones included.

    Raises:
        TasksError, BadEvaluation: there is nothing to evaluate in, or nobody to evaluate.
        RunBusy, RunUnreadable, LedgerError, FingerprintMismatch: the folder is not ours to go on with.
        MissingKey, UnknownPrice: the settings do not serve the model.
        EngineMissing, DiskFull, BaseImageError, UpstreamFailed, RunStalled: something needed is missing.
    """
    tasks, unusable = find_tasks(asked.tasks)
    if asked.k > asked.repeats:
        raise BadEvaluation(f"--k {asked.k} needs at least as many repeats, and --repeats is {asked.repeats}")
    settings = asked.settings
    gateway_settings = served(settings, asked.model, asked.endpoint, asked.key_env)
    model = str(gateway_settings.served()[ROLE])
    folder = RunFolder(asked.out)
    with folder.held(["trials"]), Ledger.open(folder.ledger_file) as ledger:
        ledger.fingerprint(_deciding(settings, model))
        run_id = f"eval-{content_id(str(asked.out.resolve()))[:8]}"
        gateway = Gateway(gateway_settings, ledger, environment, Sim(settings.seed, settings.sim))
        async with Engine.connect(owner(run_id), Limits(), settings.containers) as engine, gateway:
            if problems := await gateway.check():
                raise UpstreamFailed("; ".join(f"upstream {name}: {problem}" for name, problem in problems.items()))
            await engine.reap(run_id)
            catalog = load_catalog(more=[Path(path) for path in settings.domains])
            await ensure_bases(tasks, engine, catalog.packages, watch.say)
            trials = _Trials(asked, tasks, model, folder, ledger, gateway, engine, watch, told)
            ended = await trials.work()
            await engine.reap(run_id, own=True)
            result = result_of(
                tasks,
                trials.lines,
                asked.k,
                model=asked.model,
                served_by=model,
                repeats=asked.repeats,
                ended=ended,
                unusable=unusable,
                cost_usd=ledger.totals().cost,
                settings={"seed": settings.seed, "rollout": settings.rollout.model_dump(mode="json")},
                versions={
                    "python": platform.python_version(),
                    **{name: importlib.metadata.version(name) for name in ("synth", "harbor")},
                    "docker engine": await engine.version(),
                },
            )
        write_lines(trials.lines, folder.path)
        if ended in ("done", "short"):
            save(result, folder.path)
        return result


@dataclass(frozen=True)
class _Trial:
    """One trial to make."""

    task: FoundTask
    model: str
    repeat: int

    @property
    def id(self) -> str:
        """Depends on the task's files, the model and the repeat; also names the trial's folder."""
        return f"{self.task.task_id}-{content_id(self.task.digest, self.model, self.repeat)[:8]}"

    @property
    def seed(self) -> int:
        """Seed of every request of the trial, below 2**31; another for every repeat."""
        return int(content_id("evaluation", self.task.task_id, self.model, self.repeat), 16) % 2**31


class _Trials:
    """All trials of one evaluation: which are owed, which are under way, and what came of those that are over."""

    def __init__(
        self,
        asked: Evaluation,
        tasks: Sequence[FoundTask],
        model: str,
        folder: RunFolder,
        ledger: Ledger,
        gateway: Gateway,
        engine: Engine,
        watch: Watch,
        told: Callable[[TrialLine, int, int], None],
    ) -> None:
        """Take up what earlier goes left."""
        self._asked = asked
        self._tasks = tasks
        self._folder = folder
        self._ledger = ledger
        self._book = Book(ledger, watch)
        self._gateway = gateway
        self._engine = engine
        self._watch = watch
        self._told = told
        self._trials = {
            task.task_id: [_Trial(task, model, repeat) for repeat in range(asked.repeats)] for task in tasks
        }
        self._over: dict[str, TrialLine] = {}
        self._failing: set[str] = set()
        """Tasks of which a trial was set aside since the last one that was graded."""
        self._places = asyncio.Semaphore(asked.settings.in_flight)
        self._images = asyncio.Semaphore(asked.settings.in_flight)

    @property
    def lines(self) -> list[TrialLine]:
        """What came of the trials that are over."""
        return list(self._over.values())

    async def work(self) -> Ended:
        """Make the trials that are owed."""
        for trial in (trial for trials in self._trials.values() for trial in trials):
            if (known := self._book.known(_STAGE, trial.id)) is not None:
                self._over[trial.id] = TrialLine.model_validate(known.data)
        write_lines(self.lines, self._folder.path)
        try:
            if not await until_stopped(self._all()):
                return "interrupted"
        except BudgetSpent:
            return "budget"
        return "short" if any(line.failed for line in self.lines) else "done"

    async def _all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for task in self._tasks:
                    group.create_task(self._task(task))
        except BaseExceptionGroup as failures:
            raise first_of(failures) from None

    async def _task(self, task: FoundTask) -> None:
        owed = [trial for trial in self._trials[task.task_id] if trial.id not in self._over]
        if not owed:
            return
        async with self._images:
            try:
                async with task_image(task, self._engine) as image, asyncio.TaskGroup() as group:
                    for trial in owed:
                        group.create_task(self._try(trial, image))
            except (EngineMissing, DiskFull):
                raise
            except EngineError as error:
                for trial in (trial for trial in owed if trial.id not in self._over):
                    self._end(trial, _line(trial, failed=f"no image: {error}"))

    async def _try(self, trial: _Trial, image: str | None) -> None:
        async with self._places:
            try:
                line = await self._book.step(_STAGE, trial.id, TrialLine, self._work(trial, image), trial.task.task_id)
            except SetAside as failure:
                self._failing.add(trial.task.task_id)
                if len(self._failing) >= PATIENCE:
                    raise RunStalled(f"{len(self._failing)} tasks in a row failed; the last: {failure}") from failure
                line = _line(trial, failed=str(failure))
            else:
                self._failing.clear()
        if isinstance(line, Rejection):
            raise TypeError(f"a trial is graded or breaks, and is never turned away: {line.reason}")
        self._end(trial, line)

    def _end(self, trial: _Trial, line: TrialLine) -> None:
        self._over[trial.id] = line
        with (self._folder.path / TRIALS).open("a", encoding="utf-8") as file:
            file.write(line.model_dump_json() + "\n")
        self._told(line, len(self._over), sum(map(len, self._trials.values())))

    def _work(self, trial: _Trial, image: str | None) -> Callable[[], Awaitable[TrialLine | Rejection]]:
        broken = -1

        async def work() -> TrialLine | Rejection:
            nonlocal broken
            broken += 1
            return await self._roll_out(trial, image, broken)

        return work

    async def _roll_out(self, trial: _Trial, image: str | None, broken: int) -> TrialLine:
        from trajectories.rollout import rollout

        place = self._folder.workplace(trial.id)
        with self._gateway.grant(_STAGE, trial.id, [ROLE]) as grant:
            found = await rollout(
                trial.task.folder,
                {"image": image, "owner": self._engine.owner},
                ROLE,
                grant.base_url,
                grant.token,
                place,
                trial.seed,
                self._asked.settings.rollout,
            )
            cost = grant.spent.cost
        if isinstance(found, Rejection):
            self._folder.keep_failed(place, trial.id)
            raise self._outside(found)
        self._folder.settle(place, self._folder.trials / trial.id)
        return _line(
            trial,
            reward=found.reward,
            ended=found.ended,
            turns=len(found.turns),
            checks=found.checks,
            tokens=found.tokens.model_dump(),
            cost_usd=cost,
            seconds=round(found.seconds, 1),
            broken=broken,
        )

    def _outside(self, trial: Rejection) -> Exception:
        """What a trial that broke for a reason outside the model means for the others."""
        kinds: dict[str, type[EngineError]] = {kind.__name__: kind for kind in (EngineMissing, DiskFull)}
        if self._gateway.budget_exceeded.is_set():
            return BudgetSpent(trial.detail)
        if trial.evidence.get("status") in _REFUSED:
            return UpstreamFailed(trial.detail)
        return kinds.get(str(trial.evidence.get("error")), Broken)(trial.detail)


def _line(trial: _Trial, reward: float | None = None, **fields: object) -> TrialLine:
    return TrialLine.model_validate(
        {"task_id": trial.task.task_id, "repeat": trial.repeat, "seed": trial.seed, "reward": reward, **fields}
    )


def _deciding(settings: Settings, model: str) -> dict[str, JsonValue]:
    """What may not change between two goes at one evaluation; tasks, k and repeats may."""
    deciding: dict[str, JsonValue] = {"model": model, "rollout": settings.rollout.model_dump(mode="json")}
    if model.startswith("sim:"):
        deciding |= {"seed": settings.seed, "sim": asdict(settings.sim)}
    return deciding
