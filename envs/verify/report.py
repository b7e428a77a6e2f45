"""What was found out about tasks: one report each, and all of them together."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from envs.certificate import GateResult
from envs.verify.defects import DEFECTS, Defect, Fault


class Found(BaseModel):
    """One defect, and where it shows."""

    model_config = ConfigDict(frozen=True)

    defect: Defect
    detail: str
    gate: str = ""
    """Key in `gates`; empty where it was found by reading."""


class TaskReport(BaseModel):
    """What was found out about one task."""

    model_config = ConfigDict(frozen=True)

    path: str
    certified: bool
    """Every gate was run and passed, and no defect was found."""
    defects: tuple[Defect, ...] = ()
    """Classes, each once."""
    found: tuple[Found, ...] = ()
    """What the classes rest on."""
    gates: dict[str, dict[str, Any]] = {}
    """Results by gate and name, such as `reference 2`; the fields are a certificate's. The output stands where the gate
    did not pass."""
    unavailable: str | None = None
    """What could not be had, mostly an image, and why; the task was not verified."""
    unsupported: str | None = None
    """What it needs that is not done here; the task was not verified."""
    notes: tuple[str, ...] = ()
    """`<rule>: <text>`; no defects."""
    network: bool = False
    """Whether its gates had to be given a network."""
    seconds: float = 0.0


class Report(BaseModel):
    """What was found out about all."""

    model_config = ConfigDict(frozen=True)

    tasks: tuple[TaskReport, ...]
    certified: int
    failed: int
    """Tasks with a defect."""
    unavailable: int
    unsupported: int
    defects: dict[str, int]
    """Tasks by class."""
    builds: int
    """Images that were built; tasks of the same environment share one."""
    parallel_builds: int
    """How many at most were built at the same time."""
    containers: int
    """How many at most ran at the same time."""
    peak_disk_mb: float
    """Of the images that were built and not yet removed, at its highest; what they stand on is not counted."""
    seconds: float


def task_report(
    path: str,
    faults: Sequence[Fault],
    gates: Sequence[GateResult] = (),
    *,
    notes: Sequence[str] = (),
    unavailable: str | None = None,
    unsupported: str | None = None,
    network: bool = False,
    seconds: float = 0.0,
) -> TaskReport:
    """The report of a task: certified where it was executed and there are no faults."""
    order = list(DEFECTS)
    executed = bool(gates) and unavailable is None and unsupported is None
    return TaskReport(
        path=path,
        certified=executed and not faults and all(gate.passed for gate in gates),
        defects=tuple(sorted({fault.defect for fault in faults}, key=order.index)),
        found=tuple(Found(defect=one.defect, detail=one.detail, gate=one.gate) for one in dict.fromkeys(faults)),
        gates={f"{gate.gate} {gate.name}".strip(): _shown(gate) for gate in gates},
        unavailable=unavailable,
        unsupported=unsupported,
        notes=tuple(dict.fromkeys(notes)),
        network=network,
        seconds=round(seconds, 3),
    )


def whole(
    tasks: Sequence[TaskReport],
    *,
    builds: int,
    parallel_builds: int,
    containers: int,
    peak_disk_mb: float,
    seconds: float,
) -> Report:
    """All reports together, with their counts."""
    classes = Counter(defect for task in tasks for defect in task.defects)
    return Report(
        tasks=tuple(tasks),
        certified=sum(task.certified for task in tasks),
        failed=sum(bool(task.defects) for task in tasks),
        unavailable=sum(task.unavailable is not None for task in tasks),
        unsupported=sum(task.unsupported is not None for task in tasks),
        defects={defect: classes[defect] for defect in DEFECTS if classes[defect]},
        builds=builds,
        parallel_builds=parallel_builds,
        containers=containers,
        peak_disk_mb=peak_disk_mb,
        seconds=round(seconds, 3),
    )


def _shown(gate: GateResult) -> dict[str, Any]:
    left_out = {"gate", "name"} | ({"output"} if gate.passed else set())
    return gate.model_dump(mode="json", exclude=left_out, exclude_defaults=False)
