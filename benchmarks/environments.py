"""How long environments take to make and to verify, over all domains, and what they leave behind.

    python benchmarks/environments.py --n 200 --folder /tmp/environments

Draws as a run does (built-in model), builds, runs every gate, and stops there: no teacher works in them. Then `synth
verify` runs on the folder. The same command again goes on. Prints seconds by part, disk, and what failed.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import docker

import synth.run
from synth.bookkeeping import Watch
from synth.factory import Factory, Order
from synth.ledger import Ledger
from synth.run_folder import RunFolder
from synth.settings import Settings
from taxonomy.catalog import load_catalog
from taxonomy.task import Draw, Rejection


class Environments(Factory):
    """A factory that is content with certified environments."""

    async def _flow(self, drawn: Draw) -> bool:
        task = await self._stages.sample(drawn)
        if isinstance(task, Rejection) or isinstance(await self._stages.dedupe(task), Rejection):
            return False
        if isinstance(await self._stages.judge(task), Rejection):
            return False
        if isinstance(await self._stages.build(task), Rejection):
            return False
        async with self._image_gone_after(task):
            certified = not isinstance(await self._stages.prove(task), Rejection)
        self._accepted += certified
        return certified


class Quiet(Watch):
    """Tells what a person should know, and nothing else."""

    def began(self, stage: str) -> None: ...

    def ended(self, stage: str, rejection: Rejection | None) -> None:
        if rejection is not None and stage in ("build", "repair", "gates"):
            print(f"{stage}: {rejection.reason}: {rejection.detail}", file=sys.stderr, flush=True)

    def left(self, stage: str) -> None: ...

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def images_mb() -> float:
    """What the engine's images take on disk, shared layers counted once."""
    client = docker.from_env()
    try:
        return float(client.df()["LayersSize"]) / 1e6
    finally:
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    catalog, disk, began = load_catalog(), images_mb(), time.monotonic()
    order = Order(tuple(sorted(catalog.domains)), asked.n, 4 * asked.n)
    go = synth.run.Go(
        RunFolder(asked.folder), order, Settings(seed=asked.seed), catalog, Quiet(), os.environ, lambda _: None
    )
    with patch.object(synth.run, "Factory", Environments):
        summary = asyncio.run(synth.run.go(go))
    seconds = time.monotonic() - began
    with Ledger.open(asked.folder / "ledger.sqlite", read_only=True) as ledger:
        print(f"{summary.accepted} certified of {summary.candidates} draws in {seconds:.0f} s")
        print(f"{seconds / max(1, summary.accepted):.1f} s of the machine for each, {os.cpu_count()} cores")
        for stage in ("build", "gates"):
            spent = [row.seconds for row in ledger.rows(stage=stage)]
            print(f"{stage}: median {statistics.median(spent):.1f} s, longest {max(spent):.1f} s, several at once")
        turned_away = Counter(f"{row.stage}: {row.reason}" for row in ledger.rows(status="rejected"))
        print("turned away:", dict(turned_away) or "none")
    folders = sum(file.stat().st_size for file in (asked.folder / "tasks").rglob("*") if file.is_file()) / 1e6
    print(f"task folders: {folders:.1f} MB; images: {disk:.0f} MB before, {images_mb():.0f} MB after")
    began = time.monotonic()
    command = [sys.executable, "-m", "synth", "verify", str(asked.folder), "--json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - began
    report = json.loads(ended.stdout.strip().splitlines()[-1])
    certified = sum(task["certified"] for task in report["tasks"])
    defects = Counter(name for task in report["tasks"] for name in task["defects"])
    print(f"verify: {certified} of {len(report['tasks'])} certified in {seconds:.0f} s", dict(defects) or "")
    print(f"{seconds / max(1, len(report['tasks'])):.1f} s of the machine for each; images: {images_mb():.0f} MB after")


if __name__ == "__main__":
    main()
