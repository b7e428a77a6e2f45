"""What a judge answers, and what it comes to when several have answered."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from judges.rubric import Difficulty, Rubric

Rule = Literal["all", "majority", "any"]
_LEVELS: tuple[Difficulty, ...] = ("easy", "medium", "hard", "impossible")


class Finding(BaseModel):
    """The answer to one criterion."""

    criterion: str
    reason: str = Field(min_length=1)
    passed: bool


class Verdict(BaseModel):
    """One judge's answer on a task."""

    criteria: list[Finding]
    difficulty: Difficulty
    reason: str = Field(min_length=1)

    @property
    def failed(self) -> tuple[str, ...]:
        """Criteria that the task does not meet."""
        return tuple(finding.criterion for finding in self.criteria if not finding.passed)

    @property
    def feasible(self) -> bool:
        """Every criterion passed and the difficulty is not `impossible`."""
        return not self.failed and self.difficulty != "impossible"


def verdict_model(rubric: Rubric) -> type[Verdict]:
    """The response model for one rubric: still called `Verdict`, and it demands each criterion exactly once.

    The names are in the JSON schema, so a server that decodes by schema cannot invent one; the rest is told to the
    model by the validation error. (They are built in and not passed as validation context, because instructor treats
    messages as templates as soon as it is given a context.)
    """
    keys = tuple(rubric.criteria)

    def each_once(criteria: list[Finding]) -> list[Finding]:
        counts = Counter(item.criterion for item in criteria)
        missing = [key for key in keys if not counts[key]]
        repeated = [key for key in keys if counts[key] > 1]
        if missing or repeated:
            wrong = [f"no answer to {key}" for key in missing] + [f"{key} answered more than once" for key in repeated]
            raise ValueError(f"each criterion must be answered exactly once: {', '.join(wrong)}")
        return criteria

    # Types made at run time are beyond what a type checker follows.
    names: Any = Literal[keys]
    finding: Any = create_model("Finding", __base__=Finding, criterion=(names, ...))
    findings: Any = Annotated[list[finding], AfterValidator(each_once)]
    return create_model("Verdict", __base__=Verdict, criteria=(findings, ...))


class Opinion(BaseModel):
    """A verdict and whose it is."""

    model_config = ConfigDict(frozen=True)

    judge: str
    """Model name that was asked."""
    model: str
    """Model name that the server answered with."""
    verdict: Verdict


class Judgement(BaseModel):
    """A task that goes on to be built, with every verdict on it: found feasible, or taken for an audit."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    rubric: str
    """Id of the rubric."""
    rule: Rule
    opinions: tuple[Opinion, ...]
    difficulty: Difficulty
    """The middle one of those who found it feasible, of all where none did; the harder of two."""
    disagreements: tuple[str, ...]
    """Criteria, and `difficulty`, on which the verdicts differ."""
    audited: bool = False
    """The judges found it infeasible, and it is built all the same to see whether they were right. What comes of it is
    never a row."""


def feasible(verdicts: Sequence[Verdict], rule: Rule) -> bool:
    """Combine verdicts: `all` must find the task feasible, or more than half of them, or `any` of them."""
    votes = [verdict.feasible for verdict in verdicts]
    if rule == "all":
        return all(votes)
    return any(votes) if rule == "any" else 2 * sum(votes) > len(votes)


def middle_difficulty(verdicts: Sequence[Verdict]) -> Difficulty:
    """The middle difficulty of the feasible verdicts, of all (at least one) where none is; the harder of two."""
    asked = [verdict for verdict in verdicts if verdict.feasible] or verdicts
    levels = sorted(_LEVELS.index(verdict.difficulty) for verdict in asked)
    return _LEVELS[levels[len(levels) // 2]]


def disagreements(verdicts: Sequence[Verdict], rubric: Rubric) -> tuple[str, ...]:
    """Criteria in the rubric's order, then `difficulty`, on which the verdicts are not of one mind."""
    failed = [set(verdict.failed) for verdict in verdicts]
    split = [key for key in rubric.criteria if 0 < sum(key in names for names in failed) < len(failed)]
    if len({verdict.difficulty for verdict in verdicts}) > 1:
        split.append("difficulty")
    return tuple(split)


def defect(verdicts: Sequence[Verdict], rubric: Rubric) -> str:
    """What an infeasible task fails on: the criterion that most verdicts fail, the first of equals, or `difficulty`."""
    counts = Counter(name for verdict in verdicts for name in verdict.failed)
    return max(rubric.criteria, key=lambda key: counts[key]) if counts else "difficulty"
