"""A chess move generator forgets moves and invents some; counts of move sequences tell."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.faulty_program import FaultyProgram
from synth.sim.games.move_generator_program import CHECKS, FAULTS, POSITIONS, RULES, SOURCE
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.repair_texts import Subject, write
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.workplace import Workplace


class MoveGenerator(FaultyProgram):
    """Three of eight faults in pawns, castling, captures in passing and check; notation and names are drawn."""

    topic: ClassVar[str] = "move-generators"
    focus: ClassVar[str] = "Mending the legal move generator of a chess program with counts of move sequences"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = place = Workplace(rng)
        self.tool = rng.choice(("movegen.py", "moves.py", "arbiter.py", "rules.py", "referee.py", "legal.py"))
        self.doc = rng.choice(("RULES.md", "NOTES.txt", "SPEC.md", "README.md"))
        self.folder = f"{place.folder}/{rng.choice(('chess', 'lounge/chess', 'games/chess', 'breakroom'))}"
        self.marks = {
            "@TOOL@": self.tool, "@DASH@": rng.choice(("", "-", ":")), "@PROMOTE@": rng.choice(("", "=", "/")),
            "@COUNT@": rng.choice(("perft", "count", "nodes")), "@LIST@": rng.choice(("moves", "list", "legal")),
        }  # fmt: skip
        self.pool = [Fault(*(self.filled(text) for text in fields)) for fields in FAULTS]
        self.faults = [self.pool[i] for i in sorted(rng.sample(range(len(self.pool)), 3))]
        count, listing = self.marks["@COUNT@"], self.marks["@LIST@"]
        write(
            self, place, [fault.symptom for fault in self.faults],
            Subject(
                "chess move generator", self.folder, self.tool, self.doc,
                rng.choice(("legal moves", "move counts", "some positions", "castling, pawns or checks", "rare moves")),
                (
                    f"{place.people[2].first}'s chess server for the {place.team} team [relies on|trusts] {self.tool} to refuse illegal moves.",
                    f"Between two jobs on {place.slug}, {place.people[2].name} wrote a chess program for the [lunch|night] shift; {self.tool} is its referee.",
                    f"The [display|terminal] in the hall of {place.team} offers chess, and {self.tool} decides what is a move.",
                ),
                (
                    f"A [tournament|match] against the {place.project.record} people is [close|near], and nobody wants to argue about rules.",
                    f"Since `{count}` gives wrong numbers, [no engine can be tested|the bot of {place.people[1].first} learns nonsense].",
                    f"Two games of {place.people[0].first} had to be [stopped|given up] because of it.",
                ),
                (
                    (
                        f"Compare `{count}` with numbers that [are known|can be worked out by hand]",
                        f"Use `{count}` at depths 1 to 3 to [narrow down|find] what differs",
                        f"Divide the counts move by move with `{listing}`",
                    ),
                ),
                (
                    f"`{self.folder}/{self.tool}` generates the legal moves of chess positions; `{self.folder}/{self.doc}` describes how it is called and sums up the rules.",
                    f"The folder `{self.folder}` has a chess move generator, `{self.tool}`, and its description, `{self.doc}`.",
                ),
                (
                    f"`python3 {self.folder}/{self.tool} {listing} FEN` prints exactly the legal moves of any legal chess position, in the described notation and order.",
                    f"`python3 {self.folder}/{self.tool} {count} DEPTH FEN` prints the right number for it. Both are tried on positions that are mentioned nowhere.",
                    "It stays one Python file that needs only the standard library, called as before.",
                ),
            ),
        )  # fmt: skip

    @property
    def repair(self) -> Repair:
        """The work on the generator."""
        return Repair(self.folder, self.tool, plant(self.filled(SOURCE), self.faults), self.faults, self.pool)

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.tool}", self.repair.text, "0755"),
            Write(f"{self.folder}/{self.doc}", self.filled(RULES)),
        ]

    def checks(self) -> str:
        constants = {
            "TOOL": f"{self.folder}/{self.tool}", "REFERENCE": self.filled(SOURCE), "LIST": self.marks["@LIST@"],
            "COUNT": self.marks["@COUNT@"], "DOC": (f"{self.folder}/{self.doc}", self.filled(RULES)), "POSITIONS": POSITIONS,
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["contextlib", "io", "random", "sys"])

    def solve(self, rng: Random) -> Teacher:
        start = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
        ending = (f"python3 {self.tool} {self.marks['@COUNT@']} 2 '{start}'",)
        return self.repair.teach(rng, (f"cat {self.doc}",), "the move generator", ending, shuffle=False, seconds=0.6)
