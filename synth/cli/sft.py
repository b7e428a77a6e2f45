"""`synth sft`: a student learns from rows."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trajectories.sft.settings import load_settings
from trajectories.sft.training import Checkpoint, Planned, plan, train

_SHOWN = 2000
"""Characters of the sample that are shown to people; `--json` has all of it."""


def sft(
    data: Path,
    model: str,
    out: Path,
    preset: str | None,
    file: Path | None,
    flags: Mapping[str, Any],
    lora: int | None,
    python: Path | None,
    allow_mismatch: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Train, or with `dry_run` only prepare; returns the exit code.

    Args:
        data: rows, an export, or a run.
        model: a folder or a hub name.
        out: the folder for the model and all that belongs to it.
        preset: a published recipe.
        file: YAML of settings.
        flags: settings by name; None is one that was not given.
        lora: rank of the adapters; 0 trains the whole model, None leaves it to the recipe.
        python: the student's interpreter.
        allow_mismatch: use rows that were exported for another template.
        dry_run: no training.
        as_json: one JSON object on stdout.

    Raises:
        SftError, StepsError, Mismatch, TokenizerUnusable: see `trajectories.sft.training.plan`.
        StudentMissing, WorkerFailed, WorkerRefused: see `trajectories.sft.training.train`.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if lora is not None:
        given["lora"] = {"rank": lora, "alpha": 2 * lora} if lora else None
    planned = plan(data, model, out, load_settings(preset, file, given), allow_mismatch)
    _show(planned)
    if dry_run:
        return _print(planned, None, as_json)

    def progress(line: Mapping[str, Any]) -> None:
        if "step" in line:
            say(f"step {line['step']} of {line['of']}: loss {line['loss']:.4f}, {line['seconds']:.0f} s")
        elif line.get("sample", planned.prepared.sample) != planned.prepared.sample:
            say("the trainer's tokenizer has the loss see it so:")
            _show_sample(line["sample"])

    return _print(planned, train(planned, python, progress), as_json)


def _show(planned: Planned) -> None:
    prepared = planned.prepared
    left = ", ".join(f"{reason} {count}" for reason, count in prepared.dropped.items())
    say(f"{prepared.rows} rows: {prepared.examples} examples, {prepared.answers} answers to learn from")
    say(
        f"{prepared.tokens} tokens, {prepared.learnt_tokens} of them learnt; the longest example has {prepared.longest}"
    )
    if left:
        say(f"left out: {left}")
    say("what the loss sees of the first example:")
    _show_sample(prepared.sample)


def _show_sample(sample: Sequence[str]) -> None:
    text = "\n".join(sample)
    say(text if len(text) <= _SHOWN else f"{text[:_SHOWN]} [{len(text) - _SHOWN} more characters]")


def _print(planned: Planned, checkpoint: Checkpoint | None, as_json: bool) -> int:
    if as_json:
        import json

        shown: dict[str, Any] = {
            "out": str(planned.out),
            "audit": planned.audit.model_dump(),
            "settings": planned.settings.model_dump(mode="json"),
            "prepared": planned.prepared.model_dump(),
            "configs": {tool: str(path) for tool, path in planned.configs.items()},
            "checkpoint": None if checkpoint is None else checkpoint.model_dump(mode="json"),
        }
        print(json.dumps(shown, ensure_ascii=False))
        return 0
    for tool, path in planned.configs.items():
        print(f"{tool}: {path}")
    if checkpoint is not None:
        figures = checkpoint.figures
        print(f"loss {figures['first_loss']} to {figures['last_loss']} in {figures['steps']} steps")
        print(f"{figures['seconds']} s on {figures['device']}, {figures['precision']}")
        print(f"model: {planned.out}")
    return 0


def say(line: str) -> None:
    """Progress is for stderr."""
    sys.stderr.write(f"sft: {line}\n")
