"""Judges held against gold tasks: asked through the gateway as the factory asks them, outside of any run."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from judges.calibration import Calibration, Seat, calibrate
from judges.feasibility import JudgeSettings, opinions
from judges.gold import Gold, load_gold
from judges.rubric import Rubric, load_rubric
from judges.verdict import Opinion
from synth.bookkeeping import Book, BudgetSpent, SetAside, UpstreamFailed, Watch
from synth.evaluation import named
from synth.gateway.gateway import Gateway
from synth.gateway.settings import GatewaySettings
from synth.ledger import Ledger
from synth.report.verdicts import Executed
from synth.settings import Settings
from synth.sim.model import Sim
from synth.stopping import first_of, until_stopped
from taxonomy.catalog import Catalog, load_catalog
from taxonomy.drift import drift

Ended = Literal["done", "short", "interrupted", "budget"]


@dataclass(frozen=True)
class Asked:
    """What is asked for."""

    gold: Path | None
    """Folder of gold tasks; None is the shipped set."""
    judges: tuple[str, ...]
    """Models (`upstream:model`, a role, `sim`); none are those of the settings."""
    settings: Settings


class Calibrated(BaseModel):
    """What came of it."""

    ended: Ended
    """`short` where a task could not be judged for reasons outside of the judges."""
    calibration: Calibration | None
    """Over the tasks that were judged; None where none was."""
    unanswered: dict[str, str]
    """Gold tasks that could not be judged, with the reason."""
    runs: list[Executed]
    """Past runs: verdicts against what came of the tasks."""
    by_sim: bool
    """Whether a judge is the built-in model, which is no language model."""
    cost_usd: float | None
    """None when any call's price is unknown."""


class _Panel(BaseModel):
    """The answers of all seats on one task; None where none was valid."""

    answers: list[Opinion | None]


async def work(
    asked: Asked, runs: Sequence[Executed], watch: Watch, environment: Mapping[str, str]
) -> Calibrated:
    """Have every gold task judged by every seat of the panel, and count.

    Args:
        asked: gold set, judges, settings; as many verdicts on each task as in a run, and at least one of each judge.
        runs: what past runs say, for the result.
        watch: is told what a person should know.
        environment: where keys are looked up.

    Raises:
        GoldError, CatalogError, RubricError: a file cannot be used.
        BadEvaluation: a judge is named that there is not.
        MissingKey, UnknownPrice, UpstreamFailed: the settings do not serve the judges.
    """
    settings = asked.settings
    catalog, rubric = load_catalog(more=[Path(path) for path in settings.domains]), load_rubric()
    gold = load_gold(catalog, rubric, asked.gold)
    gateway_settings = _served(asked)
    models = gateway_settings.roles["judge"]
    judging = settings.judge.model_copy(update={"judges": max(settings.judge.judges, len(models))})
    found: dict[str, _Panel] = {}
    unanswered: dict[str, str] = {}
    # The calls are of no run, so their ledger goes with the answer that they were made for.
    with tempfile.TemporaryDirectory() as place, Ledger.open(Path(place) / "ledger.sqlite") as ledger:
        gateway = Gateway(gateway_settings, ledger, environment, Sim(settings.seed, settings.sim))
        async with gateway:
            if problems := await gateway.check():
                raise UpstreamFailed("; ".join(f"upstream {name}: {problem}" for name, problem in problems.items()))
            panel = _Judging(gateway, Book(ledger, watch), rubric, judging, catalog, settings.in_flight)
            ended = await _worked(panel.all(gold, found, unanswered))
        cost = ledger.totals().cost
    judged = [one for one in gold if one.id in found]
    names = gateway.names("judge")
    seats = [
        Seat(
            names[number % len(names)] + (f" #{number + 1}" if judging.judges > len(names) else ""),
            str(models[number % len(names)]),
            {one.id: found[one.id].answers[number] for one in judged},
        )
        for number in range(judging.judges)
    ]
    drifted = [one.id for one in judged if drift(one.task, catalog)]
    return Calibrated(
        ended="short" if ended == "done" and unanswered else ended,
        calibration=calibrate(judged, seats, drifted, rubric, judging) if judged else None,
        unanswered=unanswered,
        runs=[*runs],
        by_sim=any(gateway_settings.upstreams[model.upstream].kind == "sim" for model in models),
        cost_usd=cost,
    )


def _served(asked: Asked) -> GatewaySettings:
    settings = asked.settings
    models = [named(settings, name, "--judge") for name in asked.judges] or list(settings.roles["judge"])
    return GatewaySettings.model_validate(
        {"roles": {"judge": models}, "upstreams": dict(settings.upstreams), "max_cost_usd": settings.max_cost_usd}
    )


async def _worked(work: Awaitable[None]) -> Ended:
    async def running() -> None:
        await work

    try:
        return "done" if await until_stopped(running()) else "interrupted"
    except BudgetSpent:
        return "budget"


@dataclass(frozen=True)
class _Judging:
    """The panel at work."""

    gateway: Gateway
    book: Book
    rubric: Rubric
    settings: JudgeSettings
    catalog: Catalog
    in_flight: int

    async def all(self, gold: Sequence[Gold], found: dict[str, _Panel], unanswered: dict[str, str]) -> None:
        """Ask about every task, so many at a time; answers go into `found`, failures into `unanswered`."""
        places = asyncio.Semaphore(self.in_flight)

        async def one(task: Gold) -> None:
            async with places:
                try:
                    made = await self.book.step("judge", task.id, _Panel, self._asking(task))
                except SetAside as failure:
                    unanswered[task.id] = str(failure)
                else:
                    if isinstance(made, _Panel):
                        found[task.id] = made
                    else:
                        unanswered[task.id] = made.detail

        try:
            async with asyncio.TaskGroup() as group:
                for task in gold:
                    group.create_task(one(task))
        except BaseExceptionGroup as failures:
            raise first_of(failures) from None

    def _asking(self, task: Gold) -> Callable[[], Awaitable[_Panel]]:
        async def asking() -> _Panel:
            with self.gateway.grant("judge", task.id, ["judge"]) as grant:
                structured = self.gateway.structured(grant)
                clients = [(name, structured) for name in self.gateway.names("judge")]
                answers = await opinions(task.task, clients, self.rubric, self.settings, self.catalog)
            return _Panel(answers=[answer if isinstance(answer, Opinion) else None for answer in answers])

        return asking
