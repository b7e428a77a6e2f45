"""What the writers must answer: response models whose validators say what is wrong in words that a model can act on.

A validator's message goes back to the model with the re-ask, so it names the defect and the place. Parsing is all that
happens here: nothing that a model wrote is run on this machine.
"""

import ast
import re
import sys
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

SENTENCE_LIMIT = 240
"""Characters of a check's docstring; it is shown in one line of a report."""

_FENCED = re.compile(r"\A\s*```[\w+-]*[ \t]*\n(?P<body>.*?)\n?```\s*\Z", re.DOTALL)
_ABSOLUTE_PATH = re.compile(r"(?<![\w./:~$}-])/[A-Za-z_][\w.-]*")


def _plain_source(text: str) -> str:
    """Take a program out of a markdown fence, and give it the line ends of the container."""
    fenced = _FENCED.match(text)
    body = fenced["body"] if fenced else text
    return body.replace("\r\n", "\n").rstrip() + "\n"


def _script(text: str) -> str:
    body = _plain_source(text)
    if "\0" in body:
        raise ValueError("the script holds a NUL character")
    lines = [line.strip() for line in body.splitlines()]
    if not any(line and not line.startswith("#") for line in lines):
        raise ValueError("the script is empty: it needs at least one command")
    return body


def _name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", text.lower().removesuffix(".sh")).strip("-")[:60].strip("-")
    if not name:
        raise ValueError("the name needs letters or digits: kebab-case that says what is wrong, such as keeps-one-side")
    return name


Script = Annotated[str, AfterValidator(_script)]
"""A bash script; its syntax is looked at later by bash itself, in the container."""

Name = Annotated[str, AfterValidator(_name)]
"""kebab-case; made so from whatever the model wrote, for it names a file."""


class Answer(BaseModel):
    """Base of the answers: finds the JSON object also behind a reasoning block or in a markdown fence."""

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Validate as pydantic does; if that is no JSON, once more without what surrounds the object."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as invalid:
            if not isinstance(json_data, str) or invalid.errors()[0]["type"] != "json_invalid":
                raise
            text = json_data.rpartition("</think>")[2]
            inner = text[text.find("{") : text.rfind("}") + 1]
            if not inner or inner == json_data:
                raise
            return super().model_validate_json(inner, **options)


class Instruction(Answer):
    """The text that the engineer is given."""

    instruction: str = Field(description="The whole text, in markdown, with absolute paths and exact formats.")

    @field_validator("instruction")
    @classmethod
    def _is_a_contract(cls, text: str) -> str:
        text = text.strip()
        if not 80 <= len(text) <= 12_000:
            raise ValueError(f"the instruction has {len(text)} characters; it must have 80 to 12000")
        if not _ABSOLUTE_PATH.search(text):
            raise ValueError("the instruction names no absolute path: say where things are, such as /app/repo")
        return text + "\n"


class Solution(Answer):
    """The reference solution."""

    script: Script = Field(description="The whole bash script, with absolute paths.")


class Alternative(Answer):
    """A second solution, by someone who has not seen the first."""

    script: str = Field(description="The whole bash script, or an empty text where there is no other way.")

    @field_validator("script")
    @classmethod
    def _is_a_script(cls, text: str) -> str:
        return _script(text) if _plain_source(text).strip() else ""


class Review(Answer):
    """What the solver makes of a run of its script."""

    verdict: Literal["keep", "rewrite", "missing", "state"] = Field(
        description="keep: it did all that is asked; rewrite: run another script; missing: the image lacks something; "
        "state: the starting point is wrong."
    )
    reason: str = Field(description="What in the output or the end state decides it, in a sentence.")
    script: str = Field(default="", description="The whole new script, where the verdict is rewrite.")
    missing: list[str] = Field(
        default=[], description="Programs and Python modules that the work needs and the image lacks."
    )

    @model_validator(mode="after")
    def _has_what_it_speaks_of(self) -> Self:
        if self.verdict == "rewrite":
            self.script = _script(self.script)
        if self.verdict == "missing" and not [name for name in self.missing if name.strip()]:
            raise ValueError("the verdict is missing, but the list of what is missing is empty: name it")
        return self


class Holding(BaseModel):
    """What holds the end state to one statement of the instruction."""

    statement: int = Field(ge=1, description="Its number in the list.")
    checks: list[str] = Field(description="Names of the checks that fail where it is not met; empty where none has to.")
    why: str = Field(default="", description="Why no check is needed, where there is none.")


class Contract(Answer):
    """For every statement of the instruction what holds the end state to it."""

    contract: list[Holding] = Field(description="One entry for each numbered statement.")


class NamedScript(BaseModel):
    """A false answer: a bash script that ends in a state which the checks must refuse."""

    name: Name = Field(description="kebab-case; says what is wrong or where it stops.")
    script: Script = Field(description="The whole bash script, run instead of the solution on the initial state.")


class Tests(Answer):
    """The checks, the false answers that they must refuse, and what they hold the end state to."""

    checks: str = Field(description="Python source with functions check_*(), standard library only.")
    wrong_outputs: list[NamedScript] = Field(min_length=1, description="Plausible but wrong end states.")
    partial_solutions: list[NamedScript] = Field(min_length=1, description="Real first parts of the work.")
    contract: list[Holding] = Field(description="One entry for each numbered statement of the instruction.")

    @field_validator("checks")
    @classmethod
    def _are_checks(cls, source: str) -> str:
        source = _plain_source(source)
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            # ValueError is a NUL character, the last two are absurd nesting.
            line = f" at line {error.lineno}" if isinstance(error, SyntaxError) else ""
            why = error.args[0] if error.args else type(error).__name__
            raise ValueError(f"the checks do not parse as Python{line}: {why}") from None
        problems = [*_import_problems(tree), *_function_problems(tree)]
        if problems:
            raise ValueError("; ".join(problems))
        return source

    @field_validator("wrong_outputs", "partial_solutions")
    @classmethod
    def _have_own_names(cls, scripts: list[NamedScript]) -> list[NamedScript]:
        names = [script.name for script in scripts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two scripts have the same name: {', '.join(twice)}")
        return scripts


def check_names(source: str) -> list[str]:
    """Names of the check functions of valid checks, in the order of the file."""
    return [node.name for node in _functions(ast.parse(source)) if node.name.startswith("check_")]


def check_sentences(source: str) -> dict[str, str]:
    """Docstring of each check function of valid checks by name, on one line; empty where there is none."""
    named = [node for node in _functions(ast.parse(source)) if node.name.startswith("check_")]
    return {node.name: " ".join((ast.get_docstring(node) or "").split()) for node in named}


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _import_problems(tree: ast.Module) -> list[str]:
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = ["." * node.level + (node.module or "")]
        else:
            continue
        problems += [
            f"line {node.lineno} imports {module}, which is not in Python's standard library"
            for module in modules
            if module.partition(".")[0] not in sys.stdlib_module_names
        ]
    return problems


def _function_problems(tree: ast.Module) -> list[str]:
    checks = [node for node in _functions(tree) if node.name.startswith("check_")]
    if not checks:
        return ["there is no function named check_... at the top level"]
    names = [node.name for node in checks]
    problems = [f"{name} is defined twice" for name in sorted(set(names)) if names.count(name) > 1]
    for node in checks:
        said = (ast.get_docstring(node) or "").strip()
        if isinstance(node, ast.AsyncFunctionDef):
            problems.append(f"{node.name} is async; a check is a plain function")
        if ast.unparse(node.args) or node.decorator_list:
            problems.append(f"{node.name} takes parameters or has a decorator; a check has neither")
        if not said or "\n" in said or len(said) > SENTENCE_LIMIT:
            problems.append(f"{node.name} needs a docstring: one sentence, one line, up to {SENTENCE_LIMIT} characters")
        if not any(isinstance(inner, ast.Assert | ast.Raise | ast.Call) for inner in ast.walk(node)):
            problems.append(f"{node.name} asserts nothing")
    return problems
