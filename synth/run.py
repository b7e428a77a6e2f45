"""One go at a run: everything the factory works with is opened, the factory runs, rows are written, all is closed.

However a go ends (done, short, interrupted, out of money, a server gone), the rows of what was accepted so far are
written, and the same command goes on from there.
"""

import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from envs.engine import Engine, Limits, owner
from envs.folder import Base
from envs.images import ImageStore
from judges.rubric import load_rubric
from synth.bookkeeping import BudgetSpent, UpstreamFailed, Watch
from synth.factory import Factory, Order
from synth.gateway.gateway import Gateway
from synth.ledger import Ledger, StageCount, Totals
from synth.lock import lock
from synth.rows import accepted, write, write_contamination
from synth.run_folder import RunFolder
from synth.settings import Settings
from synth.sim.model import Sim
from synth.stages import Tools
from synth.stopping import until_stopped
from taxonomy.benchmarks import read_benchmarks
from taxonomy.catalog import Catalog
from taxonomy.decontamination import Benchmarks
from taxonomy.task import content_id
from trajectories.policy import load_policy

LEAST_FREE_MB = 2_000
"""Free disk below which a run does not begin: images and trials of a small run need about as much."""


class CannotServe(Exception):
    """The built-in model has no scenarios for a domain that is asked for."""


class NoSpace(Exception):
    """A disk that the run writes to is as good as full."""


class Summary(BaseModel):
    """How a run stands after a go at it."""

    run: str
    accepted: int
    n: int
    candidates: int
    seconds: float
    """Of this go."""
    cost_usd: float | None
    """Of the whole run; None when any call's price is unknown."""
    tokens: dict[str, int]
    rows: dict[str, str]
    """Paths of the row files by format."""
    ended: Literal["done", "short", "interrupted", "budget"]
    rejected: dict[str, dict[str, int]]
    """How many items each stage turned away, by reason."""


@dataclass(frozen=True)
class Go:
    """What one go is made of."""

    folder: RunFolder
    order: Order
    settings: Settings
    catalog: Catalog
    watch: Watch
    environment: Mapping[str, str]
    """Where keys are looked up."""
    follow: Callable[[Callable[[], tuple[dict[str, StageCount], Totals]]], None]
    """Is handed where counts and sums can be read from, once the ledger is open."""


async def go(this: Go) -> Summary:
    """Work on a run until it is done or something ends it.

    Raises:
        RunBusy, RunUnreadable, LedgerError, FingerprintMismatch: the folder is not ours to go on with.
        CannotServe, PolicyError, BenchmarkError, MissingKey, UnknownPrice: the settings do not serve the order.
        EngineMissing, DiskFull, BaseImageError, NoSpace, UpstreamFailed, RunStalled: something needed is missing.
    """
    started = time.monotonic()
    settings, order = this.settings, this.order
    policy, rubric = load_policy(settings.policy), load_rubric()
    benchmarks = Benchmarks(read_benchmarks([Path(path) for path in settings.benchmarks]))
    sim = Sim(settings.seed, settings.sim)
    _sim_serves(settings, order, sim)
    catalog = _drawn_from(this.catalog, settings, order, sim)
    with this.folder.held():
        _has_space(this.folder.path)
        with Ledger.open(this.folder.ledger_file) as ledger:
            asked = {"domains": list(order.domains), "catalog": catalog.id, **settings.deciding()}
            ledger.fingerprint(asked)
            this.folder.write_settings({"domains": list(order.domains), **settings.model_dump(mode="json")})
            run_id = f"{this.folder.path.name}-{content_id(str(this.folder.path.resolve()))[:8]}"
            gateway = Gateway(settings.gateway(), ledger, this.environment, sim)
            async with _engine(run_id, settings) as engine, gateway:
                await _upstreams_answer(gateway)
                await _reap(engine, run_id, this.watch)
                bases = await _bases(order, catalog, engine, this.watch)
                versions = lock(bases, await engine.version(), settings, catalog, rubric)
                this.folder.write(this.folder.lock_file, json.dumps(versions, indent=2) + "\n")
                tools = Tools(
                    run=this.folder,
                    ledger=ledger,
                    gateway=gateway,
                    engine=engine,
                    bases=bases,
                    catalog=catalog,
                    benchmarks=benchmarks,
                    rubric=rubric,
                    policy=policy,
                    settings=settings,
                    watch=this.watch,
                )
                factory = Factory(order, tools)
                this.follow(lambda: (ledger.funnel(), ledger.totals()))
                ended = await _worked(factory, order)
                await engine.reap(run_id, own=True)
            files = accepted(this.folder, ledger)
            rows = write(files, len(files), this.folder.rows, this.folder, ledger, policy).rows
            write_contamination(this.folder, ledger)
            totals = ledger.totals()
            return Summary(
                run=str(this.folder.path),
                accepted=factory.accepted,
                n=order.n,
                candidates=factory.candidates,
                seconds=round(time.monotonic() - started, 1),
                cost_usd=totals.cost,
                tokens={"prompt": totals.prompt_tokens, "completion": totals.completion_tokens},
                rows=rows,
                ended=ended,
                rejected={stage: count.rejected for stage, count in ledger.funnel().items() if count.rejected},
            )


async def _worked(factory: Factory, order: Order) -> Literal["done", "short", "interrupted", "budget"]:
    try:
        if not await until_stopped(factory.run()):
            return "interrupted"
    except BudgetSpent:
        return "budget"
    return "done" if factory.accepted >= order.n else "short"


def _sim_serves(settings: Settings, order: Order, sim: Sim) -> None:
    gateway = settings.gateway()
    needed = [
        name
        for name, model in gateway.served().items()
        if gateway.upstreams[model.upstream].kind == "sim" and name != "student"
    ]
    missing = [domain for domain in order.domains if domain not in sim.domains()]
    if needed and missing:
        raise CannotServe(
            f"the built-in model has no scenarios for {', '.join(missing)} yet (it has: {', '.join(sim.domains())}), "
            f"and it serves the {', '.join(needed)}"
        )


def _drawn_from(catalog: Catalog, settings: Settings, order: Order, sim: Sim) -> Catalog:
    """The catalog as far as it can be served: the built-in sampler knows only the topics of its scenarios."""
    gateway = settings.gateway()
    by_sim = any(gateway.upstreams[model.upstream].kind == "sim" for model in gateway.roles["sampler"])
    return catalog.only({domain: sim.topics(domain) if by_sim else None for domain in order.domains})


@asynccontextmanager
async def _engine(run_id: str, settings: Settings) -> AsyncIterator[Engine]:
    engine = Engine.connect(owner(run_id), Limits(), settings.containers)
    async with engine:
        yield engine


async def _upstreams_answer(gateway: Gateway) -> None:
    """Ask before the run, because a call that fails later is tried again for minutes before it is given up."""
    problems = await gateway.check()
    if problems:
        raise UpstreamFailed("; ".join(f"upstream {name}: {problem}" for name, problem in problems.items()))


async def _reap(engine: Engine, run_id: str, watch: Watch) -> None:
    reaped = await engine.reap(run_id)
    if reaped.containers or reaped.images:
        watch.say(f"removed what an earlier go left: {reaped.containers} containers, {reaped.images} images")


async def _bases(order: Order, catalog: Catalog, engine: Engine, watch: Watch) -> dict[str, Base]:
    import docker

    client = docker.from_env(timeout=600)
    try:
        store = ImageStore(client, packages=catalog.packages)
        images = {domain: await store.ensure(domain, watch.say) for domain in order.domains}
    finally:
        client.close()
    return {
        domain: Base(image.reference, image.id, tuple(sorted((await engine.image(image.id)).capabilities)))
        for domain, image in images.items()
    }


def _has_space(path: Path) -> None:
    free = shutil.disk_usage(path).free // 1_000_000
    if free < LEAST_FREE_MB:
        raise NoSpace(f"{path}: {free} MB are free, a run needs at least {LEAST_FREE_MB} MB")
