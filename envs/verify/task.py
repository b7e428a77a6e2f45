"""One task verified: read, executed in fresh containers, and what is wrong with it named."""

import asyncio
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from envs import gates
from envs.certificate import GateResult
from envs.container import Container
from envs.engine import BuildFailed, Engine
from envs.errors import DiskFull, EngineError, EngineMissing, ToolFailed
from envs.gates import Examination, Finding, GateSettings
from envs.gates.attempts import skipped
from envs.gates.leaks import SYSTEM
from envs.verify import lint
from envs.verify.bases import Map, replaced
from envs.verify.defects import DERIVED, REASONS, Fault
from envs.verify.dockerfile import images as images_of
from envs.verify.images import NO_BRIDGE, Images
from envs.verify.network import failed_download
from envs.verify.reading import read_folder
from envs.verify.report import TaskReport, task_report
from envs.verify.shape import Malformed, Shape, read_shape
from envs.verify.working_copy import PLANTED, laid_beside, working_copy

AGENT_SECONDS = 1800.0
"""Time limit of a solution where the task sets none."""

SHARE = "a share of the reward is no pass"
"""Why a result that is not 0 counts for nothing."""

RETRIED = frozenset({"reference-fails", "no-verdict", "flaky"})
"""What a missing network can look like."""


@dataclass(frozen=True)
class Bench:
    """What verifying takes."""

    engine: Engine
    images: Images
    repeats: int
    maps: Sequence[Map] = ()


@dataclass(frozen=True)
class _Seen:
    """What came of executing a task."""

    faults: list[Fault]
    results: list[GateResult]
    notes: list[str]
    network: bool = False


@dataclass(frozen=True)
class _Fetches:
    """What running a task once more with a network told."""

    faults: list[Fault] = field(default_factory=list)
    online: Examination | None = None
    """What was seen with a network, where that is what counts."""
    explains: frozenset[str] = frozenset()
    """Reasons of findings that a missing network accounts for."""
    notes: list[str] = field(default_factory=list)


class _Unavailable(Exception):
    """Something that the task stands on cannot be had; one line."""


async def verify_task(folder: Path, key: str, bench: Bench) -> TaskReport:
    """Verify one task folder, which is not written to.

    Args:
        folder: with a task.toml.
        key: of its environment, for the images that tasks share.
        bench: engine and images.

    Raises:
        EngineMissing, DiskFull: nothing more can be verified.
    """
    began = time.monotonic()
    path = str(folder)
    try:
        shape = read_shape(folder)
        read = await asyncio.to_thread(read_folder, folder, shape)
        if shape.unsupported:
            notes = [*read.notes, *(f"{fault.defect}: {fault.detail}" for fault in read.faults)]
            return task_report(
                path, [], notes=notes, unsupported=shape.unsupported, seconds=time.monotonic() - began
            )
        with working_copy(folder, shape, bench.maps) as copy:
            try:
                seen = await _execute(copy, key, shape, bench)
            except (EngineMissing, DiskFull):
                raise
            except (_Unavailable, EngineError) as missing:
                # An engine that refuses one task's containers may well run the others'.
                return task_report(
                    path, read.faults, notes=read.notes, unavailable=_line(missing), seconds=time.monotonic() - began
                )
    except Malformed as error:
        return task_report(path, [Fault("malformed", str(error))], seconds=time.monotonic() - began)
    finally:
        await bench.images.done(key)
    return task_report(
        path,
        [*seen.faults, *read.faults],
        seen.results,
        notes=[*read.notes, *seen.notes],
        network=seen.network,
        seconds=time.monotonic() - began,
    )


async def _execute(copy: Path, key: str, shape: Shape, bench: Bench) -> _Seen:
    """Build and run everything that can be run."""
    try:
        image, builds = await _image(copy, key, shape, bench)
    except BuildFailed as error:
        if not shape.ours and (mark := failed_download(error.log)):
            raise _Unavailable(f"the build fetches something that cannot be had here: {mark}") from None
        result = GateResult(
            gate="builds", name="", passed=False, expected=None, reward=None, output=error.log[-4000:], seconds=0.0
        )
        return _Seen([Fault("broken-build", str(error), "builds")], [result], [])
    settings = _settings(shape, image, bench.repeats)
    seen = await gates.examine(copy, bench.engine, settings, thorough=True)
    fetches = await _with_network(copy, seen, settings, bench)
    seen = fetches.online or seen
    results = seen.results if shape.ours else [_fairly(result) for result in seen.results]
    good = {(one.gate, one.name) for one in results if one.passed}
    telling = [one for one in seen.findings if (one.gate, one.name) not in good and one.reason not in fetches.explains]
    faults = [*fetches.faults, *map(_fault, _of_their_own(telling))]
    if not shape.ours and seen.outputs is not None:
        faults += await _unnamed(copy, image, seen, bench.engine)
    shares = [f"share: {one.gate} {one.name} scored {one.reward:g}" for one in results if one.skipped == SHARE]
    gates_run = [builds, *(result for result in results if result.gate != "builds")]
    return _Seen(faults, gates_run, [*fetches.notes, *shares], network=fetches.online is not None)


async def _image(copy: Path, key: str, shape: Shape, bench: Bench) -> tuple[str, GateResult]:
    """The image to run, with the gate's result.

    Raises:
        _Unavailable: an image that it stands on cannot be had.
        BuildFailed: it does not build.
    """
    images = bench.images
    named = replaced(shape.image, bench.maps) if shape.image else ""
    # Who maps the image of a task that has a Dockerfile too means what that stands on.
    if named and (named == shape.image if shape.dockerfile else not laid_beside(copy)):
        why = await images.why_missing(named)
        if not why:
            return named, skipped("builds", "", "the image is given")
        if not shape.dockerfile:
            raise _Unavailable(f"{named}: {why}")
    text = (copy / "environment" / "Dockerfile").read_text(encoding="utf-8", errors="replace")
    for image in images_of(text):
        if why := await images.why_missing(image):
            raise _Unavailable(f"{image}: {why}")
    return await images.built(key, copy, network=not shape.ours)


def _settings(shape: Shape, image: str, repeats: int) -> GateSettings:
    ours = GateSettings()
    # An engine refuses a container more processors than there are.
    limits = replace(shape.limits, cpus=min(shape.limits.cpus, float(os.cpu_count() or 1)))
    return GateSettings(
        repeats=repeats,
        script_seconds=ours.script_seconds if shape.ours else shape.agent_seconds or AGENT_SECONDS,
        tests_seconds=shape.tests_seconds,
        image=image,
        script_user=shape.agent_user,
        tests_user=shape.tests_user,
        env={**shape.env, **shape.solution_env, **shape.tests_env},
        workdir=shape.workdir,
        limits=limits,
    )


async def _with_network(copy: Path, seen: Examination, settings: GateSettings, bench: Bench) -> _Fetches:
    """Whether what failed only needs a network: it is run once more with one."""
    mark = _mark(seen)
    if not mark or not any(found.reason in RETRIED for found in seen.findings):
        return _Fetches()
    download = [Fault("needs-network", f"a download failed: {mark}")]
    try:
        online = await gates.examine(copy, bench.engine, replace(settings, network=True), thorough=True)
    except (EngineMissing, DiskFull):
        raise
    except EngineError as error:
        if not NO_BRIDGE.search(str(error)):
            raise
        note = "network: the engine has none to give; told by the output, not by a run that passes"
        return _Fetches(download, explains=RETRIED, notes=[note])
    if not any(found.reason in RETRIED for found in online.findings):
        return _Fetches([Fault("needs-network", f"it passes with a network alone: {mark}")], online)
    if again := _mark(online):
        note = f"network: it cannot be had here either way ({again}); told by the output, not by a run that passes"
        return _Fetches(download, explains=RETRIED, notes=[note])
    return _Fetches(download, online)


def _mark(seen: Examination) -> str:
    """What shows in the outputs of failed gates that a download failed; empty where nothing does."""
    return next((mark for one in seen.results if one.gate == "reference" and (mark := failed_download(one.output))), "")


def _fairly(result: GateResult) -> GateResult:
    """A result by what strangers' rewards mean: a share is no pass, and what is told beside the reward is no check."""
    if result.passed or result.expected != 0 or result.reward is None or result.reward >= 1:
        return result
    return result.model_copy(update={"passed": True, "skipped": SHARE if result.reward > 0 else None})


def _of_their_own(findings: Sequence[Finding]) -> list[Finding]:
    """Findings less those that tell nothing new: tests that pass anything pass what is planted too."""
    always = any(found.reason == "nothing-passes" for found in findings)
    return [found for found in findings if not (always and found.name == PLANTED)]


def _fault(found: Finding) -> Fault:
    gate = f"{found.gate} {found.name}".strip()
    if found.name == PLANTED and found.reason == "wrong-passes":
        detail = "the tests run in the agent's folder: a conftest.py or pytest.py that is left there ends them well"
        return Fault("tests-in-agent-folder", detail, gate)
    defect = REASONS[found.reason]
    if defect == "leaked-answer" and re.search(r"^/tests/|lines of the checks$", found.detail):
        defect = "tests-in-agent-folder"
    said = DERIVED.get(found.name, "") if found.gate == "derived" else ""
    return Fault(defect, f"{said} ({found.detail})" if said else found.detail, gate)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


async def _unnamed(copy: Path, image: str, seen: Examination, engine: Engine) -> list[Fault]:
    """Outputs that the tests read and neither the instruction nor a file of the image names."""
    texts = lint.read_texts(copy)
    created = list(seen.outputs.created) if seen.outputs else []
    candidates = lint.unnamed(texts, created)
    if not candidates:
        return []
    async with engine.container(image) as container:
        try:
            above = {str(folder) for path in candidates for folder in PurePosixPath(path).parents}
            there = await container.existing(sorted(above))
            candidates = lint.unnamed(texts, candidates, there)
            unsaid = [path for path in candidates if not await _said(container, PurePosixPath(path).name)]
        except ToolFailed:
            return []
    return [Fault("ambiguous", f"the tests read {path}, which the instruction does not name") for path in unsaid]


async def _said(container: Container, name: str) -> bool:
    """Whether a file of the image, outside the system's folders, holds a name."""
    system = " ".join(f"! -name {one}" for one in SYSTEM)
    script = f"find / -mindepth 1 -maxdepth 1 {system} -exec grep -rIqF -- \"$NAME\" {{}} \\; -print -quit"
    ran = await container.run(script, user="root", workdir="/", env={"NAME": name})
    return bool(ran.output.strip())
