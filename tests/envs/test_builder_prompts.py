"""Every prompt renders with what the code gives it, and speaks of everything that the code holds a model to."""

from importlib import resources

import pytest
from jinja2 import UndefinedError

from envs.builder_settings import BuilderSettings
from envs.prompts import render
from envs.setup_tools import MAX_CALLS, tool_definitions

TEXT = "{{ task }} {% raw %} stays as it is"
WRITER: dict[str, object] = {
    "task": TEXT,
    "image": "Debian",
    "state": "0644 /app/x",
    "instruction": "Do it.",
    "statements": ["Do it.", "Do no more."],
    "solution": "true",
    "end": "0644 /app/y",
}
GATE: dict[str, object] = {
    "gate": "wrong", "name": "one-side", "expected": 0.0, "reward": 1.0, "exit_code": 0, "checks": {"check_a": 1.0},
    "messages": {"check_a": "no"}, "output": "done", "script": "true",
}  # fmt: skip
REPAIR: dict[str, object] = {"round": 2, "rounds": 5, "part": "tests", "found": "bad", "others": "## Checks"}
VALUES: dict[str, dict[str, object]] = {
    "setup_system": {
        "max_calls": MAX_CALLS, "max_steps": 40, "seconds": 600.0, **BuilderSettings().model_dump(),
    },
    "setup_task": {"task": TEXT, "image": "Debian", "repair": ""},
    "instruction_system": {},
    "instruction_task": WRITER,
    "solution_system": {"another": False},
    "solution_task": WRITER,
    "tests_system": {"python": "3.11.2", "least_wrong": 2, "least_partial": 1},
    "tests_task": WRITER,
    "review": {
        "number": 1, "left": 3, "problem": "", "exit_code": 0, "timed_out": False, "seconds": 0.5, "output": "done",
        "end": "0644 /app/y",
    },
    "held": {"problems": ["check_a fails on the reference's end state: no"]},
    "contract_system": {},
    "contract_task": {"task": TEXT, "statements": ["Do it."], "checks": "def check_a(): ..."},
    "found": {"reason": "wrong-passes", "detail": "one-side scored 1", "gates": [GATE]},
    "repair": REPAIR,
    "setup_repair": {**REPAIR, "state": "0644 /app/x"},
    "nudge": {"trouble": "Nothing was done."},
    "reask": {"problem": "line 3: syntax error"},
}


def test_every_template_is_tried_here() -> None:
    there = {
        entry.name.removesuffix(".j2") for entry in resources.files("envs.prompts").iterdir() if ".j2" in entry.name
    }
    assert there == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_a_template_renders_and_refuses_to_miss_a_value(name: str) -> None:
    values = VALUES[name]
    text = render(name, **values)
    assert text == text.strip()
    assert "{%" not in text.replace(TEXT, "")
    assert "\n\n\n" not in text
    if values and name not in {"instruction_task", "solution_task"}:  # those two leave out what later writers get
        for missing in values.keys() & _used(name):
            with pytest.raises(UndefinedError):
                render(name, **{key: value for key, value in values.items() if key != missing})


def _used(name: str) -> set[str]:
    from jinja2 import Environment, meta

    source = (resources.files("envs.prompts") / f"{name}.j2").read_text()
    return meta.find_undeclared_variables(Environment(autoescape=True).parse(source))


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("setup_task", ["# Task", "# Image"]),
        ("instruction_task", ["# Task", "# Initial state"]),
        ("solution_task", ["# Task", "# Instruction", "# Initial state", "# Image"]),
        (
            "tests_task",
            [
                *("# Task", "# Instruction", "# Statements", "# Initial state"),
                *("# Reference solution", "# End state", "# Image"),
            ],
        ),
        ("contract_task", ["# Task", "# Statements", "# Checks"]),
    ],
)
def test_user_messages_carry_the_draft_untouched_under_fixed_headings(name: str, headings: list[str]) -> None:
    text = render(name, **VALUES[name])
    assert TEXT in text
    assert [line for line in text.splitlines() if line.startswith("# ")] == headings


def test_the_setup_prompt_names_the_tools_and_the_limits() -> None:
    text = render("setup_system", **VALUES["setup_system"])
    for word in ("finish", "40 replies", "600 seconds", "300 seconds", "16000 bytes", "no network", "60000000 bytes"):
        assert word in text
    assert [tool["function"]["name"] for tool in tool_definitions()] == ["run_command", "write_file", "finish"]


def test_the_prompts_forbid_what_the_code_refuses() -> None:
    tests = render("tests_system", **VALUES["tests_system"])
    for word in ("check_", "standard library only", "3.11.2", "at least 2 bash scripts", "at least 1 bash script\n"):
        assert word in tests
    assert "absolute path" in render("instruction_system")
    for another in (True, False):
        assert "bash solve.sh" in render("solution_system", another=another)
    assert "empty script" in render("solution_system", another=True)
    assert "cannot be kept" in render("review", **VALUES["review"])
    for name in ("tests_system", "contract_system"):
        assert "must, only, exactly" in render(name, **VALUES[name])


def test_statements_stand_one_a_line_with_their_numbers() -> None:
    for name in ("tests_task", "contract_task"):
        assert "\n1. Do it.\n" in render(name, **VALUES[name])


def test_a_failed_gate_is_told_whole() -> None:
    text = render("found", **VALUES["found"])
    for line in ("wrong-passes: one-side scored 1", "## wrong one-side", "score: 1; it must be 0", "passed check_a"):
        assert line in text
    compared = {**GATE, "expected": None, "exit_code": None, "checks": {}, "script": ""}
    assert "score" not in render("found", reason="contract-broken", detail="x", gates=[compared])
