"""From an examination to a certificate, or to a rejection that names the part at fault."""

import importlib.metadata
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from envs import folder as task_folder
from envs import state
from envs.certificate import Certificate, Digests, Flakiness, GateResult, Versions, signed, write_certificate
from envs.engine import Engine
from envs.gates.clock import declared
from envs.gates.examine import Examination, examine
from envs.gates.fault import Finding, finding
from envs.gates.settings import GateSettings
from taxonomy.task import Rejection


@dataclass(frozen=True)
class Proven:
    """A certified environment, and its image, which is left in the engine for rollouts."""

    certificate: Certificate
    image: str
    """Tag; whoever is done with it calls `Engine.remove_image`."""


async def prove(folder: Path, engine: Engine, settings: GateSettings | None = None) -> Proven | Rejection:
    """Build a task folder and run every gate; write `certificate.json` into it if all pass.

    The first gate that fails, in order, is the reason; those after it are stopped.

    Args:
        folder: a Harbor task folder with a reference solution.
        engine: removes everything again but the image of a proven environment.
        settings: how the gates run.

    Returns:
        Proven, or a Rejection of stage `gates`. Its reason is that of the first finding; its evidence has the `gates`
        that ran, the `parts` at fault, most likely first, and the `finding` itself.

    Raises:
        EngineError: the engine failed, which says nothing about the environment.
    """
    settings = settings or GateSettings()
    digest = task_folder.folder_digest(folder)
    seen = await examine(folder, engine, settings)
    kept = False
    try:
        found = seen.findings[0] if seen.findings else _unproven(seen)
        if found is not None:
            return _rejection(found, seen.results)
        certificate = signed(await _certificate(folder, engine, settings, seen, digest))
        write_certificate(certificate, folder)
        kept = True
        return Proven(certificate, seen.image_tag or "")
    finally:
        if not kept:
            await seen.discard(engine)


def _unproven(seen: Examination) -> Finding | None:
    if any(result.gate == "reference" and result.skipped is None for result in seen.results):
        return None
    return finding("reference-fails", "there is no reference solution", "reference", seen="no-solution")


def _rejection(found: Finding, results: list[GateResult]) -> Rejection:
    parts: list[JsonValue] = list(found.parts)
    return Rejection(
        stage="gates",
        reason=found.reason,
        detail=found.detail,
        evidence={
            "gates": [result.model_dump(mode="json") for result in results],
            "parts": parts,
            "finding": {**asdict(found), "parts": parts},
        },
    )


async def _certificate(
    folder: Path, engine: Engine, settings: GateSettings, seen: Examination, digest: str
) -> Certificate:
    base = task_folder.base_of(folder)
    repeats = [result for result in seen.results if result.gate == "reference"]
    passed = sum(result.passed for result in repeats)
    solution = (folder / "solution" / "solve.sh").read_text()
    checks = folder / "tests" / "checks.py"
    return Certificate(
        certified=True,
        network="bridge" if settings.network else "none",
        gates=seen.results,
        flakiness=Flakiness(runs=len(repeats), passed=passed, rate=1 - passed / len(repeats)),
        outputs=[_shown(path) for path in seen.outputs.outputs] if seen.outputs else [],
        varying=[_shown(path) for path in seen.varying],
        declared=declared(solution, checks.read_text() if checks.exists() else ""),
        never_red=_never_red(seen.results),
        digests=Digests(
            folder=digest,
            state=_state_digest(folder),
            base_reference=base.reference if base else None,
            base_image=base.id if base else None,
            image=seen.image_id or "",
        ),
        versions=Versions(
            synth=_version("synth"),
            docker=await engine.version(),
            harbor=_version("harbor"),
            python=platform.python_version(),
        ),
        started=seen.started,
        seconds=seen.seconds,
    )


def _never_red(results: list[GateResult]) -> list[str]:
    """Checks that no attempt made fail, of those attempts that had to score 0."""
    verdicts: dict[str, float] = {}
    for result in results:
        if result.expected == 0 and result.skipped is None:
            for name, verdict in result.checks.items():
                verdicts[name] = min(verdict, verdicts.get(name, verdict))
    return sorted(name for name, lowest in verdicts.items() if lowest >= 1)


def _shown(path: str) -> str:
    """A path as JSON can hold it."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def _state_digest(folder: Path) -> str | None:
    try:
        return state.read(folder / "environment").digest
    except FileNotFoundError:
        return None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
