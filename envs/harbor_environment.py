"""Harbor's environment interface on our engine: no compose, no `docker` program, no network unless the task says so.

Harbor makes one for each trial from `EnvironmentConfig(import_path="envs.harbor_environment:SdkEnvironment",
kwargs={"image": ..., "owner": ..., "limits": {...}})`.
"""

# Files that go to and from containers here are few, small and local: not worth a thread.
# ruff: noqa: ASYNC240

import asyncio
import io
import json
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
from envs.container.protected import SYSTEM_PATH
from envs.engine import Container, Engine, ImageMissing, Limits, owner
from envs.folder import base_of, several_containers

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
        self._left: Container | None = None
        """Where the agent worked, while its end state is carried over into a fresh one."""
        self._tests_cleared = False
        self._ours = False
        """Whether the tests are of our kind: then nothing of the agent's has a say in the verdict."""
        self._void: str | None = None
        """Why the verdict is 0, whatever the container says."""
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
        if several_containers(self.environment_dir):
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
        containers = [self._left, self._container]
        self._left = self._container = None
        if engine is None:
            return
        try:
            for container in containers:
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
        merged = dict(self._merge_env(env) or {})
        if self._ours:
            merged["PATH"] = SYSTEM_PATH
        ran = await self.container.run(
            command,
            user=self._resolve_user(user),
            workdir=cwd,
            env=merged,
            timeout=timeout_sec or NO_LIMIT,
            output_limit=OUTPUT_LIMIT,
            merge=False,
        )
        if self._ours and self._void is None and f"{grading.TESTS}/test.sh)" in command:
            self._void = await grading.spoilt(self.container, ran.exit_code)
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
            await self._receive(Path(source_dir))
            self._tests_cleared = True
        await self.container.put(target_dir, pack_folder(Path(source_dir)))

    async def _receive(self, tests: Path) -> None:
        """The agent is done: whatever it left where tests and verdict go is gone before they come.

        If it changed what they rest on, its end state moves to a fresh container, and Harbor goes on in that one.
        """
        self._ours = grading.ours([path.name for path in tests.iterdir()])
        tampered = await grading.receive(self.container, end=self._ours)
        if not (self._ours and tampered):
            return
        left = self._left = self.container
        self._container = await left.another()
        self._void = await grading.transfer(left, self._container)
        await left.remove()
        self._left = None

    @override
    async def download_file(self, source_path: str, target_path: Path | str) -> None:
        target = Path(target_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(await self.container.read(source_path))

    @override
    async def download_dir(self, source_dir: str, target_dir: Path | str) -> None:
        if self._void is not None and source_dir == grading.LOGS:
            self._refuse(Path(target_dir), self._void)
            return
        packed = await self.container.pack(source_dir)
        if not packed:
            raise FileNotFoundError(f"{source_dir} is no folder in the container")
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(target_dir, filter=transfer_tar_filter)  # noqa: S202

    @override
    async def download_dir_filtered(self, *, source_dir: str, target_dir: Path | str, **selection: Any) -> None:
        if self._void is not None and source_dir == grading.LOGS:
            self._refuse(Path(target_dir), self._void)
        else:
            await super().download_dir_filtered(source_dir=source_dir, target_dir=target_dir, **selection)

    @staticmethod
    def _refuse(target: Path, why: str) -> None:
        """The verdict that stands where the container's own cannot be believed."""
        target.mkdir(parents=True, exist_ok=True)
        (target / "reward.json").write_text('{"reward": 0}\n')
        (target / "checks.json").write_text(json.dumps({"problem": why, "checks": []}))

    @property
    def container(self) -> Container:
        """The running container, for what Harbor's interface has no word for.

        Raises:
            RuntimeError: it has not been started, or has been stopped.
        """
        if self._container is None:
            raise RuntimeError("the environment has not been started, or has been stopped")
        return self._container
