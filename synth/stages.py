"""The stages of the flow: what each is handed, where its files go, and what the ledger keeps of it.

What the ledger calls done is on disk and whole: files are made in a workplace, renamed into place, and then recorded.
A file that is not there although the ledger speaks of it is owed again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, JsonValue

from envs.engine import Engine
from envs.errors import DiskFull, EngineError, EngineMissing, ImageMissing
from envs.folder import Base
from judges.feasibility import judge
from judges.rubric import Rubric
from judges.verdict import Judgement
from synth.audit import audited, no_row
from synth.bookkeeping import Book, Broken, BudgetSpent, Watch, rejection_of
from synth.ledger import Ledger
from synth.novelty import Novelty, NoveltyEntry, contaminated
from synth.repairs import SETUP_NAME, Repairs
from synth.rounds import rounds_of
from synth.run_folder import RunFolder
from synth.settings import Settings
from taxonomy.catalog import Catalog
from taxonomy.decontamination import Benchmarks
from taxonomy.meaning import said
from taxonomy.sampler import Sampler
from taxonomy.task import Draw, Rejection, Task, content_id
from trajectories.policy import Kept, Policy, apply
from trajectories.record import FILE_NAME, Trajectory, load, save

if TYPE_CHECKING:
    from synth.gateway.gateway import Gateway

STAGES = ("sample", "dedupe", "judge", "build", "repair", "gates", "rollout", "reexecute", "policy")
"""In the order of the flow."""


class BuildEntry(BaseModel):
    """What the ledger keeps of a built environment."""

    state: str
    """Digest of the state layer."""
    seconds: dict[str, float]
    """By part: state, instruction, solution, tests, alternative."""


class GatesEntry(BaseModel):
    """What the ledger keeps of a proven environment."""

    folder: str
    """Digest of the task folder, as its certificate states it."""
    rounds: int = 0
    """Rounds of repair that it took."""


class RolloutEntry(BaseModel):
    """What the ledger keeps of a trial; the trajectory itself is a file."""

    trajectory: str
    ended: str
    reward: float | None
    turns: int


class ReexecutionEntry(BaseModel):
    """What the ledger keeps of a re-execution."""

    reward: float | None


@dataclass(frozen=True)
class Trial:
    """One rollout to make: who solves which task, for which time."""

    task: Task
    teacher: str
    """Served name."""
    model: str
    """What serves it, as `upstream:model`."""
    repeat: int

    @property
    def id(self) -> str:
        """Depends on the task, the model behind the teacher and the repeat; also names the trial's folder."""
        return f"{self.task.id}-{content_id(self.task.id, self.model, self.repeat)[:8]}"

    @property
    def seed(self) -> int:
        """Seed of every request of the trial, below 2**31."""
        return int(content_id("trial", self.task.id, self.model, self.repeat), 16) % 2**31


@dataclass(frozen=True)
class Tools:
    """Everything that the stages work with, handed in."""

    run: RunFolder
    ledger: Ledger
    gateway: "Gateway"
    engine: Engine
    bases: Mapping[str, Base]
    """Base image by domain."""
    catalog: Catalog
    benchmarks: Benchmarks
    rubric: Rubric
    policy: Policy
    settings: Settings
    watch: Watch


class Stages:
    """The stages, for one run."""

    def __init__(self, tools: Tools) -> None:
        """Take up what earlier goes of this run left."""
        self._tools = tools
        self._ledger = tools.ledger
        self._book = Book(tools.ledger, tools.watch)
        self._settings = tools.settings
        self._sampler = Sampler(tools.catalog, tools.settings.sampler)
        self._novelty = Novelty(tools.settings.near_duplicate, tools.settings.meaning, tools.benchmarks)
        self._novelty.restore(tools.ledger)
        self._repairs = Repairs(
            tools.run, tools.ledger, self._book, tools.gateway, tools.engine, tools.settings.builder
        )

    def trials(self, task: Task) -> Sequence[Trial]:
        """The rollouts that a task gets: every teacher, `repeats` times each."""
        return [
            Trial(task, name, self._tools.gateway.served[name], repeat)
            for name in self._tools.gateway.names("teacher")
            for repeat in range(self._settings.repeats)
        ]

    async def sample(self, draw: Draw) -> Task | Rejection:
        """Have the task of a draw written."""

        async def work() -> Task | Rejection:
            with self._tools.gateway.grant("sample", draw.id, ["sampler"]) as grant:
                client = self._tools.gateway.client(grant)
                return await self._sampler.sample(draw, client)

        return await self._book.step("sample", draw.id, Task, work)

    async def dedupe(self, task: Task) -> NoveltyEntry | Rejection:
        """Hold a task against all earlier ones and against benchmarks."""

        async def work() -> NoveltyEntry | Rejection:
            if not self._tools.gateway.names("embedder"):
                return self._novelty.take(task)
            with self._tools.gateway.grant("dedupe", task.id, ["embedder"]) as grant:
                client = self._tools.gateway.client(grant)
                made = await client.embeddings.create(model="embedder", input=said(task), encoding_format="float")
            return self._novelty.take(task, made.data[0].embedding)

        return await self._book.step("dedupe", task.id, NoveltyEntry, work, parent=task.draw.id)

    def turned_away(self, draw: Draw) -> None:
        """Nothing of a draw was accepted: if it had become a task, its cluster of meaning has room for another."""
        for row in self._ledger.rows(stage="dedupe", parent=draw.id, status="done"):
            self._novelty.release(row.item)

    async def judge(self, task: Task) -> Judgement | Rejection:
        """Have the judges say whether a task is worth building."""

        async def work() -> Judgement | Rejection:
            with self._tools.gateway.grant("judge", task.id, ["judge"]) as grant:
                structured = self._tools.gateway.structured(grant)
                clients = [(name, structured) for name in self._tools.gateway.names("judge")]
                return await judge(task, clients, self._tools.rubric, self._settings.judge, self._tools.catalog)

        return await self._book.step("judge", task.id, Judgement, work, parent=task.draw.id)

    async def build(self, task: Task) -> BuildEntry | Rejection:
        """Build a task's environment into `built/<task id>`."""
        from envs.builder import build
        from envs.folder import EVIDENCE, write_folder

        place = self._tools.run.built / task.id
        judged = self._book.known("gates", task.id)
        turned_away = judged is not None and judged.status == "rejected"
        if not (place / "task.toml").exists() and not self._certified(task) and not turned_away:
            self._book.forget_done("build", task.id)
            self._repairs.forget(task)

        async def work() -> BuildEntry | Rejection:
            with self._tools.gateway.grant("build", task.id, ["builder"]) as grant:
                made = await build(
                    task,
                    self._tools.gateway.client(grant),
                    self._tools.gateway.structured(grant),
                    self._tools.engine,
                    self._tools.bases[task.draw.domain],
                    self._settings.builder,
                    others=self._tools.bases,
                )
            if isinstance(made, Rejection):
                return made
            folder = self._tools.run.workplace(f"build-{task.id}")
            write_folder(made.environment, folder)
            transcript = json.dumps(made.transcript, indent=1, ensure_ascii=False) + "\n"
            (folder / EVIDENCE / SETUP_NAME).write_text(transcript, encoding="utf-8")
            self._tools.run.settle(folder, place)
            return BuildEntry(state=made.environment.state.digest, seconds=made.seconds)

        return await self._book.step("build", task.id, BuildEntry, work, parent=task.draw.id)

    async def prove(self, task: Task) -> GatesEntry | Rejection:
        """Run the gates on the built environment, and as long as they fail have the part at fault repaired.

        What is on record are the last gates. A proven environment moves to `tasks/<task id>`, one that no round is left
        for to `rejected/`.
        """
        from envs.certificate import read_certificate
        from envs.gates import GateSettings, prove

        if not self._certified(task):
            self._book.forget_done("gates", task.id)

        async def work() -> GatesEntry | Rejection:
            proven = self._tools.run.tasks / task.id
            if not self._certified(task):
                place = self._tools.run.built / task.id
                self._repairs.note(task)
                settings = GateSettings(repeats=self._settings.reference_repeats)
                while isinstance(proof := await prove(place, self._tools.engine, settings), Rejection):
                    if not await self._repairs.another(task, proof):
                        self._tools.run.settle(place, self._tools.run.rejected / task.id)
                        return proof
                self._tools.run.settle(place, proven)
            return GatesEntry(folder=read_certificate(proven).digests.folder, rounds=len(rounds_of(proven)))

        return await self._book.step("gates", task.id, GatesEntry, work, parent=task.draw.id)

    async def discard(self, task: Task) -> None:
        """Remove the image of a task that nothing more is to be run in."""
        for place in (self._tools.run.tasks, self._tools.run.built, self._tools.run.rejected):
            if (place / task.id / "environment").is_dir():
                await self._tools.engine.remove_image(self._repairs.tag(place / task.id))

    async def image(self, task: Task) -> str:
        """The tag of a proven task's image, which the gates left in the engine or an earlier go did not."""
        from envs.folder import folder_digest

        folder = self._tools.run.tasks / task.id
        tag = self._tools.engine.tag(folder_digest(folder, "environment"))
        try:
            await self._tools.engine.image(tag)
        except ImageMissing:
            await self._tools.engine.build(folder / "environment", tag)
        return tag

    def settled(self, trial: Trial) -> bool:
        """Whether a trial came to its end in an earlier go: chosen or not, or broken for good."""
        rows = [self._ledger.get(trial.id, stage) for stage in ("rollout", "reexecute", "policy")]
        return any(row is not None and (row.status == "rejected" or row.stage == "policy") for row in rows)

    def accepted(self, trial: Trial) -> bool:
        """Whether a trial's trajectory was chosen."""
        row = self._ledger.get(trial.id, "policy")
        return row is not None and row.status == "done"

    async def roll_out(self, trial: Trial, image: str) -> Trajectory | Rejection:
        """Let a teacher try the task once; the trajectory ends in `trials/<trial id>`, labelled."""
        from trajectories.labels import label
        from trajectories.rollout import rollout

        place = self._tools.run.trials / trial.id
        if not (place / FILE_NAME).exists():
            self._book.forget_done("rollout", trial.id)

        async def work() -> RolloutEntry | Rejection:
            folder = self._tools.run.workplace(f"trial-{trial.id}")
            with self._tools.gateway.grant("rollout", trial.id, [trial.teacher]) as grant:
                result = await rollout(
                    self._tools.run.tasks / trial.task.id,
                    self._trial_environment(image),
                    trial.teacher,
                    grant.base_url,
                    grant.token,
                    folder,
                    trial.seed,
                    self._settings.rollout,
                )
                cost = grant.spent.cost
            if isinstance(result, Rejection):
                if result.reason == "infrastructure":
                    self._tools.run.keep_failed(folder, trial.id)
                    raise self._broken(result)
                return result
            result = label(result.model_copy(update={"cost_usd": cost}), self._settings.rollout.loop)
            save(result, folder)
            self._tools.run.settle(folder, place)
            return RolloutEntry(trajectory=result.id, ended=result.ended, reward=result.reward, turns=len(result.turns))

        outcome = await self._book.step("rollout", trial.id, RolloutEntry, work, parent=trial.task.id)
        return outcome if isinstance(outcome, Rejection) else load(place / FILE_NAME)

    async def reexecute(self, trial: Trial, trajectory: Trajectory, image: str) -> Trajectory | Rejection:
        """Type a trajectory's keystrokes again in a fresh container; the same reward, or it goes no further."""
        from trajectories.labels import label
        from trajectories.reexecution import reexecute

        place = self._tools.run.trials / trial.id

        async def work() -> ReexecutionEntry | Rejection:
            folder = self._tools.run.workplace(f"again-{trial.id}")
            result = await reexecute(
                trajectory,
                self._tools.run.tasks / trial.task.id,
                self._trial_environment(image),
                folder,
            )
            if isinstance(result, Rejection) and result.reason == "infrastructure":
                raise self._broken(result)
            same = not isinstance(result, Rejection)
            save(label(trajectory, self._settings.rollout.loop, reexecuted=same), place)
            return result if isinstance(result, Rejection) else ReexecutionEntry(reward=trajectory.reward)

        outcome = await self._book.step("reexecute", trial.id, ReexecutionEntry, work, parent=trial.task.id)
        return outcome if isinstance(outcome, Rejection) else load(place / FILE_NAME)

    def choose(self, trial: Trial, trajectory: Trajectory) -> Kept | Rejection:
        """Let the policy decide, and record it: from here on the trajectory is a row, or is not."""
        known = self._book.known("policy", trial.id)
        if known is not None:
            return rejection_of(known) or Kept.model_validate(known.data)
        started = self._book.began("policy")
        match = self._novelty.repeats("\n".join(message.content for message in trajectory.messages))
        verdict = contaminated("policy", match) if match else apply(self._tools.policy, trajectory)
        if audited(self._ledger, trial.task.id):
            verdict = no_row()
        rejection = verdict if isinstance(verdict, Rejection) else None
        data = {} if rejection else verdict.model_dump(mode="json")
        self._book.record("policy", trial.id, rejection, data, started, parent=trial.task.id)
        return verdict

    def worth_reexecuting(self, trajectory: Trajectory) -> bool:
        """Whether the policy asks for re-execution and nothing else speaks against the trajectory already."""
        if not self._tools.policy.needs_reexecution or trajectory.labels is None:
            return False
        if audited(self._ledger, trajectory.task_id):
            return False
        hoped = trajectory.labels.model_copy(update={"reexecuted": True})
        return isinstance(apply(self._tools.policy, trajectory.model_copy(update={"labels": hoped})), Kept)

    def _broken(self, trial: Rejection) -> Exception:
        """What a trial that broke for a reason outside the agent means for the run."""
        kinds: dict[str, type[EngineError]] = {kind.__name__: kind for kind in (EngineMissing, DiskFull)}
        if self._tools.gateway.budget_exceeded.is_set():
            return BudgetSpent(trial.detail)
        return kinds.get(str(trial.evidence.get("error")), Broken)(trial.detail)

    def _certified(self, task: Task) -> bool:
        return (self._tools.run.tasks / task.id / "certificate.json").exists()

    def _trial_environment(self, image: str) -> dict[str, JsonValue]:
        return {"image": image, "owner": self._tools.engine.owner}
