"""Many tasks verified at the same time, as far as the engine has places and the machine processors."""

import asyncio
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from envs.engine import Engine
from envs.folder import EVIDENCE, SOURCE_NAME, folder_digest
from envs.verify.bases import Map
from envs.verify.images import Images, parallel_builds
from envs.verify.report import Report, TaskReport, whole
from envs.verify.task import Bench, verify_task

CONTAINERS_A_TASK = 2
"""Places for each task that is worked on: with more tasks at once, images wait on the disk for containers."""


async def verify(
    folders: Sequence[Path],
    engine: Engine,
    *,
    repeats: int,
    maps: Sequence[Map] = (),
    told: Callable[[TaskReport, int], None] | None = None,
) -> Report:
    """Verify task folders; none of them is written to, and nothing is left in the engine.

    Args:
        folders: each with a task.toml.
        engine: where.
        repeats: how often each reference must score 1.
        maps: base images to take in the place of others.
        told: is given each task's report when it is there, and how many are.

    Raises:
        EngineMissing, DiskFull: the engine cannot go on; in a group, as several tasks may meet it.
    """
    began = time.monotonic()
    keys = {folder: await asyncio.to_thread(_key, folder) for folder in folders}
    images = Images(engine, Counter(keys.values()))
    bench = Bench(engine, images, repeats, maps)
    reports: dict[Path, TaskReport] = {}
    places = asyncio.Semaphore(max(2, engine.max_containers // CONTAINERS_A_TASK))

    async def one(folder: Path) -> None:
        async with places:
            reports[folder] = await verify_task(folder, keys[folder], bench)
        if told is not None:
            told(reports[folder], len(reports))

    try:
        async with asyncio.TaskGroup() as group:
            # Those that share an image follow each other, so that it is there for as short as may be.
            for folder in sorted(folders, key=lambda folder: (keys[folder], folder)):
                group.create_task(one(folder))
    finally:
        await images.close()
    return whole(
        [reports[folder] for folder in folders],
        builds=images.builds,
        parallel_builds=parallel_builds(),
        containers=engine.max_containers,
        peak_disk_mb=round(images.peak_bytes / 1e6, 1),
        seconds=time.monotonic() - began,
    )


def _key(folder: Path) -> str:
    """Names what a task's image is made of: those of the same name share one."""
    try:
        named = None
        if not (folder / "environment" / "Dockerfile").exists():
            environment = tomllib.loads((folder / "task.toml").read_text(encoding="utf-8")).get("environment", {})
            named = environment.get("docker_image"), environment.get("workdir")
        ours = (folder / EVIDENCE / SOURCE_NAME).is_file()
        return f"{folder_digest(folder, 'environment')} {named} {ours}"
    except (OSError, ValueError, AttributeError):
        return str(folder)
