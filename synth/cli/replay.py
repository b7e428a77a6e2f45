"""`synth replay`: steps from trajectories, asked of a student, and its answers scored."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

from synth.cli.errors import DONE, SHORT
from synth.gateway.errors import MissingKey
from synth.ledger import Ledger
from synth.rows import accepted
from synth.run_folder import RunFolder
from trajectories.record import load
from trajectories.replay.build import StepSet, check_fixed, write_steps
from trajectories.replay.conversations import Conversation, of_record, read_conversations
from trajectories.replay.score import aggregate, read_predictions, score_step
from trajectories.replay.step import StepsError, read_steps
from trajectories.template import Fallback, Thinking

_ROW_FILES = ("messages.jsonl", "sharegpt.jsonl", "messages.parquet", "sharegpt.parquet")
"""What an export's folder holds; the first one that is there is read."""


class BadQuestion(ValueError):
    """Options of `synth replay run` that do not go together; one line."""


class Options(NamedTuple):
    """How a student is asked; None is the default that depends on something else."""

    model: str
    endpoint: str | None
    api_key_env: str | None
    tokenizer: str | None
    name: str | None
    thinking: str | None
    fallback: str
    max_tokens: int
    max_model_len: int | None
    dtype: str | None
    tp: int | None
    structured: bool
    concurrency: int
    student_python: Path | None
    allow_mismatch: bool


def build(sources: Sequence[Path], out: Path, without: Sequence[Path], as_json: bool) -> int:
    """Make steps from runs and files of rows; returns the exit code.

    Raises:
        StepsError: a source cannot be used, or no step is left.
        LedgerError, RecordError: a run cannot be read.
    """
    dropped: Counter[str] = Counter()
    conversations = [one for source in sources for one in _conversations(source, dropped)]
    trained = [one for source in without for one in _conversations(source, Counter())]
    made = write_steps(conversations, out, dropped, trained)
    if as_json:
        print(json.dumps({**made.model_dump(), "path": str(out)}, ensure_ascii=False))
    else:
        print(_told_set(made, out))
    return DONE


def run(steps_file: Path, out: Path, options: Options, as_json: bool) -> int:
    """Ask a student the steps of a file and score what it answers; returns the exit code.

    Raises:
        BadQuestion: options do not go together.
        StepsError: the file cannot be used.
        MissingKey: the variable that should hold the key is not set.
        ValueError, Exception: see `trajectories.replay.ask`, its students, and `trajectories.template`.
    """
    from trajectories.replay.ask import Student, held_against, replay, trained_as
    from trajectories.template import Audit, load_student_template

    _check(options)
    steps = read_steps(steps_file)
    sha256 = check_fixed(steps_file, steps)
    where = options.tokenizer or (options.model if options.endpoint is None or _is_folder(options.model) else None)
    training = next((found for place in (options.model, where) if place and (found := trained_as(place))), {})
    trained = Audit.model_validate(training["audit"]) if training else None
    thinking: Any = options.thinking or (trained.thinking if trained is not None else "stripped")
    fallback: Any = options.fallback
    template = None if where is None else load_student_template(where, thinking, fallback)
    notes = [] if template is None else held_against(trained, template.audit, allow=options.allow_mismatch)
    shared: dict[str, Any] = {
        "max_tokens": options.max_tokens,
        "max_model_len": options.max_model_len,
        "structured": options.structured,
    }
    student: Student
    if options.endpoint is not None:
        from trajectories.replay.endpoint import EndpointStudent

        key = _key(options.api_key_env)
        student = EndpointStudent(
            options.endpoint, options.model, template, thinking, key=key, concurrency=options.concurrency, **shared
        )
    else:
        from trajectories.replay.in_vllm import VllmStudent
        from trajectories.worker import student_python

        assert template is not None  # noqa: S101 - a student in vLLM always has a place to read it from
        student = VllmStudent(
            options.model,
            template,
            student_python(options.student_python),
            tokenizer=options.tokenizer,
            dtype=options.dtype or "auto",
            tp=options.tp or 1,
            **shared,
        )
    name = options.name or (Path(options.model).resolve().name if _is_folder(options.model) else options.model)
    with _watching(len(steps)) as watch:
        result = replay(steps, sha256, student, name, out, notes, training, watch)
    if as_json:
        print(json.dumps({**result.model_dump(mode="json"), "path": str(out)}, ensure_ascii=False))
    else:
        print(f"student: {result.student}")
        _tell(result.aggregate)
        took = "" if result.seconds_per_step is None else f"{result.seconds_per_step:.3f} s a step"
        cached = "" if result.cache_hit_rate is None else f", {100 * result.cache_hit_rate:.0f} % of prompts cached"
        print(f"{took}{cached}; skipped: {_counts(result.skipped)}")
        print(f"ranked: {'yes' if result.rank_eligible else 'no: ' + '; '.join(result.rank_reasons)}")
        print(f"step set: {result.steps_sha256}")
        print(f"result: {out}")
    return SHORT if result.skipped.get("failed") else DONE


def score(steps_file: Path, predictions_file: Path, as_json: bool) -> int:
    """Score predictions that were made anywhere; returns the exit code.

    Raises:
        StepsError: one of the files cannot be used.
    """
    steps = read_steps(steps_file)
    sha256 = check_fixed(steps_file, steps)
    texts = read_predictions(predictions_file, steps)
    scores = [score_step(step, text) for step, text in zip(steps, texts, strict=True)]
    found = {"steps_sha256": sha256, **aggregate(scores)}
    if as_json:
        print(json.dumps({"aggregate": found, "per_step": [one.model_dump() for one in scores]}, ensure_ascii=False))
        return DONE
    _tell(found)
    print(f"step set: {sha256}")
    return DONE


def _conversations(source: Path, dropped: Counter[str]) -> list[Conversation]:
    """Those of a run's accepted trajectories, of an export's folder or of a file of rows."""
    if source.is_dir():
        folder = RunFolder(source)
        if folder.ledger_file.exists():
            with Ledger.open(folder.ledger_file, read_only=True) as ledger:
                files = accepted(folder, ledger)
            if not files:
                raise StepsError(f"{source}: the run has no accepted trajectory")
            name = source.resolve().name
            return [of_record(load(path), name) for path in files.values()]
        file = next((source / name for name in _ROW_FILES if (source / name).exists()), None)
        if file is None:
            raise StepsError(f"{source}: neither a run (ledger.sqlite) nor an export ({_ROW_FILES[0]})")
        source = file
    found, left_out = read_conversations(source)
    dropped.update(left_out)
    return found


def _check(options: Options) -> None:
    if options.thinking is not None and options.thinking not in get_args(Thinking):
        raise BadQuestion(f"--thinking: {options.thinking!r} is none of {', '.join(get_args(Thinking))}")
    if options.fallback not in get_args(Fallback):
        raise BadQuestion(f"--fallback: {options.fallback!r} is none of {', '.join(get_args(Fallback))}")
    if options.endpoint is None:
        if options.api_key_env is not None:
            raise BadQuestion("--api-key-env: only an --endpoint takes a key")
        return
    for name, given in (("--dtype", options.dtype), ("--tp", options.tp), ("--student-python", options.student_python)):
        if given is not None:
            raise BadQuestion(f"{name}: is for a student in vLLM; an --endpoint has settled it")


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise MissingKey(f"--api-key-env: the environment variable {variable} is not set")
    return key


def _is_folder(model: str) -> bool:
    return Path(model).expanduser().is_dir()


@contextmanager
def _watching(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where someone looks at it, told how many steps have their answer."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("steps", total=total)
        yield lambda done: bar.update(task, completed=done)


def _tell(found: Mapping[str, Any]) -> None:
    low, high = found["score_interval"]
    print(f"score (100 x mean command F1): {found['score']:.2f}  [95 %: {low:.2f} to {high:.2f}]")
    print(f"steps: {found['steps']} of {found['tasks']} tasks, {found['missing']} without a prediction")
    print(f"command precision {found['avg_command_precision']:.4f}, recall {found['avg_command_recall']:.4f}")
    print(f"first command exact {found['first_cmd_exact_pct']:.1f} %, valid JSON {found['valid_json_pct']:.1f} %")
    recall = f"{found['complete_true_recall_pct']:.1f} %" if found["complete_steps"] else "- (no such step)"
    print(f"complete: recall {recall}, premature {found['premature_complete_rate_pct']:.1f} %")
    for by in ("by_bucket", "by_domain"):
        for name, group in found[by].items():
            print(f"  {name:<20} {group['steps']:>6} steps  F1 {group['avg_command_f1']:.4f}")


def _told_set(made: StepSet, out: Path) -> str:
    return (
        f"{made.steps} steps of {made.trajectories} trajectories, {made.tasks} tasks: {out}\n"
        f"left out: steps: {_counts(made.steps_dropped)}; trajectories: {_counts(made.trajectories_dropped)}\n"
        f"step set: {made.steps_sha256}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "none"
