"""`synth compare`: students beside each other, and beside the teacher."""

from collections.abc import Sequence
from pathlib import Path

from trajectories.evaluation.result import EvaluationResult, load
from trajectories.replay.comparison import Comparison, Pair, Standing, compare, contenders, with_live
from trajectories.replay.correlation import Correlation
from trajectories.replay.equivalence_result import read_equivalence
from trajectories.replay.pages import clean, write_pages

SHOWN = 3
"""Steps shown on the screen where two differ most; the files have more."""


def comparison(
    results: Sequence[str], against_eval: Sequence[str], out: Path | None, common: bool, as_json: bool
) -> int:
    """Compare, write the pages where a folder is given, and tell; returns the exit code.

    Raises:
        ComparisonError: the results cannot be compared.
        ResultError, EvaluationError: a folder or file holds none.
    """
    compared = with_live(contenders(results, read_equivalence, common), [_live(text) for text in against_eval])
    found = compare(compared)
    files = write_pages(found, compared, out) if out is not None else []
    print(found.model_dump_json() if as_json else told(found, files))
    return 0


def _live(text: str) -> tuple[str | None, EvaluationResult]:
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, load(Path(path))
    return None, load(Path(text))


def told(found: Comparison, files: Sequence[Path]) -> str:
    """The comparison for a person."""
    width = max(5, *(len(clean(one.name)) for one in found.standings))
    head = f"rank {'model':<{width}}  score  [95 %]           precision recall  first exact  valid JSON"
    ranked = [one for one in found.standings if one.rank is not None]
    others = [one for one in found.standings if one.rank is None]
    lines = [f"{found.steps} steps of {found.tasks} tasks; score = 100 x mean command F1", "", head]
    lines += [_line(one, width) for one in ranked]
    if others:
        lines += ["", "not ranked:", *(f"{_line(one, width)}  ({'; '.join(one.rank_reasons)})" for one in others)]
    lines += ["", "paired differences (first less second), 95 % by bootstrap over tasks:"]
    lines += [_pair(pair) for pair in found.pairs]
    if found.across_models:
        lines += ["", f"replay F1 with executed pass@1, over models: {_together(found.across_models)}"]
    lines += [f"  over the tasks of {clean(name)}: {_together(one)}" for name, one in found.within_models.items()]
    for pair in found.pairs if len(found.pairs) <= SHOWN else ():
        for gap in pair.most[:SHOWN]:
            lines += [
                "",
                f"{clean(gap.task_id)} #{gap.sample_idx} step {gap.step_idx}",
                f"  {'reference':<{width}}       {_units(gap.reference)}",
                f"  {clean(pair.a):<{width}} {gap.a_f1:.2f}  {_units(gap.a)}",
                f"  {clean(pair.b):<{width}} {gap.b_f1:.2f}  {_units(gap.b)}",
            ]
    lines += ["", f"step set: {', '.join(found.steps_sha256)}", *(str(file) for file in files)]
    return "\n".join(lines)


def _line(one: Standing, width: int) -> str:
    low, high = one.score_interval
    ends = f"[{low:.2f}, {high:.2f}]"
    more = "" if one.equivalent_pct is None else f"  same end state {one.equivalent_pct:.1f} %"
    more += "" if one.pass_at_1 is None else f"  pass@1 {100 * one.pass_at_1:.1f} %"
    return (
        f"{one.rank or '-':>4} {clean(one.name):<{width}} {one.score:>6.2f}  {ends:<16}  {one.precision:.4f}   "
        f"{one.recall:.4f} {one.first_exact_pct:>9.1f} % {one.valid_json_pct:>9.1f} %{more}"
    )


def _pair(pair: Pair) -> str:
    f1, exact = pair.f1, pair.first_exact
    return (
        f"  {clean(pair.a)} - {clean(pair.b)}: F1 {f1.value:+.4f} [{f1.interval[0]:+.4f}, {f1.interval[1]:+.4f}]"
        f"{'' if f1.clear else ' (not clear)'}, first exact {exact.value:+.4f}"
        f" [{exact.interval[0]:+.4f}, {exact.interval[1]:+.4f}]; better {pair.a_better}, worse {pair.b_better},"
        f" same {pair.same}"
    )


def _together(found: Correlation) -> str:
    if found.pearson is None:
        return f"n = {found.n}: {found.note}"
    note = f" ({found.note})" if found.note else ""
    return f"Pearson {found.pearson:+.3f}, Spearman {found.spearman:+.3f}, n = {found.n}{note}"


def _units(units: Sequence[str]) -> str:
    text = " ; ".join(map(clean, units)) or "(nothing)"
    return text if len(text) <= 100 else f"{text[:97]}..."
