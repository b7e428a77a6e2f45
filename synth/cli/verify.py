"""`synth verify`: is what is said of tasks true? Everything that can be executed is."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from envs.engine import Engine, Limits, owner
from envs.folder import Base, base_of
from envs.found_tasks import task_folders
from envs.verify.bases import BadMap, Map, parse
from envs.verify.report import Report, TaskReport
from envs.verify.tasks import verify as verify_tasks
from synth.cli.errors import DONE, INTERRUPTED, MISSING, SHORT
from synth.stopping import first_of, until_stopped
from taxonomy.task import content_id

BASE = "synth-base/"
"""What the names of our own base images begin with."""


def verify(path: Path, repeats: int, maps: Sequence[str], config: Path | None, as_json: bool) -> int:
    """Verify the tasks of a folder and tell what was found; returns the exit code.

    Raises:
        TasksError, BadMap: there is nothing to verify, or a map makes no sense.
        EngineError: the engine is not there, or failed.
    """
    folders = task_folders(path)
    wanted = [parse(text) for text in maps]
    from synth.settings import load  # it takes a second, and whoever mistyped a path should not wait for it

    containers = load(file=config).containers
    report = asyncio.run(_verified(folders, repeats, wanted, containers))
    if report is None:
        sys.stderr.write("synth: interrupted; nothing is left in the engine, and the same command begins anew.\n")
        return INTERRUPTED
    print(report.model_dump_json() if as_json else told(report))
    sys.stdout.flush()
    verified = len(report.tasks) - report.unavailable - report.unsupported
    if report.failed:
        return SHORT
    if not verified:
        sys.stderr.write(f"synth: no task could be verified: {_needed(report)}\n")
        return MISSING
    return DONE


async def _verified(folders: Sequence[Path], repeats: int, maps: Sequence[Map], containers: int) -> Report | None:
    """The report; None where it was interrupted."""
    reports: list[Report] = []
    run_id = f"verify-{content_id(*map(str, folders))[:8]}"

    def tell(report: TaskReport, over: int) -> None:
        _say(f"{over}/{len(folders)} {_name(report.path)}: {_verdict(report)} ({report.seconds:.1f} s)")

    async with Engine.connect(owner(run_id), Limits(), containers) as engine:
        await engine.reap(run_id)
        resolved = [await _resolved(one, engine) for one in maps]
        await _own_bases(folders, engine)

        async def everything() -> None:
            try:
                reports.append(await verify_tasks(folders, engine, repeats=repeats, maps=resolved, told=tell))
            except BaseExceptionGroup as failures:
                raise first_of(failures) from None

        try:
            await until_stopped(everything())
        finally:
            await engine.reap(run_id, own=True)
    return reports[0] if reports else None


async def _own_bases(folders: Sequence[Path], engine: Engine) -> None:
    """Build the base images that our own tasks stand on and that are not there, where their recipes are still the same.

    The others stay missing, and their tasks say so.
    """
    named = {base.reference for base in map(_base, folders) if base is not None}
    wanted = [reference for reference in sorted(named) if not await engine.has_image(reference)]
    if not wanted:
        return
    import docker

    from envs.images import ImageStore
    from taxonomy.catalog import load_catalog

    client = docker.from_env(timeout=600)
    try:
        store = ImageStore(client, packages=load_catalog().packages)
        for domain in store.domains():
            if store.reference(domain) in wanted:
                await store.ensure(domain, _say)
    finally:
        client.close()


def _base(folder: Path) -> Base | None:
    try:
        return base_of(folder)
    except (OSError, ValueError, KeyError, TypeError):
        # A torn record: that it cannot be used shows when the task is verified.
        return None


async def _resolved(one: Map, engine: Engine) -> Map:
    """A map to a base image of ours without a tag is one to the image that its recipe names now.

    Raises:
        BadMap: it has no recipe, or is not built.
    """
    if not one.to.startswith(BASE) or ":" in one.to:
        return one
    import docker

    from envs.images import ImageStore, RecipeError

    client = docker.from_env(timeout=600)
    try:
        reference = ImageStore(client).reference(one.to.removeprefix(BASE))
    except RecipeError as error:
        raise BadMap(f"--map: {error}") from None
    finally:
        client.close()
    if not await engine.has_image(reference):
        domain = one.to.removeprefix(BASE)
        raise BadMap(f"--map: the base image {reference} is not built; `python -m envs.images {domain}` builds it")
    return Map(one.pattern, reference)


def told(report: Report) -> str:
    """The reports as a table, and what they come to."""
    width = max(len(_name(task.path)) for task in report.tasks)
    lines = [f"{'task':<{width}}  seconds  verdict"]
    for task in report.tasks:
        lines.append(f"{_name(task.path):<{width}}  {task.seconds:7.1f}  {_verdict(task)}")
        lines += [f"{'':<{width}}           {one.defect}: {one.detail}" for one in task.found]
    lines += ["", f"{report.certified} of {len(report.tasks)} tasks certified, {report.failed} with defects"]
    if report.defects:
        lines.append("defects: " + ", ".join(f"{count} {name}" for name, count in report.defects.items()))
    if report.unavailable or report.unsupported:
        lines.append(
            f"not verified: {report.unavailable} for an image that cannot be had, {report.unsupported} of a kind that"
            " is not supported"
        )
    lines.append(
        f"{report.seconds:.1f} s; {report.builds} images built, {report.parallel_builds} at a time at most,"
        f" {report.peak_disk_mb:g} MB of disk at their highest, all removed"
    )
    return "\n".join(lines)


def _verdict(task: TaskReport) -> str:
    if task.unsupported is not None:
        return f"not supported: {task.unsupported}"
    if task.unavailable is not None:
        also = f"; {', '.join(task.defects)}" if task.defects else ""
        return f"not available: {task.unavailable}{also}"
    return "certified" if task.certified else ", ".join(task.defects) or "not certified"


def _needed(report: Report) -> str:
    wants = [task.unavailable or task.unsupported or "" for task in report.tasks]
    more = f" (and {len(wants) - 1} more)" if len(wants) > 1 else ""
    mend = "; --map FROM=TO takes another base image" if report.unavailable else ""
    return f"{wants[0]}{more}{mend}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _name(path: str) -> str:
    return Path(path).resolve().name
