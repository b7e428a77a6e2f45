"""The Docker engine, through the SDK and without the `docker` program: containers and images.

A started container is spoken to over its own standard streams
(see `envs/container`), because each exec or archive call of the engine costs about 100 ms of processor time.
"""

import asyncio
import functools
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import docker.types

from envs.container.channel import COURIER_COMMAND, Channel, CourierChannel, ExecChannel
from envs.container.container import ROOT, Change, Container, Ran
from envs.errors import BuildFailed, ContainerGone, DiskFull, EngineError, EngineMissing, ImageMissing
from envs.owner import LABEL, alive, owner
from envs.reaper import Reaped, reap, remove_container, remove_image
from envs.sdk import Sdk, is_full

__all__ = [
    "LABEL",
    "BuildFailed",
    "Change",
    "Container",
    "ContainerGone",
    "DiskFull",
    "Engine",
    "EngineError",
    "EngineMissing",
    "ImageMissing",
    "Limits",
    "Ran",
    "Reaped",
    "alive",
    "owner",
]

CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "SETUID",
    "SETGID",
    "KILL",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
)
"""What root in a container keeps: files of any owner, switching users, ending processes, low ports."""

CAPABILITIES_LABEL = "synth.capabilities"
"""Of an image: which of `MORE_CAPABILITIES` its containers need, joined by commas."""

MORE_CAPABILITIES = frozenset({"NET_ADMIN", "NET_RAW"})
"""What an image may ask for. Granted in containers without a network alone: there they reach only the container's own
interfaces."""

IMAGES = "synth-env"
"""Repository of environment images."""


@dataclass(frozen=True)
class Limits:
    """What one container may use."""

    cpus: float = 1.0
    memory_mb: int = 1024
    """Swap included."""
    processes: int = 512
    file_mb: int = 2048
    """Size of any one file: a runaway writer meets this before it fills the engine's disk."""


@dataclass(frozen=True)
class ImageFacts:
    """What the engine tells of an image."""

    id: str
    user: str
    """As the image states it; empty means root."""
    has_entrypoint: bool
    capabilities: frozenset[str] = frozenset()
    """What it asks for, of `MORE_CAPABILITIES`."""


class Engine:
    """A Docker engine, used on behalf of one owner. Use it from one event loop and close it (`async with`)."""

    def __init__(self, sdk: Sdk, owner: str, limits: Limits | None = None, max_containers: int = 16):
        """Take over a connection.

        Args:
            sdk: closed with the engine.
            owner: label value of everything made here; see `owner()`.
            limits: of each container.
            max_containers: how many of `container()` may be open at once; more wait.
        """
        self.owner = owner
        self.limits = limits or Limits()
        self.max_containers = max_containers
        self._sdk = sdk
        self._free = asyncio.Semaphore(max_containers)
        self._facts: dict[str, ImageFacts] = {}
        self._listings: dict[str, asyncio.Task[frozenset[str]]] = {}
        self._chores: set[asyncio.Task[Any]] = set()

    @classmethod
    def connect(cls, owner: str, limits: Limits | None = None, max_containers: int = 16) -> Self:
        """Connect to the engine that `DOCKER_HOST` names, or the local one.

        Raises:
            EngineMissing: none answers.
        """
        return cls(Sdk.connect(), owner, limits, max_containers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def settle(self) -> None:
        """Wait for what a cancelled caller left under way: removals, and containers whose paths are being read."""
        while under_way := [*self._chores, *(task for task in self._listings.values() if not task.done())]:
            await asyncio.gather(*under_way, return_exceptions=True)

    async def close(self) -> None:
        """Wait for removals under way and let go of the connection."""
        await self.settle()
        self._sdk.close()

    async def version(self) -> str:
        """Version of the engine, such as `20.10.24`."""
        return str((await self._sdk.call(self._sdk.api.version))["Version"])

    @asynccontextmanager
    async def container(
        self,
        image: str,
        *,
        network: bool = False,
        labels: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> AsyncIterator[Container]:
        """A fresh, running container, surely removed when the context ends, cancelled or not.

        Args:
            image: reference or id.
            network: whether it gets one.
            labels: besides the owner.
            limits: None is the engine's.
            env: environment of every command in it.
            workdir: of every command in it; None is the image's own.

        Raises:
            EngineMissing, DiskFull, ImageMissing, EngineError: it cannot be made or started.
        """
        async with self._free:
            container = await self.start(image, network=network, labels=labels, limits=limits, env=env, workdir=workdir)
            try:
                yield container
            finally:
                await self._surely(container.remove())

    async def start(
        self,
        image: str,
        *,
        network: bool = False,
        labels: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> Container:
        """As `container`, without counting it and without an end: the caller calls `Container.remove`."""
        facts = await self.image(image)
        name = f"synth-{secrets.token_hex(8)}"
        options: dict[str, Any] = {
            "labels": {**(labels or {}), LABEL: self.owner},
            "environment": dict(env or {}),
            "working_dir": workdir,
            "host_config": self._host_config(limits or self.limits, network, facts.capabilities),
        }
        another = functools.partial(
            self.start, image, network=network, labels=labels, limits=limits, env=env, workdir=workdir
        )
        making = asyncio.ensure_future(self._open(image, facts, name, options, another))
        try:
            return await asyncio.shield(making)
        except BaseException:
            # The thread that makes the container cannot be stopped: let it finish, then take away what it made.
            await self._surely(self._after(making, name))
            raise

    async def _after(self, making: asyncio.Future[Container], name: str) -> None:
        await asyncio.wait([making])
        if not making.cancelled() and making.exception() is None:
            await making.result().remove()
        else:
            await self._discard(name)

    @asynccontextmanager
    async def like(self, container: Container) -> AsyncIterator[Container]:
        """A fresh container of the same image, with the same limits, network, environment and folder as another.

        Started past the count of free places: whoever has a container holds one of them already, and would wait for
        others who wait likewise.
        """
        fresh = await container.another()
        try:
            yield fresh
        finally:
            await self._surely(fresh.remove())

    async def _open(
        self,
        image: str,
        facts: ImageFacts,
        name: str,
        options: dict[str, Any],
        another: Callable[[], Awaitable[Container]],
    ) -> Container:
        channel: Channel | None = await self._with_courier(image, name, options)
        if channel is None:
            await self._discard(name)
            idle = (
                {"command": ["sleep", "infinity"]}
                if not facts.has_entrypoint
                else {"entrypoint": ["sleep", "infinity"]}
            )
            await self._sdk.call(self._sdk.api.create_container, image, name=name, user=ROOT, **idle, **options)
            await self._sdk.call(self._sdk.api.start, name)
            channel = ExecChannel(self._sdk.api, self._sdk.call, name)
        return Container(
            name,
            image,
            channel,
            facts.user or ROOT,
            functools.partial(self._listing, image, facts.id),
            functools.partial(self._discard, name),
            another,
        )

    async def _with_courier(self, image: str, name: str, options: dict[str, Any]) -> CourierChannel | None:
        """Start a container with the courier as its first process; None when the image cannot run it."""
        await self._sdk.call(
            self._sdk.api.create_container,
            image,
            command=list(COURIER_COMMAND),
            name=name,
            user=ROOT,
            stdin_open=True,
            **options,
        )
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        channel = CourierChannel(await self._sdk.call(self._sdk.api.attach_socket, name, params=streams))
        try:
            await self._sdk.call(self._sdk.api.start, name)
        except EngineError as error:
            channel.close()
            if "executable file not found" in str(error) or "no such file or directory" in str(error):
                return None
            raise
        return channel if await channel.open() else None

    def _host_config(self, limits: Limits, network: bool, asked: frozenset[str]) -> Any:
        more = frozenset() if network else asked
        memory = limits.memory_mb << 20
        return self._sdk.api.create_host_config(
            network_mode="bridge" if network else "none",
            cap_drop=["ALL"],
            cap_add=[*CAPABILITIES, *sorted(more)],
            security_opt=["no-new-privileges"],
            mem_limit=memory,
            memswap_limit=memory,
            nano_cpus=int(limits.cpus * 1e9),
            pids_limit=limits.processes,
            ulimits=[docker.types.Ulimit(name="fsize", soft=limits.file_mb << 20, hard=limits.file_mb << 20)],
            log_config=docker.types.LogConfig(type="none"),
        )

    async def image(self, reference: str) -> ImageFacts:
        """What an image is.

        Raises:
            ImageMissing: the engine does not have it.
        """
        if (known := self._facts.get(reference)) is not None:
            return known
        found = await self._sdk.call(self._sdk.api.inspect_image, reference)
        config = found.get("Config") or {}
        asked = frozenset(str((config.get("Labels") or {}).get(CAPABILITIES_LABEL, "")).split(","))
        facts = ImageFacts(
            found["Id"], config.get("User") or "", bool(config.get("Entrypoint")), asked & MORE_CAPABILITIES
        )
        self._facts[reference] = facts
        return facts

    async def has_image(self, reference: str) -> bool:
        """Whether the engine has an image of this name now."""
        self._facts.pop(reference, None)
        try:
            await self.image(reference)
        except ImageMissing:
            return False
        return True

    async def image_bytes(self, reference: str) -> int:
        """Size of an image with all that it stands on.

        Raises:
            ImageMissing: the engine does not have it.
        """
        return int((await self._sdk.call(self._sdk.api.inspect_image, reference))["Size"])

    async def pull(self, reference: str) -> None:
        """Fetch an image from its registry.

        Raises:
            ImageMissing: the registry does not have it. EngineError: it does not answer.
        """
        name, _, tag = reference.rpartition(":") if ":" in reference.rpartition("/")[2] else (reference, "", "latest")
        await self._sdk.call(self._sdk.api.pull, name, tag=tag)

    async def _listing(self, image: str, ident: str) -> frozenset[str]:
        """Every path of an image, read once from a container that nothing has run in."""
        if ident not in self._listings:
            self._listings[ident] = asyncio.create_task(self._list(image))
        try:
            return await asyncio.shield(self._listings[ident])
        except EngineError:
            self._listings.pop(ident, None)
            raise

    async def _list(self, image: str) -> frozenset[str]:
        # Started past the count of free places: whoever asks holds one of them already.
        container = await self.start(image)
        try:
            return frozenset(await container.paths())
        finally:
            await self._surely(container.remove())

    async def build(
        self, folder: Path, tag: str, labels: Mapping[str, str] | None = None, *, network: bool = False
    ) -> str:
        """Build `folder/Dockerfile` and name the image.

        Args:
            folder: the build context; all of it is sent.
            tag: `name:tag`.
            labels: besides the owner.
            network: whether RUN instructions get one.

        Returns:
            The image's id.

        Raises:
            BuildFailed: the Dockerfile or one of its instructions fails.
            EngineMissing, DiskFull, EngineError: the engine does.
        """
        self._facts.pop(tag, None)
        making = asyncio.ensure_future(
            self._sdk.call(
                _build,
                self._sdk.api,
                path=str(folder),
                tag=tag,
                labels={**(labels or {}), LABEL: self.owner},
                network_mode=None if network else "none",
            )
        )
        try:
            log = await asyncio.shield(making)
        except asyncio.CancelledError:
            # The engine goes on building: take the image away when it is there.
            await self._surely(self._unmake(making, tag))
            raise
        if log is not None:
            if is_full(log):
                raise DiskFull("the Docker engine's disk is full: no space left on device")
            raise BuildFailed(f"the image does not build: {log.strip().splitlines()[-1]}", log[-8000:])
        return (await self.image(tag)).id

    async def _unmake(self, making: asyncio.Future[str | None], tag: str) -> None:
        await asyncio.wait([making])
        await self.remove_image(tag)

    def tag(self, digest: str) -> str:
        """Name of the environment image of a content digest: the same content of the same owner, the same image.

        Owners do not share a name: what one of them removes or reaps, another may be using.
        """
        mine = hashlib.sha256(self.owner.encode()).hexdigest()[:8]
        return f"{IMAGES}:{digest.removeprefix('sha256:')[:16]}-{mine}"

    async def remove_image(self, tag: str) -> None:
        """Remove an image; that there is none of this name does no harm."""
        facts = self._facts.pop(tag, None)
        listing = self._listings.pop(facts.id, None) if facts else None
        if listing is not None:
            # Its container stands on the image, which would lose its name and stay.
            await asyncio.wait([listing])
        await remove_image(self._sdk, tag)

    async def reap(self, run_id: str | None = None, *, own: bool = False) -> Reaped:
        """Remove what dead owners left: containers, environment images, networks. What a living owner has stays.

        Args:
            run_id: of this run only; None is of any.
            own: also what this engine's own owner has, whether it lives or not.
        """
        if own:
            await self.settle()
        return await reap(self._sdk, self.owner, run_id, own=own)

    async def _discard(self, name: str) -> None:
        await remove_container(self._sdk, name)

    async def _surely[T](self, work: Awaitable[T]) -> T:
        """Await to the end even when the caller is cancelled meanwhile; then the cancellation goes on."""
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return await asyncio.shield(task)


def _build(api: Any, **options: Any) -> str | None:
    """In a worker thread: build, and return None, or the output of a build that failed."""
    output: list[str] = []
    for line in api.build(decode=True, rm=True, forcerm=True, pull=False, **options):
        output.append(line.get("stream") or line.get("error") or "")
        if "error" in line:
            return "".join(output)
    return None
