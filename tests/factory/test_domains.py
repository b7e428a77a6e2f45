"""The funnel by domain and the spread are counted from the ledger."""

from math import isclose
from pathlib import Path

import pytest

from synth.ledger import Ledger, StageRow
from synth.report.domains import by_domain, evenness, spread


def test_evenness_is_the_effective_number_of_kinds_over_their_number() -> None:
    assert isclose(evenness([5, 5, 5, 5]), 1)
    assert isclose(evenness([7, 0, 0, 0]), 0.25)
    assert isclose(evenness([1, 1, 0, 0]), 0.5)
    assert evenness([0, 0]) == 0
    assert 0.96 < evenness([20, 20, 20, 10]) < 0.97


def test_a_funnel_and_a_spread(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:

        def sampled(item: str, domain: str, topic: str, accepted: bool) -> None:
            draw = {"domain": domain, "topic": topic}
            ledger.record(StageRow(item=item, stage="sample", status="done", data={"draw": draw}))
            task, trial = f"{domain}-{item}", f"{domain}-{item}-t"
            ledger.record(StageRow(item=task, stage="dedupe", status="done", parent=item))
            status, reason = ("done", None) if accepted else ("rejected", "reward")
            ledger.record(StageRow(item=trial, stage="policy", status=status, reason=reason, parent=task))

        assert spread(ledger) is None
        sampled("a1", "security", "keys", True)
        sampled("a2", "security", "files", True)
        sampled("a3", "system_admin", "cron", True)
        sampled("a4", "system_admin", "users", False)
        evidence = {"evidence": {"draw": {"domain": "networking", "topic": "dns"}}}
        ledger.record(StageRow(item="a5", stage="sample", status="rejected", reason="truncated", data=evidence))
        funnels = by_domain(ledger)
        assert list(funnels) == ["networking", "security", "system_admin"]
        assert funnels["networking"].rejected == {"sample:truncated": 1}
        assert (funnels["security"].sampled, funnels["security"].accepted) == (2, 2)
        assert funnels["system_admin"].accepted == 1
        assert funnels["system_admin"].rejected == {"policy:reward": 1}
        even = spread(ledger)
        assert even is not None
        assert even.domains == pytest.approx(evenness([0, 2, 1]))
        # Two of the three are spread over security's two topics, one stands on one of system_admin's two.
        assert even.topics == pytest.approx(0.5 ** (1 / 3))
