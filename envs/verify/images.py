"""The images of many tasks: fetched or built once for all that share them, few at a time, and gone afterwards."""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from envs.certificate import GateResult
from envs.engine import Engine
from envs.errors import BuildFailed, DiskFull, EngineError, EngineMissing, ImageMissing
from envs.verify.dockerfile import images as images_of

LOCAL = ("synth-base/", "synth-env:")
"""Names of images that no registry has."""

NO_BRIDGE = re.compile(r"on network bridge|could not find bridge|network bridge not found", re.IGNORECASE)
"""What an engine says that has no network for containers."""


def parallel_builds() -> int:
    """How many images are built at the same time: each keeps a processor busy, and four keep the engine's disk busy."""
    return max(1, min(os.cpu_count() or 1, 4))


class Images:
    """The images of tasks that are verified together."""

    def __init__(self, engine: Engine, uses: Mapping[str, int]) -> None:
        """Take over an engine.

        Args:
            engine: where.
            uses: how many tasks there are by the key of their environment.
        """
        self.builds = 0
        self.peak_bytes = 0
        """Of the images that were built and not yet removed, beyond those that they stand on."""
        self._engine = engine
        self._uses = dict(uses)
        self._places = asyncio.Semaphore(parallel_builds())
        self._building: dict[str, asyncio.Task[GateResult]] = {}
        self._tags: dict[str, str] = {}
        self._asked: dict[str, asyncio.Task[str]] = {}
        self._pulled: set[str] = set()
        self._bytes: dict[str, int] = {}

    async def why_missing(self, image: str) -> str:
        """Why an image cannot be had; empty where it is there, or was fetched just now."""
        if image not in self._asked:
            self._asked[image] = asyncio.ensure_future(self._had(image))
        return await asyncio.shield(self._asked[image])

    async def _had(self, image: str) -> str:
        if await self._engine.has_image(image):
            return ""
        if image.startswith(LOCAL):
            # A registry may have something under such a name too, and it would be anybody's.
            return "it is built on the machine that uses it, and is not here (`synth doctor` says more)"
        try:
            await self._engine.pull(image)
        except (EngineMissing, DiskFull):
            raise
        except EngineError as error:
            return str(error)
        self._pulled.add(image)
        return ""

    async def built(self, key: str, folder: Path, *, network: bool) -> tuple[str, GateResult]:
        """The image of a folder's environment, built by whoever asks first.

        Args:
            key: of the environment; the same for all that share it.
            folder: the task folder.
            network: whether RUN instructions get one.

        Returns:
            Its tag, and the gate's result.

        Raises:
            BuildFailed: it does not build. EngineError: the engine failed.
        """
        if key not in self._building:
            # By the key and not by the content: of two keys with one image either may be through first.
            self._tags[key] = self._engine.tag(hashlib.sha256(key.encode()).hexdigest())
            work = self._build(folder / "environment", self._tags[key], network)
            self._building[key] = asyncio.ensure_future(work)
        return self._tags[key], await asyncio.shield(self._building[key])

    async def _build(self, context: Path, tag: str, network: bool) -> GateResult:
        async with self._places:
            began = time.monotonic()
            try:
                await self._engine.build(context, tag, network=network)
            except BuildFailed as error:
                # An engine may have no network of its own to give (see docs/setup.md); many builds need none.
                if not network or not NO_BRIDGE.search(error.log):
                    raise
                await self._engine.build(context, tag)
            self.builds += 1
            self._bytes[tag] = await self._weigh(context, tag)
            self.peak_bytes = max(self.peak_bytes, sum(self._bytes.values()))
        seconds = time.monotonic() - began
        return GateResult(gate="builds", name="", passed=True, expected=None, reward=None, seconds=seconds)

    async def _weigh(self, context: Path, tag: str) -> int:
        """Bytes that an image has beyond those that it stands on."""
        text = (context / "Dockerfile").read_text(encoding="utf-8", errors="replace")
        below = [await self._engine.image_bytes(image) for image in images_of(text)]
        return max(0, await self._engine.image_bytes(tag) - max(below, default=0))

    async def done(self, key: str) -> None:
        """One task of an environment is through; with the last one its image goes."""
        self._uses[key] -= 1
        if self._uses[key] == 0 and key in self._tags:
            await asyncio.shield(asyncio.ensure_future(self._engine.remove_image(self._tags[key])))
            self._bytes.pop(self._tags[key], None)

    async def close(self) -> None:
        """Stop what is under way, and remove every image that was built or fetched."""
        tasks = [*self._building.values(), *self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for image in [*self._tags.values(), *self._pulled]:
            try:
                await self._engine.remove_image(image)
            except ImageMissing:
                continue
