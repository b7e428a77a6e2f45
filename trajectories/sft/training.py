"""A training from rows to a checkpoint: prepare, run the worker, keep what it made, and say how it was made."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from taxonomy.chat_template import TEMPLATE, load_files
from trajectories.record import write_text
from trajectories.sft.configs import write_configs
from trajectories.sft.preparation import (
    Prepared,
    check_export,
    data_file,
    file_sha256,
    prepare,
    write_examples,
)
from trajectories.sft.settings import SftError, SftSettings
from trajectories.template import Audit, load_student_template
from trajectories.worker import run_worker, student_python

CHECKPOINT = "synth-sft.json"
_WORK = "training"
_ORDER = "order.json"
_WORKER = Path(__file__).with_name("sft_worker.py")
_CARRIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Files of a tokenizer that a checkpoint has byte for byte as its base has them, so that their hashes are the same."""


class Data(BaseModel):
    """The rows of a training."""

    model_config = ConfigDict(frozen=True)

    path_name: str
    sha256: str
    rows: int


class Checkpoint(BaseModel):
    """What `synth-sft.json` says of the model beside it."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = Field(1, ge=1, le=1)
    audit: Audit
    base: str
    """The model that was trained on: a hub name, or a folder's name."""
    data: Data
    settings: SftSettings
    versions: dict[str, str]
    figures: dict[str, JsonValue]
    """Steps, losses, seconds, tokens and what else was counted."""


class Planned(BaseModel):
    """A training that is ready to run."""

    model_config = ConfigDict(frozen=True)

    model: str
    audit: Audit
    end_of_turn: str
    data: Data
    settings: SftSettings
    prepared: Prepared
    configs: dict[str, Path]
    """The settings for LLaMA-Factory and axolotl."""
    out: Path


def plan(data: Path, model: str, out: Path, settings: SftSettings, allow_mismatch: bool = False) -> Planned:
    """Render the rows, and write everything that a training needs into the folder.

    Args:
        data: rows, an export or a run; see `preparation.data_file`.
        model: a folder or a name on the Hugging Face hub.
        out: made if it is missing.
        settings: how to train.
        allow_mismatch: whether rows exported for another tokenizer, template or thinking may be used.

    Raises:
        SftError: the data cannot be used, the template leaves the end of a turn out, or the folder holds another
            training.
        StepsError: the rows cannot be read.
        Mismatch: the rows were exported for something else.
        TokenizerUnusable: the model has no tokenizer or template that can be used.
    """
    file = data_file(data)
    template = load_student_template(model, settings.thinking, settings.fallback)
    if not allow_mismatch:
        check_export(file, template.audit)
    sha256 = file_sha256(file)
    work = out / _WORK
    _claim(work, {"data": sha256, "model": _name(model), "audit": template.audit, "settings": settings})
    examples, prepared = prepare(file, template, settings)
    write_examples(examples, work / "examples.jsonl")
    if template.audit.source != "own":
        write_text(work / TEMPLATE, template.source)
    return Planned(
        model=model,
        audit=template.audit,
        end_of_turn=template.end_of_turn,
        data=Data(path_name=file.name, sha256=sha256, rows=prepared.rows),
        settings=settings,
        prepared=prepared,
        configs=write_configs(examples, settings, _where(model), out),
        out=out,
    )


def train(planned: Planned, python: Path | None, on_line: Callable[[Mapping[str, Any]], None]) -> Checkpoint:
    """Train as planned; a checkpoint that was left by an earlier call is gone on from, a finished one returned.

    Args:
        planned: of `plan`.
        python: the student's interpreter; see `worker.student_python`.
        on_line: called with the worker's lines: `sample`, then `step` with `loss` and `seconds`.

    Returns:
        What was written as `synth-sft.json`; model and tokenizer are beside it.

    Raises:
        StudentMissing: there is no interpreter, or it has no TRL, or no peft where LoRA is asked for.
        WorkerFailed: the training broke.
        WorkerRefused: the texts do not end as they should once they are tokens, or the loss is no number.
    """
    if (planned.out / CHECKPOINT).exists():
        return load_checkpoint(planned.out)
    work = planned.out / _WORK
    made, checkpoints = work / "model", work / "checkpoints"
    for folder in (made, checkpoints):
        folder.mkdir(exist_ok=True)
    figures: dict[str, JsonValue] = {}

    def heard(line: dict[str, Any]) -> None:
        figures.update(line.get("figures", {}))
        on_line(line)

    versions = run_worker(
        student_python(python),
        _WORKER,
        {
            "examples": str((work / "examples.jsonl").absolute()),
            "model": _where(planned.model),
            "out": str(made.absolute()),
            "checkpoints": str(checkpoints.absolute()),
            "end_of_turn": planned.end_of_turn,
            "sft": planned.settings.model_dump(mode="json"),
        },
        work,
        heard,
    )
    _carry(planned, made)
    for path in sorted(made.iterdir()):
        target = planned.out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)
    checkpoint = Checkpoint(
        schema_version=1,
        audit=planned.audit,
        base=_name(planned.model),
        data=planned.data,
        settings=planned.settings,
        versions=versions,
        figures=figures | planned.prepared.model_dump(mode="json", exclude={"sample"}),
    )
    write_text(planned.out / CHECKPOINT, json.dumps(checkpoint.model_dump(mode="json"), indent=1) + "\n")
    made.rmdir()
    shutil.rmtree(checkpoints)  # they are for going on alone, and each is three times the model's size
    return checkpoint


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a trained model's `synth-sft.json`.

    Raises:
        SftError: it is not there or cannot be read.
    """
    path = folder / CHECKPOINT
    try:
        return Checkpoint.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise SftError(f"{path}: cannot be read: {reason}") from error


def _claim(work: Path, order: Mapping[str, Any]) -> None:
    """Make the folder for this training, or see that it is this one's.

    Raises:
        SftError: it is another's.
    """
    text = json.dumps(
        {name: one.model_dump(mode="json") if isinstance(one, BaseModel) else one for name, one in order.items()},
        indent=1,
    )
    path = work / _ORDER
    if path.exists():
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        other = [name for name in now if before.get(name) != now[name]]
        if other:
            raise SftError(f"{work.parent} holds a training with other {' and '.join(other)}; give another --out")
        return
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SftError(f"--out {work.parent}: {error.strerror}") from error
    write_text(path, text + "\n")


def _carry(planned: Planned, made: Path) -> None:
    """Give the trained model its base's tokenizer files as they are, and a fallback's text as its own template."""
    base = load_files(planned.model).folder
    for name in (*_CARRIED, TEMPLATE):
        if (base / name).is_file():
            shutil.copyfile(base / name, made / name)
    if planned.audit.source != "own":
        shutil.copyfile(planned.out / _WORK / TEMPLATE, made / TEMPLATE)


def _where(model: str) -> str:
    """A folder's whole path; a hub name as it is."""
    folder = Path(model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else model


def _name(model: str) -> str:
    folder = Path(model).expanduser()
    return folder.absolute().name if folder.is_dir() else model
