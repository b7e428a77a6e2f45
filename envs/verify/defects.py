"""The classes of defects: one table of what each means and how it is found, and one from the gates' reasons to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Defect = Literal[
    "malformed", "broken-build", "no-reference", "reference-fails", "nothing-passes", "flaky", "no-verdict",
    "weak-grader", "alternative-fails", "contract-broken", "ambiguous", "clock-dependent", "needs-network",
    "leaked-answer", "tests-in-agent-folder", "unpinned-image", "stale-certificate",
]  # fmt: skip

DEFECTS: Mapping[Defect, tuple[str, str]] = {
    "malformed": ("it is no task that Harbor would take", "Harbor's own models and checks read the folder"),
    "broken-build": (
        "the image does not build, or does not hold the state that it should",
        "build; for our own, comparison with the state layer",
    ),
    "no-reference": ("there is no solution, so nothing shows that it can be solved", "reading"),
    "reference-fails": ("its own solution does not pass its tests", "the solution in fresh containers"),
    "nothing-passes": ("its tests pass where nothing was done", "the tests alone"),
    "flaky": ("its solution passes at times", "the solution in several fresh containers"),
    "no-verdict": ("its tests leave no reward that Harbor could read", "the tests"),
    "weak-grader": (
        "its tests pass what is wrong: a wrong or partial solution, a spoiled or copied output, a forged reward",
        "wrong end states, shipped and derived from the reference's; a cheating agent",
    ),
    "alternative-fails": ("an independent solution does not pass", "evidence/alternative.sh"),
    "contract-broken": (
        "a check that no sentence of the instruction asks for, or a demand that nothing checks",
        "evidence/contract.json and the files that the checks open",
    ),
    "ambiguous": (
        "the instruction does not name an output that the tests read, or nothing in it can be measured",
        "the files that the reference creates, the tests' and the instruction's text",
    ),
    "clock-dependent": ("the verdict is another one on another day", "grading with the clock set forward"),
    "needs-network": (
        "it passes with a network alone: what it fetches will change or go",
        "once more with a network; where there is none, the marks of a failed download",
    ),
    "leaked-answer": (
        "the solution or an expected output lies in the agent's reach",
        "the image, and the build context",
    ),
    "tests-in-agent-folder": (
        "the tests lie, or run, where the agent works, who can read and change them",
        "the image, the Dockerfile and tests/test.sh",
    ),
    "unpinned-image": ("a base image without a tag, or `latest`: another one tomorrow", "the Dockerfile and task.toml"),
    "stale-certificate": ("its certificate does not hold", "signature and digests"),
}
"""For each class what it means and how it is found."""

REASONS: Mapping[str, Defect] = {
    "build-broken": "broken-build",
    "state-differs": "broken-build",
    "nothing-passes": "nothing-passes",
    "no-verdict": "no-verdict",
    "reference-fails": "reference-fails",
    "flaky": "flaky",
    "partial-passes": "weak-grader",
    "wrong-passes": "weak-grader",
    "cheat-passes": "weak-grader",
    "alternative-fails": "alternative-fails",
    "contract-broken": "contract-broken",
    "answer-leaked": "leaked-answer",
    "clock-dependent": "clock-dependent",
}
"""Class of what a gate found, by the reason that it gives."""


DERIVED: Mapping[str, str] = {
    "empty": "it passes with empty outputs",
    "constant": "it passes with the same line in every output",
    "copied-input": "it passes with an input copied to the output",
    "example": "it passes with the instruction's example for an output",
}
"""What is said of the wrong outputs that every task is held to, by the gates' names for them."""


@dataclass(frozen=True)
class Fault:
    """One defect of one task."""

    defect: Defect
    detail: str
    """One line."""
    gate: str = ""
    """Gate and name of the result that shows it; empty where it was found by reading."""
