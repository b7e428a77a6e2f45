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
    "synth.run_folder.RunBusy": Row(USAGE, "wait for it, stop it, or give another --run"),
    "synth.run_folder.RunUnreadable": Row(USAGE, "give another --run, or restore the file"),
    "synth.ledger.FingerprintMismatch": Row(USAGE, "set them back, or give another --run for the new settings"),
    "synth.ledger.LedgerError": Row(MISSING, "restore the file, or give another --run; nothing was changed"),
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
    "taxonomy.own_template.TokenizerUnusable": Row(
        USAGE, "give sampler.tokenizer a folder with tokenizer_config.json, or give sampler.template a family"
    ),
    "taxonomy.probing.ModeRefused": Row(MISSING, 'set sampler.mode to "auto" for the best that the server allows'),
    "taxonomy.benchmarks.BenchmarkError": Row(USAGE, "see `benchmarks` in the settings"),
    "trajectories.policy.PolicyError": Row(USAGE, ""),
    "trajectories.replay.step.StepsError": Row(USAGE, ""),
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
