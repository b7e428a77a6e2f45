"""State-equivalence of a replay result: which steps are executed, in which environments, and how it goes on."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from envs.engine import Engine, Limits, owner
from envs.errors import DiskFull, EngineError, EngineMissing
from synth.stopping import first_of, until_stopped
from synth.task_images import ensure_bases, task_image
from taxonomy.catalog import load_catalog
from taxonomy.task import content_id
from trajectories.evaluation.tasks import FoundTask, find_tasks
from trajectories.replay.equivalence import chosen, equivalence
from trajectories.replay.equivalence_result import (
    StepEquivalence,
    add_row,
    answer_digest,
    figures,
    read_rows,
    save,
)
from trajectories.replay.result import PREDICTIONS, ResultError, load
from trajectories.replay.score import read_predictions
from trajectories.replay.step import Step, digest, read_steps

CONTAINERS_A_STEP = 4
"""One where nothing is typed, two of the teacher's, one of the student's."""


@dataclass(frozen=True)
class Asked:
    """What is asked for."""

    steps: Path
    result: Path
    """Folder of the replay result."""
    tasks: tuple[Path, ...]
    limit: int | None
    containers: int
    """That run at once."""


async def execute(
    asked: Asked, say: Callable[[str], None], told: Callable[[StepEquivalence, int, int], None]
) -> tuple[dict[str, Any], Literal["done", "short", "interrupted"]]:
    """Execute the chosen steps that are owed.

    Args:
        asked: steps, answers, tasks.
        say: is told what a person should know.
        told: is given every step that is executed, how many are, and how many there are to be.

    Returns:
        The figures, and how it ended; `short` where steps broke for reasons outside the answers. The figures are in the
        result's folder too, unless it was interrupted.

    Raises:
        StepsError, ResultError, TasksError: a file or folder cannot be used, or they are not of one step set.
        EngineMissing, DiskFull, BaseImageError: something needed is missing.
    """
    steps = read_steps(asked.steps)
    result = load(asked.result)
    if (sha256 := digest(steps)) != result.steps_sha256:
        raise ResultError(
            f"{asked.result}: answers the step set {result.steps_sha256[:12]}, and {asked.steps} is {sha256[:12]}"
        )
    texts = dict(zip([step.key for step in steps], read_predictions(asked.result / PREDICTIONS, steps), strict=True))
    tasks = {task.task_id: task for task in find_tasks(asked.tasks)[0]}
    at_hand = [step for step in steps if step.task_id in tasks]
    if not at_hand:
        raise ResultError(f"{asked.tasks[0]}: none of the steps' tasks is there ({steps[0].task_id}, ...)")
    skipped = Counter({"no-environment": len(steps) - len(at_hand)} if len(at_hand) < len(steps) else {})
    wanted = chosen(at_hand, asked.limit)
    known = {row.key: row for row in read_rows(asked.result) if row.outcome != "broken"}
    rows = {
        step.key: row
        for step in wanted
        if (row := known.get(step.key)) is not None and row.answer == answer_digest(texts[step.key])
    }
    run_id = f"equivalence-{content_id(str(asked.result.resolve()))[:8]}"
    async with Engine.connect(owner(run_id), Limits(), asked.containers) as engine:
        await engine.reap(run_id)
        ours = [tasks[task_id] for task_id in sorted({step.task_id for step in wanted})]
        await ensure_bases(ours, engine, load_catalog().packages, say)
        places = asyncio.Semaphore(max(1, asked.containers // CONTAINERS_A_STEP))

        def over(row: StepEquivalence) -> None:
            rows[row.key] = row
            add_row(row, asked.result)
            told(row, len(rows), len(wanted))

        async def one(step: Step, task: FoundTask, image: str | None) -> None:
            async with places:
                kwargs = {"image": image, "owner": engine.owner}
                over(await equivalence(step, texts[step.key], task.folder, kwargs))

        async def of_task(task: FoundTask, owed: Sequence[Step]) -> None:
            try:
                async with task_image(task, engine) as image, asyncio.TaskGroup() as group:
                    for step in owed:
                        group.create_task(one(step, task, image))
            except (EngineMissing, DiskFull):
                raise
            except EngineError as error:
                for step in (step for step in owed if step.key not in rows):
                    over(_broken(step, texts[step.key], f"no image: {error}"))

        async def everything() -> None:
            owed: dict[str, list[Step]] = {}
            for step in wanted:
                if step.key not in rows:
                    owed.setdefault(step.task_id, []).append(step)
            try:
                # One task after the other: only its image is there meanwhile, and its steps fill the places.
                for task_id, its in owed.items():
                    await of_task(tasks[task_id], its)
            except BaseExceptionGroup as failures:
                raise first_of(failures) from None

        ended = await until_stopped(everything())
        await engine.reap(run_id, own=True)
    found = {"steps_sha256": sha256, "chosen": len(wanted), **figures(list(rows.values()), skipped)}
    if not ended:
        return found, "interrupted"
    save(list(rows.values()), found, asked.result)
    return found, "short" if found["broken"] else "done"


def _broken(step: Step, text: str | None, why: str) -> StepEquivalence:
    return StepEquivalence(
        task_id=step.task_id,
        sample_idx=step.sample_idx,
        step_idx=step.step_idx,
        answer=answer_digest(text),
        outcome="broken",
        detail=" ".join(why.split())[:300],
    )
