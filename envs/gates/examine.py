"""All gates over one task folder: what was executed, what came of it, and what was found against the environment."""

import asyncio
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from envs import folder as task_folder
from envs.certificate import GateResult
from envs.engine import BuildFailed, Engine, ImageMissing
from envs.gates.attempts import OUTPUT_LIMIT
from envs.gates.fault import Finding, finding
from envs.gates.outputs import EndState
from envs.gates.settings import GateSettings
from envs.gates.work import Work, text_of


@dataclass(frozen=True)
class Examination:
    """What the gates saw of one environment."""

    image_tag: str | None
    """None where it does not build."""
    image_id: str | None
    shared: bool
    """The image is not ours to remove: it was there before, or was given."""
    results: list[GateResult]
    """In order; all of them only where nothing was found or everything was asked for."""
    findings: list[Finding]
    """In order: the first is the one to mend first."""
    outputs: EndState | None
    """What the reference leaves; None where it was not run, fails, or cannot be told."""
    varying: list[str]
    """Outputs whose content is another in each repeat of the reference."""
    started: datetime
    seconds: float

    async def discard(self, engine: Engine) -> None:
        """Remove the image, unless it is somebody else's too."""
        if self.image_tag and not self.shared:
            await asyncio.shield(asyncio.ensure_future(engine.remove_image(self.image_tag)))


async def examine(
    folder: Path, engine: Engine, settings: GateSettings | None = None, *, thorough: bool = False
) -> Examination:
    """Build a task folder and run its gates; the image is left in the engine (`Examination.discard`).

    Containers run at the same time as far as the engine has places.

    Args:
        folder: a Harbor task folder, ours or another; gates whose evidence it does not have are skipped and say so.
        engine: where.
        settings: how.
        thorough: go on after the first finding, and run everything that can be run.

    Raises:
        EngineError: the engine failed, which says nothing about the environment.
    """
    settings = settings or GateSettings()
    started, began = datetime.now(UTC), time.monotonic()
    tag = settings.image or engine.tag(task_folder.folder_digest(folder, "environment"))
    shared = settings.image is not None or await engine.has_image(tag)
    whole = Examination(tag, None, shared, [], [], None, [], started, 0.0)
    try:
        ident = await _build(folder, engine, tag, settings)
        builds = GateResult(
            gate="builds", name="", passed=True, expected=None, reward=None, seconds=time.monotonic() - began,
            skipped="the image is given" if settings.image else None,
        )  # fmt: skip
        work = await Work.prepared(folder, engine, tag, settings)
        told = await work.all(thorough)
        return replace(
            whole,
            image_id=ident,
            results=[builds, *told.results],
            findings=told.findings,
            outputs=work.outputs,
            varying=work.varied,
            seconds=time.monotonic() - began,
        )
    except (BuildFailed, ImageMissing) as error:
        log = getattr(error, "log", "") or str(error)
        seconds = time.monotonic() - began
        broken = GateResult(
            gate="builds", name="", passed=False, expected=None, reward=None, output=log[-OUTPUT_LIMIT:],
            seconds=seconds,
        )  # fmt: skip
        absent = await _absent_base(folder, engine)
        found = finding("build-broken", f"{absent} is not in the engine: {error}" if absent else str(error), "builds")
        return replace(whole, image_tag=None, results=[broken], findings=[found], seconds=seconds)
    except BaseException:
        await whole.discard(engine)
        raise


async def _build(folder: Path, engine: Engine, tag: str, settings: GateSettings) -> str:
    if settings.image is not None:
        return (await engine.image(settings.image)).id
    return await engine.build(folder / "environment", tag, network=settings.build_network)


async def _absent_base(folder: Path, engine: Engine) -> str | None:
    """The image that a Dockerfile starts from, where the engine does not have it."""
    text = text_of(folder / "environment" / "Dockerfile")
    stages = {"scratch", *re.findall(r"^FROM\s.*\sAS\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)}
    for name in re.findall(r"^FROM\s+(?:--\S+\s+)*(\S+)", text, re.MULTILINE):
        if name not in stages and "$" not in name and not await engine.has_image(name):
            return f"the image {name}"
    return None
