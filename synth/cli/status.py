"""`synth status`: how a run stands."""

import json
from dataclasses import asdict
from pathlib import Path

from synth.ledger import Ledger
from synth.report.diversity import Balance, Nearest, balance, nearest
from synth.report.domains import by_domain, spread
from synth.report.progress import money, reasons
from synth.rounds import yield_by_round
from synth.run_folder import RunFolder


def status(run: Path, diversity: bool, as_json: bool) -> int:
    """Print the funnel, balance, tokens and money of a run, and distances where asked for; returns the exit code."""
    with Ledger.open(RunFolder(run).ledger_file, read_only=True) as ledger:
        funnel = ledger.funnel()
        totals = ledger.totals()
        by_role = ledger.totals_by("role")
        domains = by_domain(ledger)
        even = spread(ledger)
        rounds = yield_by_round(ledger)
        balanced = balance(ledger)
        near = nearest(ledger) if diversity else None
    if as_json:
        shown = {
            "run": str(run),
            "accepted": funnel["policy"].done if "policy" in funnel else 0,
            "stages": {stage: asdict(count) for stage, count in funnel.items()},
            "totals": asdict(totals),
            "domains": {domain: one.model_dump() for domain, one in domains.items()},
            "spread": even.model_dump() if even else None,
            "balance": balanced.model_dump() if balanced else None,
            **({"nearest": near.model_dump() if near else None} if diversity else {}),
            "yield_by_round": [one.model_dump() for one in rounds],
            "roles": {role: asdict(sums) for role, sums in by_role.items()},
        }
        print(json.dumps(shown))
        return 0
    print(f"{'stage':<10} {'done':>5} {'mean':>8}  turned away")
    for stage, count in funnel.items():
        print(f"{stage:<10} {count.done:>5} {count.mean_seconds:>6.2f} s  {reasons(count)}")
    if "repair" in funnel:
        print("\ncertified by round of repair: " + ", ".join(f"{one.certified} in {one.round}" for one in rounds))
        print(f"  not certified: {rounds[-1].open}")
    if len(domains) > 1:
        width = max(map(len, domains))
        print(f"\n{'domain':<{width}} {'sampled':>8} {'accepted':>9}  turned away")
        for domain, one in domains.items():
            away = ", ".join(f"{count} {name}" for name, count in one.rejected.items())
            print(f"{domain:<{width}} {one.sampled:>8} {one.accepted:>9}  {away}".rstrip())
    if even is not None:
        print(f"\nspread of the accepted (1 is even): {even.domains:.2f} over domains, {even.topics:.2f} over topics")
    if balanced is not None:
        _show_balance(balanced)
    if diversity:
        _show_nearest(near)
    print(f"\n{'role':<10} {'calls':>6} {'tokens in':>12} {'out':>10}  cost")
    for role, sums in by_role.items():
        print(f"{role:<10} {sums.calls:>6} {sums.prompt_tokens:>12,} {sums.completion_tokens:>10,}  {money(sums)}")
    print(
        f"\n{totals.calls} calls, {totals.errors} of them failed, {totals.cache_hits} from the cache; {money(totals)}"
    )
    return 0


def _show_balance(found: Balance) -> None:
    if len(found.topics) > 1:
        print("  topics within: " + ", ".join(f"{domain} {even:.2f}" for domain, even in found.topics.items()))
    print("  axes: " + ", ".join(f"{axis.replace('_', ' ')} {even:.2f}" for axis, even in found.axes.items()))
    if found.shortest:
        short = (f"{one.name} {one.accepted} of {one.drawn} drawn (even: {one.fair:g})" for one in found.shortest)
        print("  shortest: " + ", ".join(short))
    clusters = found.clusters
    if not clusters.taken:
        return
    sizes = ", ".join(map(str, clusters.sizes[:8])) + (", ..." if len(clusters.sizes) > 8 else "")
    share = "" if clusters.largest is None else f", the largest {clusters.largest:.0%} of the accepted"
    print(f"  clusters of meaning: {clusters.accepted} (sizes {sizes}){share}; of what was taken {clusters.taken}")
    if clusters.full or clusters.refused:
        names = ", ".join(f"{name} {size}" for name, size in clusters.full.items()) or "none at present"
        print(f"  full (cap {clusters.cap}): {names}; {clusters.refused} tasks turned away from full ones")


def _show_nearest(found: Nearest | None) -> None:
    if found is None:
        print("  nearest neighbour: needs two accepted tasks")
        return
    for name, of in (("meaning", found.meaning), ("words", found.words)):
        print(f"  distance to the nearest, {name}: least {of.least:.2f}, median {of.median:.2f}, mean {of.mean:.2f}")
