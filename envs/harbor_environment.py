"""Harbor's environment interface on our engine: no compose, no `docker` program, no network unless the task says so.

Harbor makes one for each trial from `EnvironmentConfig(import_path="envs.harbor_environment:SdkEnvironment",
kwargs={"image": ..., "owner": ..., "limits": {...}})`.
"""

# Files that go to and from containers here are few, small and local: not worth a thread.
# ruff: noqa: ASYNC240

import asyncio
import io
import tarfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, override

from harbor.environments.base import BaseEnvironment, ExecResult, transfer_tar_filter
from harbor.environments.capabilities import EnvironmentCapabilities, EnvironmentResourceCapabilities
from harbor.environments.definition import require_agent_environment_definition, should_use_prebuilt_docker_image
from harbor.models.task.config import NetworkMode

from envs import grading
from envs.container.packing import pack_folder
from envs.engine import Container, Engine, ImageMissing, Limits, owner
from envs.folder import base_of

NO_LIMIT = 86_400.0
"""Seconds for a command that Harbor sets no time limit for; the trial's own limits end it sooner."""

OUTPUT_LIMIT = 16 << 20
"""Bytes of a command's output that come back."""


class SdkEnvironment(BaseEnvironment):
    """One container on the local Docker engine."""

    def __init__(
        self,
        *args: Any,
        image: str | None = None,
        owner: str | None = None,
        limits: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take Harbor's arguments and ours.

        Args:
            args: Harbor's.
            image: image to start; None builds the task's Dockerfile or takes the image that the task names.
            owner: label of the container; None is this process.
            limits: fields of `envs.engine.Limits`; what the task states itself goes first.
            kwargs: Harbor's.
        """
        self._given_image = image
        self._owner = owner
        self._limits = dict(limits or {})
        self._engine: Engine | None = None
        self._container: Container | None = None
        self._built: str | None = None
        self._tests_cleared = False
        super().__init__(*args, **kwargs)

    @staticmethod
    @override
    def type() -> str:
        return "synth-docker"

    @property
    @override
    def capabilities(self) -> EnvironmentCapabilities:
        return EnvironmentCapabilities(disable_internet=True)

    @classmethod
    @override
    def resource_capabilities(cls) -> EnvironmentResourceCapabilities:
        return EnvironmentResourceCapabilities(cpu_limit=True, memory_limit=True)

    @override
    def _validate_definition(self) -> None:
        if self._given_image:
            return
        if (self.environment_dir / "docker-compose.yaml").exists():
            raise ValueError(f"{self.environment_name}: compose environments are not supported by {self.type()}")
        require_agent_environment_definition(self.environment_dir, docker_image=self.task_env_config.docker_image)

    @override
    async def start(self, force_build: bool) -> None:
        self._engine = await asyncio.to_thread(Engine.connect, self._owner or owner("harbor"))
        limits = {**asdict(Limits()), **self._limits}
        if self._effective_cpus is not None:
            limits["cpus"] = self._effective_cpus
        if self._effective_memory_mb is not None:
            limits["memory_mb"] = self._effective_memory_mb
        self._container = await self._engine.start(
            await self._image(self._engine, force_build),
            network=self.network_policy.network_mode != NetworkMode.NO_NETWORK,
            limits=Limits(**limits),
            env=self._startup_env(),
            workdir=self.task_env_config.workdir,
        )
        await self.ensure_dirs(self._mount_targets(writable_only=True))
        if not self._given_image:
            await self._upload_environment_dir_after_start()

    async def _image(self, engine: Engine, force_build: bool) -> str:
        """The image to start, made or fetched if need be."""
        if self._given_image and not force_build:
            return self._given_image
        named = self.task_env_config.docker_image
        if should_use_prebuilt_docker_image(self.environment_dir, docker_image=named, force_build=force_build):
            try:
                await engine.image(named)
            except ImageMissing:
                await engine.pull(named)
            return str(named)
        tag = engine.tag(self.environment_id)
        # Other people's Dockerfiles fetch packages; ours have no instruction that would.
        ours = base_of(self.environment_dir.parent) is not None
        await engine.build(self.environment_dir, tag, network=not ours)
        self._built = tag
        return tag

    @override
    async def stop(self, delete: bool) -> None:
        """Remove the container, and with `delete` also an image that was built for it; twice does no harm."""
        engine, self._engine = self._engine, None
        container, self._container = self._container, None
        if engine is None:
            return
        try:
            if container is not None:
                await container.remove()
            if self._built and delete:
                await engine.remove_image(self._built)
        finally:
            await engine.close()

    @override
    async def exec(
        self,
        command: str,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_sec: int | None = None,
        user: str | int | None = None,
    ) -> ExecResult:
        ran = await self.container.run(
            command,
            user=self._resolve_user(user),
            workdir=cwd,
            env=self._merge_env(env),
            timeout=timeout_sec or NO_LIMIT,
            output_limit=OUTPUT_LIMIT,
            merge=False,
        )
        errors = ran.errors
        if ran.timed_out:
            errors += f"\nended after {timeout_sec} seconds"
        if emit := self._output_callback():
            await emit(ran.output, "stdout")
            await emit(errors, "stderr")
        return ExecResult(stdout=ran.output, stderr=errors, return_code=ran.exit_code)

    @override
    async def upload_file(self, source_path: Path | str, target_path: str) -> None:
        source = Path(source_path)
        await self.container.put_files({target_path: (source.read_bytes(), source.stat().st_mode & 0o777)})

    @override
    async def upload_dir(self, source_dir: Path | str, target_dir: str) -> None:
        if target_dir == grading.TESTS and not self._tests_cleared:
            # Whatever the agent left where the tests and their verdict go must be gone before they come.
            await grading.clear(self.container)
            self._tests_cleared = True
        await self.container.put(target_dir, pack_folder(Path(source_dir)))

    @override
    async def download_file(self, source_path: str, target_path: Path | str) -> None:
        target = Path(target_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(await self.container.read(source_path))

    @override
    async def download_dir(self, source_dir: str, target_dir: Path | str) -> None:
        packed = await self.container.pack(source_dir)
        if not packed:
            raise FileNotFoundError(f"{source_dir} is no folder in the container")
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(target_dir, filter=transfer_tar_filter)  # noqa: S202

    @property
    def container(self) -> Container:
        """The running container, for what Harbor's interface has no word for.

        Raises:
            RuntimeError: it has not been started, or has been stopped.
        """
        if self._container is None:
            raise RuntimeError("the environment has not been started, or has been stopped")
        return self._container
