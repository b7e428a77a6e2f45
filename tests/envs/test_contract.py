"""The contract between instruction and checks, as far as texts tell."""

import pytest

from envs.contract import Demand, binding, breaches, statements

INSTRUCTION = """\
# Readings

The readings lie in `/data/readings.csv`. They come from e.g. pump 3.
Their unit is liters.

- Write `/app/total.json`,
  with one object.
- It must be readable by all.

1. First this.

| a | b |
|---|---|

```json
{"must": "not be a statement."}
```
Do not change the input.
"""


def test_an_instruction_is_cut_into_list_items_and_sentences() -> None:
    assert statements(INSTRUCTION) == (
        "The readings lie in `/data/readings.csv`.",
        "They come from e.g. pump 3.",
        "Their unit is liters.",
        "Write `/app/total.json`, with one object.",
        "It must be readable by all.",
        "First this.",
        "Do not change the input.",
    )


@pytest.mark.parametrize(
    ("statement", "asks"),
    [
        ("It must be there.", True), ("Do not touch it.", True), ("Exactly three lines.", True),
        ("The file stays as it is.", True), ("The readings lie there.", False), ("Musty cellars smell.", False),
    ],
)  # fmt: skip
def test_wording_tells_what_asks_for_something(statement: str, asks: bool) -> None:
    assert binding(statement) is asks


CHECKS = '''\
def check_total():
    """The total is right."""
    assert True


def check_input():
    """The input is as it was."""
    assert True
'''
TEXT = "The input is /data/x.\n\nWrite the total to /app/y. The input must stay as it is.\n"
WHERE = Demand(text="The input is /data/x.", why="it says where things are")
TOTAL = Demand(text="Write the total to /app/y.", checks=("check_total",))
KEEP = Demand(text="The input must stay as it is.", checks=("check_input",))


def test_a_contract_that_holds_has_no_breach() -> None:
    assert breaches(TEXT, CHECKS, (WHERE, TOTAL, KEEP)) == []


@pytest.mark.parametrize(
    ("checks", "contract", "said"),
    [
        (CHECKS, (WHERE, TOTAL), "nothing is said of the statement: The input must stay as it is."),
        (CHECKS, (WHERE, TOTAL, Demand(text=KEEP.text, why="none")), "no check holds the end state to: The input must"),
        (CHECKS, (Demand(text=WHERE.text), TOTAL, KEEP), "no check holds the end state to: The input is"),
        (CHECKS, (WHERE, Demand(text=TOTAL.text, checks=("check_input",)), KEEP), "asks for what check_total checks"),
        (CHECKS, (WHERE, TOTAL, KEEP, Demand(text="Dance.", why="x")), "the instruction does not state: Dance."),
        (CHECKS, (WHERE, TOTAL, KEEP.model_copy(update={"checks": ("check_input", "z")})), "there is no check z"),
        (CHECKS.replace('    """The total is right."""\n', ""), (WHERE, TOTAL, KEEP), "check_total has no sentence"),
    ],
)
def test_each_breach_is_named(checks: str, contract: tuple[Demand, ...], said: str) -> None:
    problems = breaches(TEXT, checks, contract)
    assert said in problems[0], problems
