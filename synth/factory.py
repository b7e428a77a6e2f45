"""The factory: the flow of one item from draw to row, and how many items are under way at once.

The flow is written once, here, and reads from top to bottom; what each stage does and how it is recorded stands in
`synth.stages`. A run that was stopped anywhere goes on from there, because every stage looks at the ledger first.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from synth.bookkeeping import SetAside
from synth.drawing import Drawing
from synth.stages import Stages, Tools, Trial
from taxonomy.task import Draw, Rejection, Task

PATIENCE = 8
"""Items set aside in a row before the run stops: then it is not the items."""


class RunStalled(Exception):
    """Item after item fails for reasons outside the items."""


@dataclass(frozen=True)
class Order:
    """What is asked of a run."""

    domains: tuple[str, ...]
    n: int
    """Accepted trajectories wanted."""
    max_candidates: int
    """Draws that may be tried for them."""


class Factory:
    """One run in the making."""

    def __init__(self, order: Order, tools: Tools) -> None:
        """Take up the run where the ledger says it stands."""
        self._order = order
        self._tools = tools
        self._stages = Stages(tools)
        self._accepted = sum(1 for _ in tools.ledger.rows(stage="policy", status="done"))
        self._candidates = 0
        self._drawing = Drawing(tools.catalog, order.domains, tools.settings.seed, tools.ledger)
        self._working = 0
        self._set_aside = 0

    @property
    def accepted(self) -> int:
        """Accepted trajectories so far, of earlier goes too."""
        return self._accepted

    @property
    def candidates(self) -> int:
        """Draws that were tried, in earlier goes too."""
        return max(self._candidates, sum(1 for _ in self._tools.ledger.rows(stage="sample")))

    async def run(self) -> None:
        """Work until `n` trajectories are accepted or no candidate is left.

        Candidates are taken in the order of their draws, and never more at once than trajectories are still wanted, so
        that none is left over. Draws lean towards what is short, so topics and axis values that fail more often are
        drawn more often (`taxonomy.balance`).

        Raises:
            BudgetSpent, UpstreamFailed, RunStalled, EngineError: nothing more gets through; what is done is on record.
        """
        working: set[asyncio.Task[None]] = set()
        try:
            while True:
                while self._may_begin():
                    working.add(asyncio.create_task(self._candidate(self._next())))
                    self._working = len(working)
                if not working:
                    return
                ended, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                self._working = len(working)
                # All are asked, so that none of several failures is reported by the event loop as overlooked.
                failures = [failure for task in ended if (failure := task.exception()) is not None]
                if failures:
                    raise failures[0]
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def _may_begin(self) -> bool:
        return (
            self._candidates < self._order.max_candidates
            and self._working < self._tools.settings.in_flight
            and self._accepted + self._working < self._order.n
        )

    def _next(self) -> Draw:
        self._candidates += 1
        return self._drawing.next()

    async def _candidate(self, drawn: Draw) -> None:
        try:
            accepted = await self._flow(drawn)
        except SetAside as failure:
            self._tools.watch.say(f"set aside: {failure}")
            self._set_aside += 1
            if self._set_aside >= PATIENCE:
                raise RunStalled(f"{self._set_aside} items in a row failed; the last: {failure}") from failure
        else:
            self._set_aside = 0
            self._drawing.ended(drawn, accepted)
            if not accepted:
                self._stages.turned_away(drawn)

    async def _flow(self, drawn: Draw) -> bool:
        """The way of one item; whether a trajectory of it is accepted, in this go or in an earlier one."""
        task = await self._stages.sample(drawn)
        if isinstance(task, Rejection) or isinstance(await self._stages.dedupe(task), Rejection):
            return False
        if isinstance(await self._stages.judge(task), Rejection):
            return False
        if isinstance(await self._stages.build(task), Rejection):
            return False
        async with self._image_gone_after(task):
            if isinstance(await self._stages.prove(task), Rejection):
                return False
            trials = self._stages.trials(task)
            owed = [trial for trial in trials if not self._stages.settled(trial)]
            image = await self._stages.image(task) if owed else ""
            stands = not any(self._stages.accepted(trial) for trial in trials)
            for trial in owed:
                # An item stands for one of those still wanted; a second trajectory of it may be one too many.
                if stands or self._accepted + self._working <= self._order.n:
                    stands = not await self._trial(trial, image) and stands
        return any(self._stages.accepted(trial) for trial in trials)

    async def _trial(self, trial: Trial, image: str) -> bool:
        """One rollout of a proven task, up to the policy; whether its trajectory is accepted."""
        trajectory = await self._stages.roll_out(trial, image)
        if isinstance(trajectory, Rejection):
            return False
        if self._stages.worth_reexecuting(trajectory):
            again = await self._stages.reexecute(trial, trajectory, image)
            if isinstance(again, Rejection):
                return False
            trajectory = again
        chosen = not isinstance(self._stages.choose(trial, trajectory), Rejection)
        self._accepted += chosen
        return chosen

    @asynccontextmanager
    async def _image_gone_after(self, task: Task) -> AsyncIterator[None]:
        """The task's image, which the builder leaves for gates, repairs and rollouts, goes when they are done."""
        try:
            yield
        finally:
            await asyncio.shield(self._stages.discard(task))
