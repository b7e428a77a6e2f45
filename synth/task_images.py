"""Images of task folders: the base images that ours stand on, and one image a task while it is used."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from envs.engine import Engine
from envs.folder import base_of
from envs.images import BaseImageError, ImageStore
from trajectories.evaluation.tasks import FoundTask


async def ensure_bases(
    tasks: Sequence[FoundTask], engine: Engine, packages: Mapping[str, Sequence[str]], say: Callable[[str], None]
) -> None:
    """Make sure of the base images that our own tasks stand on.

    Args:
        tasks: ours and others'; what others stand on is theirs to name.
        engine: that needs the images.
        packages: Debian packages by domain, of the domains whose image has no recipe of its own.
        say: is told each step of a build.

    Raises:
        BaseImageError: one is not there and cannot be made, because its recipe is another one by now.
    """
    import docker

    for task in tasks:
        base = base_of(task.folder)
        if base is None or await engine.has_image(base.reference):
            continue
        client = docker.from_env(timeout=600)
        try:
            made = await ImageStore(client, packages=packages).ensure(task.domain, say)
        finally:
            client.close()
        if made.reference != base.reference:
            raise BaseImageError(
                f"{task.folder} stands on the base image {base.reference}, which the Docker engine does not have",
                f"load that image into the engine, or make the tasks anew (the base of {task.domain} is now"
                f" {made.reference})",
            )


@asynccontextmanager
async def task_image(task: FoundTask, engine: Engine) -> AsyncIterator[str | None]:
    """The task's image, built once for everything that is to run in it, and removed afterwards.

    It is None where the task names an image that is there to pull: the environment fetches that itself.

    Raises:
        BuildFailed, EngineError: it cannot be built.
    """
    environment = task.folder / "environment"
    if not (environment / "Dockerfile").exists():
        yield None
        return
    tag = engine.tag(task.digest)
    if not await engine.has_image(tag):
        # Other people's Dockerfiles fetch packages; ours have no instruction that would.
        await engine.build(environment, tag, network=base_of(task.folder) is None)
    try:
        yield tag
    finally:
        await asyncio.shield(engine.remove_image(tag))
