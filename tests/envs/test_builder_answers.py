"""What the writers' answers are held to, before anything reaches a container."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from envs import answers

CHECKS = '''"""Checks."""
import subprocess
from pathlib import Path

REPOSITORY = "/app/repo"


def _git(*arguments):
    return subprocess.run(["git", "-C", REPOSITORY, *arguments], capture_output=True, text=True, timeout=30)


def check_branch():
    """The branch main is checked out."""
    assert _git("branch", "--show-current").stdout.strip() == "main"


def check_report():
    """The report exists."""
    assert Path("/app/report.txt").is_file(), "there is no /app/report.txt"
'''


def an_answer(**changes: object) -> dict[str, object]:
    answer: dict[str, object] = {
        "checks": CHECKS,
        "wrong_outputs": [{"name": "Keeps ours.sh", "script": "#!/bin/bash\ntrue"}],
        "partial_solutions": [{"name": "stops-early", "script": "true\n"}],
        "contract": [{"statement": 1, "checks": ["check_branch", "check_report"]}],
    }
    return answer | changes


def defect(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        answers.Tests.model_validate(an_answer(**changes))
    return str(caught.value)


def test_a_good_answer_passes_and_is_put_in_order() -> None:
    tests = answers.Tests.model_validate(an_answer())
    assert answers.check_names(tests.checks) == ["check_branch", "check_report"]
    assert tests.wrong_outputs[0].name == "keeps-ours"
    assert tests.wrong_outputs[0].script == "#!/bin/bash\ntrue\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def check_a(:\n    pass", "do not parse as Python at line 1"),
        ("x = 1", "no function named check_"),
        ("def test_a():\n    '''It is so.'''\n    assert True", "no function named check_"),
        ("def check_a():\n    assert True", "check_a needs a docstring"),
        ("def check_a():\n    '''One.\n\n    Two.'''\n    assert True", "check_a needs a docstring"),
        ("def check_a():\n    '''It is so.'''\n    x = 1", "check_a asserts nothing"),
        ("def check_a(x):\n    '''It is so.'''\n    assert x", "takes parameters"),
        ("async def check_a():\n    '''It is so.'''\n    assert True", "is async"),
        ("def check_a():\n    '''It is so.'''\n    import yaml\n    assert yaml", "imports yaml"),
        ("from . import x\ndef check_a():\n    '''It is so.'''\n    assert x", "imports ."),
        ("def check_a():\n    '''S.'''\n    assert 1\ndef check_a():\n    '''S.'''\n    assert 1", "defined twice"),
        ("\0", "do not parse"),
        ("(" * 5000, "do not parse"),
    ],
)
def test_bad_checks_are_told_apart(source: str, said: str) -> None:
    assert said in defect(checks=source)


def test_checks_in_a_fence_are_taken_out_of_it() -> None:
    tests = answers.Tests.model_validate(an_answer(checks=f"```python\n{CHECKS}```\n"))
    assert tests.checks == CHECKS


def test_false_answers_are_needed_and_have_their_own_names() -> None:
    assert "at least 1 item" in defect(wrong_outputs=[])
    assert "at least 1 item" in defect(partial_solutions=[])
    twice = [{"name": "a b", "script": "true"}, {"name": "A-B.sh", "script": "false"}]
    assert "same name: a-b" in defect(wrong_outputs=twice)
    assert "script is empty" in defect(wrong_outputs=[{"name": "a", "script": "#!/bin/bash\n# nothing\n"}])
    assert "needs letters or digits" in defect(wrong_outputs=[{"name": "../..", "script": "true"}])


@given(st.text())
def test_a_name_is_safe_as_a_file_name_or_refused(text: str) -> None:
    try:
        name = answers.NamedScript(name=text, script="true").name
    except ValidationError:
        return
    assert name.replace("-", "").isalnum()
    assert name.isascii()
    assert len(name) <= 60


def test_an_instruction_needs_places() -> None:
    long = "Bring the repository into the state that the release notes describe, and leave everything else as it is. "
    with pytest.raises(ValidationError, match="names no absolute path"):
        answers.Instruction(instruction=long + "See https://example.org/a and ./b and a/b.")
    with pytest.raises(ValidationError, match="has 9 characters"):
        answers.Instruction(instruction=" /app/repo")
    assert answers.Instruction(instruction=long + "It is `/app/repo`.").instruction.endswith("`/app/repo`.\n")


@pytest.mark.parametrize(
    "around",
    ["{}", "<think>braces {{like this}}</think>\n{}", "```json\n{}\n```", "Here it is:\n{}\nGood luck."],
)
def test_the_object_is_found_behind_reasoning_and_fences(around: str) -> None:
    inner = json.dumps({"script": "set -e\necho '{}' > /app/x"})
    text = around.replace("{{", "{").replace("}}", "}").replace("{}", inner)
    assert answers.Solution.model_validate_json(text).script == "set -e\necho '{}' > /app/x\n"


def test_what_is_no_object_is_refused() -> None:
    for text in ("", "I cannot do that.", '{"script": "echo', "[]", "{}"):
        with pytest.raises(ValidationError):
            answers.Solution.model_validate_json(text)


def test_a_review_has_what_it_speaks_of() -> None:
    said = {"reason": "It printed an error."}
    assert answers.Review.model_validate({"verdict": "keep", **said}).script == ""
    again = answers.Review.model_validate({"verdict": "rewrite", "script": "```bash\ntrue\n```", **said})
    assert again.script == "true\n"
    with pytest.raises(ValidationError, match="script is empty"):
        answers.Review.model_validate({"verdict": "rewrite", **said})
    with pytest.raises(ValidationError, match="list of what is missing is empty"):
        answers.Review.model_validate({"verdict": "missing", "missing": [" "], **said})


def test_a_second_solution_may_be_none() -> None:
    assert answers.Alternative(script=" \n").script == ""
    assert answers.Alternative(script="#!/bin/bash\ntrue").script == "#!/bin/bash\ntrue\n"
    with pytest.raises(ValidationError, match="script is empty"):
        answers.Alternative(script="# nothing to do")
