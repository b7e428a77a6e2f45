"""`synth judge calibrate`: how good the judges are."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from judges.agreement import Agreement, Share
from judges.calibration import Calibration, JudgeFigures
from synth.calibration import Asked, Calibrated, work
from synth.cli.errors import BUDGET, DONE, INTERRUPTED, SHORT
from synth.ledger import Ledger
from synth.report.verdicts import Executed, executed
from synth.run_folder import RunFolder
from synth.settings import load
from taxonomy.task import Rejection

CODES = {"done": DONE, "short": SHORT, "interrupted": INTERRUPTED, "budget": BUDGET}


class Quiet:
    """Tells on stderr what a person should know, and not how it goes: it takes moments."""

    def began(self, stage: str) -> None:
        """See `synth.bookkeeping.Watch`, as for the next two."""

    def ended(self, stage: str, rejection: Rejection | None) -> None:
        """See `began`."""

    def left(self, stage: str) -> None:
        """See `began`."""

    def say(self, line: str) -> None:
        """A line on stderr."""
        sys.stderr.write(f"{line}\n")


def calibration(
    gold: Path | None,
    judges: Sequence[str],
    runs: Sequence[Path],
    out: Path | None,
    flags: Mapping[str, object],
    config: Path | None,
    as_json: bool,
) -> int:
    """Calibrate, print and write the figures; returns the exit code.

    Raises:
        LedgerError: a run has no ledger that can be read.
    """
    settings = load(flags, file=config)
    past = [_past(run) for run in runs]
    asked = Asked(gold, tuple(judges), settings)
    result = asyncio.run(work(asked, past, Quiet(), os.environ))
    text = result.model_dump_json()
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"{text}\n", encoding="utf-8")
    print(text if as_json else told(result))
    if result.ended == "interrupted":
        sys.stderr.write("synth: interrupted; the figures are over what was judged until then.\n")
    return CODES[result.ended]


def _past(run: Path) -> Executed:
    with Ledger.open(RunFolder(run).ledger_file, read_only=True) as ledger:
        return executed(run, ledger)


def told(result: Calibrated) -> str:
    """The figures for a person."""
    lines = []
    if result.by_sim:
        lines.append("sim is no language model: it judges by a few patterns, and these are the figures of patterns.")
    if result.calibration is not None:
        lines += _calibration(result.calibration)
    for run in result.runs:
        lines += ["", *_run(run)]
    lines += [f"not judged: {key}: {why}" for key, why in result.unanswered.items()]
    cost = "unknown" if result.cost_usd is None else f"${result.cost_usd:.4f}"
    lines.append(f"\ncost: {cost}")
    if result.ended == "budget":
        lines.append("stopped at the budget: raise --max-cost and run the same command again")
    return "\n".join(lines)


def _calibration(found: Calibration) -> list[str]:
    total = sum(found.gold.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.gold.items())
    lines = [f"{total} gold tasks ({kinds}), {found.feasible} of them feasible; rule {found.rule}; [95 %]", ""]
    shown = [*found.judges, *([found.combined] if len(found.judges) > 1 or found.drifted else [])]
    width = max(len(one.name) for one in shown)
    head = f"{'accuracy':<18} {'feasible':<37} {'infeasible':<37} kappa with gold"
    lines.append(f"{'judge':<{width}}  {head}")
    lines.append(f"{'':<{width}}  {'':<18} {'precision':<18} {'recall':<18} {'precision':<18} {'recall':<18}")
    for one in shown:
        shares = " ".join(f"{_share(each):<18}" for each in (one.accuracy, *_both(one)))
        lines.append(f"{one.name:<{width}}  {shares} {_kappa(one.agreement)}")
    for one in shown:
        f1 = " and ".join("-" if of.f1 is None else f"{of.f1:.2f}" for of in (one.feasible, one.infeasible))
        lines += ["", f"{one.name} ({one.model}): {one.answered} answers, F1 {f1}"]
        lines.append("  right by kind: " + ", ".join(f"{kind} {_counts(of)}" for kind, of in one.by_kind.items()))
        lines.append("  right by domain: " + ", ".join(f"{key} {_counts(of)}" for key, of in one.by_domain.items()))
        named = (f"{key} {of.hit}/{of.missed}/{of.extra}" for key, of in one.criteria.items())
        lines.append(f"  criteria failed as gold does / missed / too much: {', '.join(named)}")
        lines.append(f"  turned away for a reason that gold names: {_counts(one.right_criterion)}")
        lines.append(f"  difficulty as in gold: {_counts(one.difficulty)}")
        if one.invalid:
            lines.append(f"  no valid answer on: {', '.join(one.invalid)}")
        for said, feasible in (("let through", False), ("turned away", True)):
            if ids := [of.id for of in one.disagreements if of.feasible == feasible]:
                lines.append(f"  {said}, and should not be: {', '.join(ids)}")
    because = {wrong.id: wrong for one in shown for wrong in one.disagreements}
    if because:
        lines += ["", "what gold says of them:"]
    for wrong in because.values():
        of = "feasible" if wrong.feasible else f"fails {', '.join(wrong.fails)}"
        lines.append(f"  {wrong.id} [{wrong.domain}, {wrong.kind}, {of}]: {wrong.because}")
    if found.pairs:
        lines.append("")
    for pair in found.pairs:
        lines.append(f"{pair.one} and {pair.other}: kappa {_kappa(pair.agreement)} over {pair.agreement.items} tasks")
    if found.drifted:
        lines.append(f"\nturned away before a judge is asked: {', '.join(found.drifted)}")
    return lines


def _run(run: Executed) -> list[str]:
    passed, audited = run.passed, run.audited
    lines = [
        f"{run.run}: {passed.judged} tasks found feasible, {passed.built} of them over with building",
        f"  precision: certified {_share(passed.certified)} ({_counts(passed.certified)}),"
        f" solved by a teacher {_share(passed.solved)} ({_counts(passed.solved)})",
    ]
    if run.recall is None:
        lines.append(
            f"  recall: not known, {run.turned_away} turned away and"
            f" {'none of them built (judge.audit builds a share)' if not audited.built else 'nothing was certified'}"
        )
    else:
        ends = run.recall_interval
        between = "" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]"
        found = f"certified {_share(audited.certified)} ({_counts(audited.certified)}): about {run.lost:.1f} lost"
        lines.append(
            f"  recall: about {run.recall:.2f}{between}; of {run.turned_away} turned away {audited.built} were built"
            f" for the audit, {found}"
        )
    return lines


def _both(one: JudgeFigures) -> tuple[Share, ...]:
    return one.feasible.precision, one.feasible.recall, one.infeasible.precision, one.infeasible.recall


def _share(found: Share) -> str:
    if found.value is None or found.interval is None:
        return "-"
    return f"{found.value:.2f} [{found.interval[0]:.2f}, {found.interval[1]:.2f}]"


def _counts(found: Share) -> str:
    return f"{found.count} of {found.of}"


def _kappa(found: Agreement) -> str:
    if found.kappa is None:
        return "-"
    ends = "" if found.interval is None else f" [{found.interval[0]:.2f}, {found.interval[1]:.2f}]"
    return f"{found.kappa:.2f}{ends}"
