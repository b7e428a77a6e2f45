"""Write an export: the files of every format asked for, the report on overlap, and the dataset card.

Trajectories are read and written one after another, so memory does not grow with their number; those of one task are
held together where pairs are made of them.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trajectories import record
from trajectories.export import llama_factory, rows, schemas
from trajectories.export.atif import atif
from trajectories.export.card import About, Made, Mix, card
from trajectories.export.harbor import write_harbor
from trajectories.export.members import Member, of_folder, of_trajectory, read_set
from trajectories.export.order import ROWS, ExportError, Order
from trajectories.export.overlap import Report, report
from trajectories.export.pairs import pair_row, pairs
from trajectories.export.sink import Sink
from trajectories.export.split import SIDES, Side, Split, split
from trajectories.export.staging import CARD, MANIFEST, staged

OVERLAP = "overlap.json"
LOCK = "lock.json"

_OF_ONE: Mapping[str, Callable[[record.Trajectory], Iterator[rows.Row]]] = {
    "messages": rows.messages_rows,
    "sharegpt": rows.sharegpt_rows,
    "prompt-completion": rows.completion_rows,
    "world-model": rows.world_rows,
}
"""Formats whose rows come of one trajectory alone."""
_SCHEMAS: Mapping[str, Callable[[], Any]] = {
    "messages": schemas.messages,
    "sharegpt": schemas.sharegpt,
    "prompt-completion": schemas.completion,
    "preference": schemas.preference,
    "world-model": schemas.world,
}

Counts = dict[str, dict[Side, int]]
"""Rows, documents or tasks by format and side."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    rows: int
    """Trajectories that are in it, on either side of the split."""
    files: dict[str, Path]
    """By what they are: `messages.jsonl`, `messages.parquet`, ..., `README.md`; names of folders end in a slash."""
    counts: Counts
    split: Split
    overlap: Report | None
    """None where there is but one set."""


def write_rows(accepted: Mapping[str, Path], folder: Path, about: About, order: Order | None = None) -> Written:
    """Write an export into a folder, replacing what an earlier call wrote there.

    Args:
        accepted: the `trajectory.json` of each accepted trajectory, by the trajectory's id.
        folder: made if it is missing. Gets for each format of rows a `.jsonl` and a `.parquet` file and for each other
            one a folder, the held-out side with `.held_out` in the name; and `README.md`, `dataset_info.json`,
            `export.json`, `lock.json` where it is known, `overlap.json` where there are two sets. Rows are sorted by
            id. Without rows the files are there, but the card names no configuration: `datasets` loads no empty one.
        about: what the card tells besides the counts.
        order: what is asked for; `messages` and `sharegpt` by default.

    Raises:
        RecordError: a trajectory cannot be read, or its id is not the one that it is accepted under.
        ExportError: the split or a comparison cannot be made, or the folder cannot be written.
    """
    order = order or Order()
    others = order.others if "preference" in order.formats else {}
    tasks = order.tasks if "harbor" in order.formats else {}
    members, task_of = _members({**others, **accepted}, order.tasks)
    # Over all proven tasks, so that exports of one run hold out the same whatever their formats are.
    placed = split(members.values(), order.held_out)
    written = {name: each for name, each in members.items() if name in tasks or name in task_of.values()}
    found = _report(written, placed, order)
    kept: dict[Side, list[str]] = {side: [] for side in SIDES}
    for ident in sorted(accepted):
        if (side := placed.side(task_of[ident])) is not None:
            kept[side].append(ident)
    if placed.share and not tasks and not all(kept.values()):
        bare = next(side for side in SIDES if not kept[side])
        raise ExportError(f"--held-out {placed.share:g}: no accepted trajectory falls on the side {bare}; try another")

    mix, counts = Mix(about.template), {name: dict.fromkeys(_sides(placed), 0) for name in order.formats}
    with staged(folder) as place:
        for side in _sides(placed):
            with ExitStack() as stack:
                sinks = {
                    name: stack.enter_context(Sink(place, stem(name, side), _SCHEMAS[name]()))
                    for name in order.formats
                    if name in ROWS
                }
                for ident in kept[side]:
                    trajectory = _load(accepted[ident], ident)
                    mix.add(trajectory)
                    for name, sink in sinks.items():
                        for row in _OF_ONE[name](trajectory) if name in _OF_ONE else ():
                            sink.add(row)
                if "preference" in sinks:
                    for row in _pairs({ident: accepted[ident] for ident in kept[side]}, others, task_of):
                        sinks["preference"].add(row)
            counts_of = {name: sink.rows for name, sink in sinks.items()}
            if "atif" in order.formats:
                counts_of["atif"] = _write_atif((accepted[each] for each in kept[side]), place / stem("atif", side))
            if "harbor" in order.formats:
                chosen = {task: path for task, path in tasks.items() if placed.side(task) == side}
                write_harbor(chosen, place / stem("harbor", side), f"{about.name}-{side}")
                counts_of["harbor"] = len(chosen)
            for name, number in counts_of.items():
                counts[name][side] = number
        _write_papers(place, about, Made(counts, {}, placed, found), _families(written, placed), mix)
        names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in place.iterdir())
    files = {name: folder / name for name in names}
    return Written(sum(len(each) for each in kept.values()), files, counts, placed, found)


def stem(name: str, side: Side) -> str:
    """What the files or the folder of a format are called on a side, without an ending."""
    return name if side == "train" else f"{name}.{side}"


def _sides(placed: Split) -> tuple[Side, ...]:
    return SIDES if placed.share else SIDES[:1]


def _load(path: Path, ident: str) -> record.Trajectory:
    trajectory = record.load(path)
    if trajectory.id != ident:
        raise record.RecordError(f"{path}: accepted as {ident}, but it is {trajectory.id}")
    return trajectory


def _members(trajectories: Mapping[str, Path], tasks: Mapping[str, Path]) -> tuple[dict[str, Member], dict[str, str]]:
    """The tasks behind everything that is written, by their ids, and the task of each trajectory."""
    # A task's own folder knows best what is asked.
    found = {member.name: member for member in map(of_folder, tasks.values())}
    task_of: dict[str, str] = {}
    for ident, path in sorted(trajectories.items()):
        member = of_trajectory(_load(path, ident))
        found.setdefault(member.name, member)
        task_of[ident] = member.name
    return found, task_of


def _report(members: Mapping[str, Member], placed: Split, order: Order) -> Report | None:
    """Compare the sides of the split with each other and with the sets that were named."""
    sets: dict[str, Mapping[str, Member]] = {
        side: {name: member for name, member in members.items() if placed.side(name) == side} for side in _sides(placed)
    }
    for path in order.against:
        sets[str(path)] = read_set(path)
    if len(sets) < 2:
        return None
    found = report(sets)
    for pair in found.pairs:
        # By construction of the split; seen to, since everything that is measured on held-out tasks hangs on it.
        if (pair.one, pair.other) == SIDES and (pair.tasks or pair.families):
            raise AssertionError(f"train and held-out overlap: {pair}")
    return found


def _pairs(kept: Mapping[str, Path], others: Mapping[str, Path], task_of: Mapping[str, str]) -> Iterator[rows.Row]:
    """The preference rows of one side, by task."""
    rejected: dict[str, list[str]] = {}
    for ident in others:
        rejected.setdefault(task_of[ident], []).append(ident)
    chosen: dict[str, list[str]] = {}
    for ident in kept:
        if task_of[ident] in rejected:
            chosen.setdefault(task_of[ident], []).append(ident)
    for task in sorted(chosen):
        mine = [_load(kept[ident], ident) for ident in chosen[task]]
        theirs = [_load(others[ident], ident) for ident in rejected[task]]
        for one, other in pairs(mine, theirs):
            yield pair_row(one, other)


def _write_atif(paths: Iterable[Path], folder: Path) -> int:
    folder.mkdir()
    number = 0
    for path in paths:
        trajectory = record.load(path)
        text = json.dumps(atif(trajectory), ensure_ascii=False, indent=1) + "\n"
        (folder / f"{trajectory.id}.json").write_text(text, encoding="utf-8")
        number += 1
    return number


def _write_papers(place: Path, about: About, made: Made, families: Mapping[Side, list[str]], mix: Mix) -> None:
    """Write what stands beside the rows: lock, report, LLaMA-Factory's description, the manifest, and the card."""
    digests = {entry.name: _digest(entry) for entry in sorted(place.iterdir()) if entry.is_file()}
    lines = {f"{stem(name, side)}.jsonl": name for name, of in made.counts.items() if name in ROWS for side in of}
    papers: dict[str, Any] = {llama_factory.FILE: llama_factory.dataset_info(lines)}
    if made.overlap is not None:
        papers[OVERLAP] = made.overlap.model_dump()
    for name, content in papers.items():
        _write_json(place / name, content)
    if about.lock is not None:
        (place / LOCK).write_text(about.lock, encoding="utf-8")
    manifest = {
        "schema_version": 1,
        "name": about.name,
        "policy": about.policy.name,
        "license": about.license,
        "audit": about.template.audit.model_dump() if about.template is not None else None,
        "lock_sha256": about.lock_sha256,
        "counts": made.counts,
        "split": {"held_out": made.split.share, "families": families, "withheld": dict(made.split.withheld)},
        "sha256": digests,
        "files": sorted([*(f"{e.name}/" if e.is_dir() else e.name for e in place.iterdir()), MANIFEST, CARD]),
    }
    _write_json(place / MANIFEST, manifest)
    (place / CARD).write_text(card(about, mix, replace(made, digests=digests)), encoding="utf-8")


def _families(members: Mapping[str, Member], placed: Split) -> dict[Side, list[str]]:
    """The families of each side; a task without one is a family of its own."""
    return {
        side: sorted({each.family or name for name, each in members.items() if placed.side(name) == side})
        for side in _sides(placed)
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
