"""The gold set is whole and varied, and a broken one says where and what."""

from collections import Counter
from pathlib import Path

import pytest

from judges.gold import SHIPPED, GoldError, load_gold
from judges.rubric import Rubric
from taxonomy.catalog import Catalog
from taxonomy.duplicates import NearDuplicates
from taxonomy.layout import parse

DOMAINS = ("ai_ml", "build_tools", "data_science", "networking", "security", "system_admin", "version_control")


def test_seventy_tasks_ten_a_domain_of_every_kind(catalog: Catalog, rubric: Rubric) -> None:
    gold = load_gold(catalog, rubric)
    assert Counter(one.task.draw.domain for one in gold) == dict.fromkeys(DOMAINS, 10)
    for domain in DOMAINS:
        labels = [one.label for one in gold if one.task.draw.domain == domain]
        assert {label.kind for label in labels} == {"clear", "borderline", "infeasible"}
        assert {label.feasible for label in labels if label.kind == "borderline"} == {True, False}
        assert len({one.task.draw.topic for one in gold if one.task.draw.domain == domain}) == 10, "a topic each"
    fails = Counter(name for one in gold for name in one.label.fails)
    assert set(fails) == set(rubric.criteria)
    assert min(fails.values()) >= 3
    assert 30 <= sum(one.label.feasible for one in gold) <= 40


def test_each_is_a_task_as_it_is_sampled_and_none_is_like_another(catalog: Catalog, rubric: Rubric) -> None:
    taken = NearDuplicates(0.2)
    for one in load_gold(catalog, rubric):
        layout = parse(one.task.text)
        assert not isinstance(layout, str), f"{one.id}: {layout}"
        assert layout.model_dump() == one.task.model_dump(include=set(type(layout).model_fields))
        assert 110 <= len(one.task.text.split()) <= 400, one.id
        assert taken.check(one.task) is None, one.id
        taken.add(one.task)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("domain: security", "domain: cooking", r"domain: 'cooking' is not a domain"),
        ("topic: key-rotation", "topic: keys", r"tasks\.rotate-the-hsm\.topic: 'keys' is not a topic of security"),
        ("fails: [resources]", "fails: [beauty]", r"tasks\.rotate-the-hsm\.fails: 'beauty' is not a criterion"),
        ("fails: [resources]", "fails: []", r"tasks\.rotate-the-hsm: an infeasible task needs the criteria"),
        ("kind: borderline", "kind: infeasible", r"a task of kind infeasible is not feasible"),
        ("**Domain Focus:** Key rotation", "**Focus on:** Key rotation", r"rotate-the-hsm\.text: no line begins with"),
        ("  rotate-the-hsm:", "  who-was-it:", r"line \d+: the key 'who-was-it' stands twice"),
        ("kind: clear", "kind: sure", r"input should be 'clear', 'borderline' or 'infeasible'"),
    ],
)
def test_a_defect_is_one_line(
    tmp_path: Path, catalog: Catalog, rubric: Rubric, old: str, new: str, message: str
) -> None:
    text = (SHIPPED / "security.yaml").read_text()
    assert old in text
    (tmp_path / "g.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(GoldError, match=message) as raised:
        load_gold(catalog, rubric, tmp_path)
    assert "\n" not in str(raised.value)


def test_no_gold_is_an_error_and_so_is_a_name_in_two_files(tmp_path: Path, catalog: Catalog, rubric: Rubric) -> None:
    with pytest.raises(GoldError, match="holds no gold tasks"):
        load_gold(catalog, rubric, tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text((SHIPPED / "security.yaml").read_text())
    with pytest.raises(GoldError, match="another file has a task of this name"):
        load_gold(catalog, rubric, tmp_path)
