"""`synth export`: a run's rows again, chosen by another policy, in the formats that trainers load."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.ledger import Ledger
from synth.rows import Written, chosen, proven, write
from synth.run_folder import RunFolder
from trajectories.export.order import ExportError, Order, parse_formats
from trajectories.policy import load_policy

if TYPE_CHECKING:
    from trajectories.export.push import Pushed
    from trajectories.template import StudentTemplate


@dataclass(frozen=True)
class Options:
    """What the command line says besides run, folder and policy."""

    formats: Sequence[str] = ()
    held_out: float = 0.0
    against: Sequence[Path] = ()
    tokenizer: str | None = None
    thinking: str | None = None
    license: str | None = None
    push: str | None = None


def export(run: Path, out: Path, policy: str, options: Options, as_json: bool) -> int:
    """Apply a policy to all labelled trajectories of a run and write the export; returns the exit code."""
    formats = parse_formats(options.formats)
    Order(held_out=options.held_out)
    rule = load_policy(policy)
    template = _template(options)
    if options.push is not None:
        from trajectories.export.push import check_repo

        check_repo(options.push)
    folder = RunFolder(run)
    with Ledger.open(folder.ledger_file, read_only=True) as ledger:
        found = chosen(folder, ledger, rule)
        order = Order(formats, found.others, proven(folder, ledger), options.held_out, options.against)
        seen = len(found.kept) + len(found.others)
        written = write(found.kept, seen, out, folder, ledger, rule, order, options.license, template)
    pushed = _pushed(written, options.push, run.resolve().name)
    if as_json:
        print(json.dumps({**written.model_dump(), "push": _push_json(pushed)}))
    else:
        _say(written, pushed)
    return 0 if written.rows else 1


def _template(options: Options) -> "StudentTemplate | None":
    if options.tokenizer is None:
        if options.thinking is not None:
            raise ExportError("--thinking: says how a student's template treats thinking, so it needs --tokenizer too")
        return None
    from typing import get_args

    from trajectories.template import Thinking, load_student_template

    thinking: Any = options.thinking or "stripped"
    if thinking not in get_args(Thinking):
        raise ExportError(f"--thinking {thinking}: is one of {', '.join(get_args(Thinking))}")
    return load_student_template(options.tokenizer, thinking)


def _pushed(written: Written, repo: str | None, name: str) -> "Pushed | None":
    if repo is None or not written.rows:
        return None
    from trajectories.export.push import push

    files = {file: Path(path) for file, path in {**written.rows, **written.papers}.items()}
    return push(files, repo, f"synth export of {name}")


def _push_json(pushed: "Pushed | None") -> dict[str, Any] | None:
    if pushed is None:
        return None
    return {"repo": pushed.repo, "uploaded": pushed.uploaded, "url": pushed.url, "files": pushed.files}


def _say(written: Written, pushed: "Pushed | None") -> None:
    print(f"{written.kept} of {written.seen} trajectories kept by policy {written.policy}")
    for name, sides in written.counts.items():
        print(f"{name}: " + ", ".join(f"{number} {side.replace('_', '-')}" for side, number in sides.items()))
    if written.withheld:
        print(f"withheld: {written.withheld} tasks that are nearly a held-out one")
    for pair in written.overlap:
        print(
            f"overlap of {pair['one']} and {pair['other']}: {pair['tasks']} tasks, {pair['texts']} texts, "
            f"{pair['near']} near texts, {pair['families']} families"
        )
    for path in written.rows.values():
        print(f"rows: {path}")
    if pushed is not None:
        size = sum(pushed.files.values()) / 1e6
        if pushed.uploaded:
            print(f"pushed: {len(pushed.files)} files, {size:.1f} MB: {pushed.url}")
        else:
            print(
                f"dry run, no token (`hf auth login`, or HF_TOKEN): would push to {pushed.repo}, private if it is new:"
            )
            for name, number in pushed.files.items():
                print(f"  {name} ({number} bytes)")
