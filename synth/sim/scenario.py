"""What a scenario is: one procedural task with its state, solution, checks, wrong answers and a teacher.

A scenario is made from one seeded `Random` and nothing else, so the same seed gives the same task, the same files and
the same checks wherever and whenever it is asked for. The model's roles are answered from it: the sampler from its
texts, the setup agent from `setup`, the writers from `instruction`, `solution` and `checks`, the teacher from `solve`.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from synth.sim.wording import vary


@dataclass(frozen=True)
class Run:
    """The setup agent runs `command` with bash, as root, in the container."""

    command: str


@dataclass(frozen=True)
class Write:
    """The setup agent writes a text file."""

    path: str
    """Absolute."""
    content: str
    mode: str = "0644"


@dataclass(frozen=True)
class Script:
    """A named bash script that ends in a wrong or a partial end state."""

    name: str
    """kebab-case; says what is wrong, such as `resolves-with-ours`."""
    text: str


@dataclass(frozen=True)
class Turn:
    """One answer of the teacher: what it makes of the screen, what it will do, and the commands it types."""

    analysis: str
    plan: str
    commands: tuple[str, ...] = ()
    """Each is typed as it stands plus a newline."""
    seconds: float = 0.1
    """How long the terminal waits after each command."""
    complete: bool = False
    until: str | None = None
    """Pattern that the last line of the screen matches when the commands are through, where that is no shell prompt
    (a pager, an editor). The teacher waits, without asking the scenario, until it does."""


Teacher = Generator[Turn, str, None]
"""Yields turns and is sent the screen that each left behind, as the language model would read it."""


class Scenario(ABC):
    """Base of all scenarios. A subclass draws its parameters in `__init__` and answers the methods below.

    Rules that every scenario keeps (one generic test set holds them all to it):
    deterministic in the seed; the checks fail on the initial state, pass on the reference solution, and fail on each
    wrong and each partial script; nothing needs the network; the end state is looked at and the truth recomputed.
    """

    topic: ClassVar[str]
    """Key of the taxonomy topic that this scenario serves."""
    focus: ClassVar[str]
    """One line for the task's *Domain Focus*."""

    def __init__(self, rng: Random, ticket: str) -> None:
        """Draw every parameter from `rng`; `ticket` is the work order number that the task's texts carry."""
        self.rng = rng
        self.ticket = ticket

    def say(self, *variants: str) -> str:
        """Pick one of several ways to say the same thing, so that two tasks of one scenario read differently.

        Within a variant `[one|two|three]` is a choice too; choices may nest (see `wording.vary`).
        """
        return vary(self.rng, self.rng.choice(variants))

    # What the task says. Drawn once, in __init__, so that every role speaks of the same task.
    title: str
    objective: str
    """One sentence."""
    story: str
    """The scenario paragraph(s); mentions the ticket in passing."""
    checklist: list[str]
    """6 to 10 items."""
    instruction: str
    """What the agent is told: absolute paths, exact names, nothing untested, no hints; carries the ticket."""

    @abstractmethod
    def setup(self) -> list[Run | Write]:
        """What the setup agent does, in order, to make the initial state."""

    @abstractmethod
    def solution(self) -> str:
        """The reference solution: a bash script in natural steps that works from the state alone."""

    @abstractmethod
    def checks(self) -> str:
        """Python source (standard library only) of functions `check_*()`, each with a one-sentence docstring.

        A check raises AssertionError where the end state is wrong. They run as root after the agent, from a folder
        the agent never saw.
        """

    @abstractmethod
    def wrong(self) -> list[Script]:
        """At least two scripts with a plausible but wrong end state."""

    @abstractmethod
    def partial(self) -> list[Script]:
        """At least one script that does a real part of the work and stops."""

    def alternative(self) -> str | None:
        """Another script that does all of the work in a really different way; None where there is none."""
        return None

    @abstractmethod
    def solve(self, rng: Random) -> Teacher:
        """Work as a teacher would: look, act, read the screen, mend what went wrong, observe the result, complete.

        `rng` is the trial's own: it decides whether this attempt slips, and how. The last turn has `complete=True`
        and no commands; the result has been seen on the screen by then.
        """
