"""From an exception to an exit code and a mend: the one table, and the one place where a command's error is printed.

Classes are named by text, so that printing an error imports nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

DONE = 0
SHORT = 1
USAGE = 2
MISSING = 3
BUDGET = 4
INTERRUPTED = 130


class Row(NamedTuple):
    """What an exception means to the user."""

    code: int
    mend: str
    """One line on how to mend it; empty where the message says it all."""


TABLE: Mapping[str, Row] = {
    "synth.settings.BadSettings": Row(USAGE, "`synth config` shows every setting with its value"),
    "synth.cli.orders.BadOrder": Row(USAGE, ""),
    "synth.run.CannotServe": Row(
        USAGE, "ask for one of those, or give the roles a real model in synth.toml (see README, A real teacher)"
    ),
    "synth.run_folder.RunBusy": Row(USAGE, "wait for it, stop it, or give another folder (--run, --out)"),
    "synth.run_folder.RunUnreadable": Row(USAGE, "give another folder (--run, --out), or restore the file"),
    "synth.ledger.FingerprintMismatch": Row(
        USAGE, "set them back, or give another folder (--run, --out) for the new settings"
    ),
    "synth.ledger.LedgerError": Row(
        MISSING, "restore the file, or give another folder (--run, --out); nothing was changed"
    ),
    "synth.gateway.errors.MissingKey": Row(MISSING, "export that variable and run the same command again"),
    "synth.gateway.errors.UnknownPrice": Row(USAGE, ""),
    "synth.gateway.server.PortTaken": Row(USAGE, "give another --port"),
    "synth.bookkeeping.UpstreamFailed": Row(
        MISSING, "`synth doctor` checks the upstreams; the same command then goes on"
    ),
    "synth.factory.RunStalled": Row(MISSING, "mend the cause and run the same command again; it goes on from here"),
    "synth.run.NoSpace": Row(MISSING, "free some, or give a --run on another disk; the same command then goes on"),
    "envs.errors.EngineMissing": Row(
        MISSING, "start Docker (`make setup` does, where it may); `synth doctor` checks it"
    ),
    "envs.errors.DiskFull": Row(MISSING, "free some (`synth clean` removes what dead runs left); then run it again"),
    "envs.errors.EngineError": Row(MISSING, "`synth doctor` checks the Docker engine"),
    "envs.images.debian.BaseImageError": Row(MISSING, "`synth doctor` checks what a run needs"),
    "envs.images.recipe.RecipeError": Row(MISSING, "see `packages` of a domain's YAML file in docs/taxonomy.md"),
    "taxonomy.catalog.CatalogError": Row(USAGE, ""),
    "taxonomy.chat_template.TokenizerUnusable": Row(
        USAGE,
        "name a folder with tokenizer_config.json; a chat_template.jinja in it goes before its own template, and where"
        " there is none sampler.template or --fallback names a format",
    ),
    "taxonomy.probing.ModeRefused": Row(MISSING, 'set sampler.mode to "auto" for the best that the server allows'),
    "taxonomy.benchmarks.BenchmarkError": Row(USAGE, "see `benchmarks` in the settings"),
    "synth.evaluation.BadEvaluation": Row(USAGE, ""),
    "judges.gold.GoldError": Row(USAGE, "see `Gold tasks` in docs/judges.md"),
    "trajectories.replay.comparison.ComparisonError": Row(USAGE, ""),
    "envs.found_tasks.TasksError": Row(USAGE, "give a folder of Harbor task folders, such as runs/NAME/tasks"),
    "envs.verify.bases.BadMap": Row(USAGE, ""),
    "trajectories.evaluation.result.EvaluationError": Row(USAGE, "`synth eval` writes result.json when it is through"),
    "trajectories.replay.result.ResultError": Row(USAGE, ""),
    "trajectories.export.order.ExportError": Row(USAGE, ""),
    "trajectories.export.push.PushFailed": Row(
        MISSING, "the export itself is written; check the name, the token's rights and the network, and push again"
    ),
    "trajectories.policy.PolicyError": Row(USAGE, ""),
    "trajectories.replay.step.StepsError": Row(USAGE, ""),
    "synth.cli.replay.BadQuestion": Row(USAGE, ""),
    "trajectories.replay.progress.ReplayMismatch": Row(USAGE, "give another --out, or ask as before"),
    "trajectories.replay.endpoint.EndpointDown": Row(MISSING, "see to the server; the same command then goes on"),
    "trajectories.replay.endpoint.EndpointRefused": Row(USAGE, "change what it names; the same command then goes on"),
    "trajectories.sft.settings.SftError": Row(USAGE, ""),
    "trajectories.template.Mismatch": Row(USAGE, "use the tokenizer, template and thinking that it was trained with"),
    "trajectories.worker.StudentMissing": Row(
        MISSING, "`make student` makes one for CPU, or give --student-python an interpreter that has vLLM, TRL and peft"
    ),
    "trajectories.worker.WorkerFailed": Row(MISSING, "its log says more; the same command then goes on"),
    "trajectories.worker.WorkerRefused": Row(USAGE, ""),
    "trajectories.record.RecordError": Row(MISSING, "restore the file, or remove that trial's folder and run again"),
}


def understood(error: BaseException) -> Row | None:
    """The row of an exception's class or of its nearest base in the table; None for one that is a bug."""
    for kind in type(error).__mro__:
        row = TABLE.get(f"{kind.__module__}.{kind.__qualname__}")
        if row is not None:
            return row
    if isinstance(error, OSError) and error.errno == 28:
        return TABLE["synth.run.NoSpace"]
    return None


def explain(error: BaseException, row: Row) -> str:
    """The one line that a user gets: what is wrong, and how to mend it."""
    message = " ".join((getattr(error, "message", None) or str(error)).split()).rstrip(".")
    mend = getattr(error, "mend", None) or row.mend
    return f"synth: {message}. To mend it: {mend}." if mend else f"synth: {message}."
