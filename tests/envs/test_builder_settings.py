"""Budgets: what is not set keeps its default, and what is used up is told apart."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from envs.builder_settings import PARTS, Budget, BuilderSettings
from envs.spending import Spending


def test_one_limit_of_a_budget_may_be_set_alone() -> None:
    settings = BuilderSettings.model_validate({"state": {"steps": 3}, "tests": {"seconds": 1.5}})
    assert settings.state == Budget(steps=3, tokens=2_000_000, seconds=600)
    assert settings.tests == Budget(steps=4, tokens=600_000, seconds=1.5)
    assert [settings.budget(part) for part in PARTS[1:3]] == [BuilderSettings().instruction, BuilderSettings().solution]
    assert BuilderSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("wrong", [{"state": {"step": 3}}, {"state": {"steps": 0}}, {"repair_rounds": 11}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BuilderSettings.model_validate(wrong)


def test_each_limit_is_told_when_it_is_reached() -> None:
    spending = Spending("solution", Budget(steps=3, tokens=10, seconds=5))
    spending.took(SimpleNamespace(usage=SimpleNamespace(total_tokens=9)))
    spending.took(SimpleNamespace(usage=None))
    assert (spending.steps, spending.tokens, spending.over()) == (2, 9, None)
    spending.seconds = 6
    assert (spending.over(), spending.seconds_left) == ("seconds", 0.0)
    spending.tokens = 10
    assert spending.over() == "tokens"
    spending.took(None)
    assert spending.over() == "steps"
    end = spending.rejection("steps", "nothing was done", script="x")
    assert (end.reason, end.detail) == ("over-budget", "solution: nothing was done within 3 steps")
    assert end.evidence["used"] == {"steps": 3, "tokens": 10, "seconds": 6}
    assert end.evidence["script"] == "x"
