"""From a run's ledger to its rows: which trajectories a policy keeps, and what the card says of the run."""

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, JsonValue

from synth.audit import audited
from synth.ledger import Ledger, StageRow
from synth.run_folder import RunFolder
from trajectories.policy import Kept, Policy, apply
from trajectories.record import FILE_NAME, load

if TYPE_CHECKING:
    from trajectories.export.order import Order
    from trajectories.template import StudentTemplate


class Written(BaseModel):
    """What an export did."""

    policy: str
    seen: int
    """Trajectories that were looked at."""
    kept: int
    rows: dict[str, str]
    """Paths of what trainers load, and of the card, by file name; folders have a slash behind it. None where nothing
    was written."""
    papers: dict[str, str] = {}
    """Paths of what stands beside the rows, by file name: manifest, lock, overlap."""
    counts: dict[str, dict[str, int]] = {}
    """Rows, documents or tasks by format and side of the split."""
    withheld: int = 0
    """Tasks on neither side of the split."""
    overlap: list[dict[str, JsonValue]] = []
    """For every two sets: their names, and how many tasks, texts, near texts and families they share."""


class Chosen(NamedTuple):
    """The trajectories of a run as another policy sees them: files by trajectory id."""

    kept: dict[str, Path]
    others: dict[str, Path]
    """Graded, and not kept."""


def accepted(folder: RunFolder, ledger: Ledger) -> dict[str, Path]:
    """The trajectories that the run's own policy accepted: file by trajectory id."""
    return {
        str(row.data["trajectory"]): folder.trials / row.item / FILE_NAME
        for row in ledger.rows(stage="policy", status="done")
    }


def chosen(folder: RunFolder, ledger: Ledger, policy: Policy) -> Chosen:
    """What another policy keeps and does not; what repeats a benchmark, or stands in a task that was built for an audit
    of the judges, is on neither side."""
    found = Chosen({}, {})
    for row in ledger.rows(stage="rollout", status="done"):
        if audited(ledger, row.parent or ""):
            continue
        path = folder.trials / row.item / FILE_NAME
        trajectory = load(path)
        decided = ledger.get(row.item, "policy")
        if decided is not None and decided.reason == "in-benchmark":
            continue
        keeps = isinstance(apply(policy, trajectory), Kept)
        (found.kept if keeps else found.others)[trajectory.id] = path
    return found


def proven(folder: RunFolder, ledger: Ledger) -> dict[str, Path]:
    """The task folders that passed every gate, by task id, whatever became of the trials in them; not those that were
    built for an audit of the judges."""
    rows = ledger.rows(stage="gates", status="done")
    return {row.item: folder.tasks / row.item for row in rows if not audited(ledger, row.item)}


def write_contamination(folder: RunFolder, ledger: Ledger) -> int:
    """Write `contamination.jsonl`: a line for each task and trajectory that repeats a benchmark, with both texts.

    Returns:
        How many there are; where there are none there is no file.
    """
    found = [row for stage in ("dedupe", "policy") for row in ledger.rows(stage=stage, status="rejected")]
    lines = [
        json.dumps({"item": row.item, "stage": row.stage, **_evidence(row)}, ensure_ascii=False)
        for row in found
        if row.reason == "in-benchmark"
    ]
    if lines:
        folder.write(folder.path / "contamination.jsonl", "\n".join(lines) + "\n")
    return len(lines)


def _evidence(row: StageRow) -> Mapping[str, JsonValue]:
    evidence = row.data.get("evidence")
    return evidence if isinstance(evidence, dict) else {}


def write(
    files: Mapping[str, Path],
    seen: int,
    place: Path,
    folder: RunFolder,
    ledger: Ledger,
    policy: Policy,
    order: "Order | None" = None,
    license: str | None = None,
    template: "StudentTemplate | None" = None,
) -> Written:
    """Write rows and card; whole and anew, so that no row is there twice or torn. Nothing is written for no rows.

    Args:
        files: `trajectory.json` by trajectory id.
        seen: how many were looked at.
        place: folder for the rows.
        folder, ledger: the run that they come from.
        policy: that chose them.
        order: formats, split and comparisons; `messages` and `sharegpt` by default.
        license: of the rows, for the card.
        template: of the student that they are meant for, for the card.
    """
    if not files and not (order is not None and "harbor" in order.formats and order.tasks):
        return Written(policy=policy.name, seen=seen, kept=0, rows={})
    from trajectories.export.card import About
    from trajectories.export.write import write_rows

    funnel = ledger.funnel()
    about = About(
        name=folder.path.resolve().name,
        policy=policy,
        versions={name: importlib.metadata.version(name) for name in ("synth", "harbor", "datasets")},
        funnel=[(stage, count.done, sum(count.rejected.values())) for stage, count in funnel.items()],
        rejected={
            f"{stage}: {reason}": number for stage, count in funnel.items() for reason, number in count.rejected.items()
        },
        license=license,
        notes=_notes(ledger),
        lock=folder.lock_file.read_text(encoding="utf-8") if folder.lock_file.exists() else None,
        template=template,
    )
    written = write_rows(files, place, about, order)
    return Written(
        policy=policy.name,
        seen=seen,
        kept=written.rows,
        rows={name: str(path) for name, path in written.files.items() if not _is_paper(name)},
        papers={name: str(path) for name, path in written.files.items() if _is_paper(name)},
        counts={name: {str(side): number for side, number in of.items()} for name, of in written.counts.items()},
        withheld=len(written.split.withheld),
        overlap=[
            {
                "one": pair.one,
                "other": pair.other,
                "tasks": len(pair.task_ids),
                "texts": len(pair.texts),
                "near": len(pair.near),
                "families": len(pair.families),
            }
            for pair in (written.overlap.pairs if written.overlap is not None else [])
        ],
    )


def _is_paper(name: str) -> bool:
    return name.endswith(".json")


def _notes(ledger: Ledger) -> list[str]:
    """What a reader of the card has to know and cannot see in the rows."""
    if "sim" in ledger.totals_by("upstream"):
        return [
            "Some or all roles were served by synth's built-in model, which is no language model: it plays procedural "
            "scenarios. Every environment, test and reward is real; the texts are not a language model's."
        ]
    return []
