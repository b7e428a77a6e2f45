"""The stage between two goes at the gates: the part at fault is rewritten, round by round, and each round is recorded.

A round is on disk first: the environment with the part rewritten takes the place of the one before it in one move, and
carries `rounds.json`, which tells of every round so far. Then the ledger is told. Whatever is killed in between, the
folder is whole, and says itself how many rounds it has gone through.
"""

import asyncio
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, JsonValue

from envs.builder_settings import BuilderSettings, Part
from envs.engine import Engine
from envs.folder import EVIDENCE, folder_digest, read_folder, write_folder
from envs.rounds import Round, part_at_fault
from synth.bookkeeping import Book
from synth.ledger import Ledger, StageRow
from synth.rounds import FILE_NAME, rounds_of, rounds_text
from synth.run_folder import RunFolder
from taxonomy.task import Rejection, Task

if TYPE_CHECKING:
    from synth.gateway.gateway import Gateway

SETUP_NAME = "setup.json"
"""The setup agent's conversation, in the evidence."""


class RepairEntry(BaseModel):
    """What the ledger keeps of a round."""

    round: int
    """From 1."""
    part: Part
    """What was rewritten."""
    reason: str
    """Of the gates."""
    detail: str
    seconds: float


class Repairs:
    """Rounds of repair, for one run."""

    def __init__(
        self, run: RunFolder, ledger: Ledger, book: Book, gateway: "Gateway", engine: Engine, settings: BuilderSettings
    ) -> None:
        """Take what the rounds are made with."""
        self._run = run
        self._ledger = ledger
        self._book = book
        self._gateway = gateway
        self._engine = engine
        self._settings = settings

    def forget(self, task: Task) -> None:
        """A task's environment is not there any more: its rounds are owed again."""
        for row in self._ledger.rows(stage="repair", parent=task.id):
            self._ledger.forget(row.item, "repair")

    def note(self, task: Task) -> None:
        """Record the rounds that a killed go had on disk but not in the ledger."""
        for one in rounds_of(self._run.built / task.id):
            if self._book.known("repair", _item(task, one.round)) is None:
                self._ledger.record(_row(task, one))

    async def another(self, task: Task, rejection: Rejection) -> bool:
        """Have the part at fault rewritten, in a round or, where no usable answer comes, in several.

        Args:
            task: whose environment lies in `built/`.
            rejection: of the gates.

        Returns:
            Whether the environment is another one now; else the rounds are used up, and it is as it was.

        Raises:
            SetAside, UpstreamFailed, BudgetSpent, EngineMissing, DiskFull: as `Book.step`.
        """
        place = self._run.built / task.id
        while (number := len(rounds_of(place)) + 1) <= self._settings.repair_rounds:

            async def work(number: int = number) -> RepairEntry | Rejection:
                return await self._round(task, place, rejection, number)

            # The folder says which rounds there were; what the ledger has beyond them is owed again.
            self._ledger.forget(_item(task, number), "repair")
            made = await self._book.step("repair", _item(task, number), RepairEntry, work, parent=task.id)
            if not isinstance(made, Rejection):
                return True
        return False

    async def _round(self, task: Task, place: Path, rejection: Rejection, number: int) -> RepairEntry | Rejection:
        from envs.builder import Workshop
        from envs.repair import repair

        began, earlier = time.monotonic(), rounds_of(place)
        part = part_at_fault(rejection, earlier)
        with self._gateway.grant("repair", _item(task, number), ["builder"]) as grant:
            shop = Workshop(
                self._gateway.client(grant), self._gateway.structured(grant), self._engine, self._settings
            )
            made = await repair(read_folder(place), rejection, part, shop, number)
        this = Round(number, part, rejection.reason, rejection.detail, seconds=round(time.monotonic() - began, 3))
        if isinstance(made, Rejection):
            self._run.write(
                place / EVIDENCE / FILE_NAME, rounds_text([*earlier, replace(this, outcome=made.reason)])
            )
            told: dict[str, JsonValue] = {"round": number, "part": part, "for": rejection.reason}
            return made.model_copy(update={"evidence": {**made.evidence, **told}})
        before = self.tag(place)
        folder = self._run.workplace(f"repair-{task.id}")
        write_folder(made.environment, folder)
        if made.transcript is not None:
            text = json.dumps(made.transcript, indent=1, ensure_ascii=False) + "\n"
            (folder / EVIDENCE / SETUP_NAME).write_text(text, encoding="utf-8")
        elif (place / EVIDENCE / SETUP_NAME).exists():
            shutil.copyfile(place / EVIDENCE / SETUP_NAME, folder / EVIDENCE / SETUP_NAME)
        (folder / EVIDENCE / FILE_NAME).write_text(rounds_text([*earlier, this]), encoding="utf-8")
        self._run.settle(folder, place)
        if before != made.image:
            await asyncio.shield(asyncio.ensure_future(self._engine.remove_image(before)))
        return _entry(this)

    def tag(self, folder: Path) -> str:
        """Name of the image of a task folder."""
        return self._engine.tag(folder_digest(folder, "environment"))


def _item(task: Task, number: int) -> str:
    return f"{task.id}/{number}"


def _entry(one: Round) -> RepairEntry:
    return RepairEntry(round=one.round, part=one.part, reason=one.reason, detail=one.detail, seconds=one.seconds)


def _row(task: Task, one: Round) -> StageRow:
    """The row of a round that is on disk alone."""
    item, parent = _item(task, one.round), task.id
    if not one.outcome:
        data = _entry(one).model_dump(mode="json")
        return StageRow(item=item, stage="repair", status="done", parent=parent, seconds=one.seconds, data=data)
    evidence: dict[str, JsonValue] = {"round": one.round, "part": one.part, "for": one.reason}
    lost = Rejection(
        stage="repair", reason=one.outcome, detail="the model gave no usable answer", evidence=evidence
    )
    return StageRow(
        item=item,
        stage="repair",
        status="rejected",
        reason=lost.reason,
        detail=lost.detail,
        parent=parent,
        seconds=one.seconds,
        data=lost.model_dump(mode="json"),
    )
