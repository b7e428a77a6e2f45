"""Base of the scenarios whose work is to mend one program with planted faults."""

from abc import abstractmethod
from collections.abc import Mapping

from synth.sim.planted_faults import Repair
from synth.sim.scenario import Scenario, Script


class FaultyProgram(Scenario):
    """A scenario that is solved, done wrongly and half done as its `repair` says; subclasses draw the program."""

    marks: Mapping[str, str]
    """What stands for each mark of its texts and programs, such as `@TOOL@`."""

    @property
    @abstractmethod
    def repair(self) -> Repair:
        """The work on the program."""

    def filled(self, text: str) -> str:
        """A text with what was drawn in the place of its marks."""
        for mark, value in self.marks.items():
            text = text.replace(mark, value)
        return text

    def solution(self) -> str:
        return self.repair.solution()

    def wrong(self) -> list[Script]:
        return self.repair.wrong()

    def partial(self) -> list[Script]:
        return self.repair.partial()
