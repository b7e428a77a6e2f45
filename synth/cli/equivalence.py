"""`synth replay equivalence`: do a student's commands leave the end states that the teacher's leave?"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.cli.errors import DONE, INTERRUPTED, SHORT
from synth.equivalence import Asked, execute
from synth.settings import load
from trajectories.replay.equivalence_result import FIGURES, StepEquivalence

CODES = {"done": DONE, "short": SHORT, "interrupted": INTERRUPTED}


def equivalence(
    steps: Path, result: Path, tasks: Sequence[Path], limit: int | None, config: Path | None, as_json: bool
) -> int:
    """Execute the steps and tell what was found; returns the exit code."""
    settings = load(file=config)
    asked = Asked(steps, result, tuple(tasks), limit, settings.containers)
    found, ended = asyncio.run(execute(asked, _say, _told))
    print(json.dumps(found, ensure_ascii=False) if as_json else told(found, result))
    if ended == "interrupted":
        sys.stderr.write("synth: interrupted; the same command goes on from here.\n")
    return CODES[ended]


def told(found: Mapping[str, Any], result: Path) -> str:
    """The figures for a person."""
    lines = [f"{found['steps']} steps of {found['tasks']} tasks were executed"]
    if found["equivalent_interval"]:
        low, high = found["equivalent_interval"]
        lines.append(f"same end state: {found['equivalent_pct']:.1f} %  [95 %: {low:.1f} to {high:.1f}]")
        lines.append(f"  same files, whatever the shell: {found['same_files_pct']:.1f} %")
    if found["changing_equivalent_interval"]:
        low, high = found["changing_equivalent_interval"]
        lines.append(
            f"  where the teacher changed anything ({found['changing_steps']} steps):"
            f" {found['changing_equivalent_pct']:.1f} %  [95 %: {low:.1f} to {high:.1f}]"
        )
    lines.append(f"answers without a readable command: {found['unreadable']}")
    lines += [f"not executed: {count} steps, {reason}" for reason, count in found["skipped"].items()]
    lines += [f"broken: {count} steps, {reason}" for reason, count in found["broken"].items()]
    return "\n".join([*lines, f"step set: {found['steps_sha256']}", f"figures: {result / FIGURES}"])


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _told(row: StepEquivalence, over: int, of: int) -> None:
    why = row.detail or ", ".join([*row.files[:3], *row.shell[:3]])
    _say(f"{over}/{of} {row.task_id} #{row.sample_idx} step {row.step_idx}: {row.outcome}{f' ({why})' if why else ''}")
