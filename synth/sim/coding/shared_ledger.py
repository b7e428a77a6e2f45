"""A program that several copies of run at once loses updates, deadlocks and shows half-written numbers."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.coding.shared_ledger_program import CHECKS, OPERATION, PIECES, REHEARSE, RUNNER, SOURCE
from synth.sim.faulty_program import FaultyProgram
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.wording import listed
from synth.sim.workplace import Request, Workplace

# thing, units, verb of moving, tool
_TRADES = (
    ("account", "coins", "transfer", "ledger"),
    ("bin", "pieces", "shift", "stock"),
    ("tank", "litres", "pump", "cellar"),
    ("depot", "pallets", "haul", "yard"),
    ("ward", "beds", "lend", "beds"),
    ("pool", "licences", "hand", "quota"),
    ("silo", "tonnes", "convey", "grain"),
    ("fund", "cents", "book", "kitty"),
)


class SharedLedger(FaultyProgram):
    """Three of six concurrency faults; things, units and verbs are drawn."""

    topic: ClassVar[str] = "concurrency-faults"
    focus: ClassVar[str] = "Finding races and deadlocks between copies of a program that share files"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = Workplace(rng)
        self.ask = Request(rng, self.place, ticket)
        self.thing, self.units, self.verb, name = rng.choice(_TRADES)
        self.tool = f"{name}.py"
        self.folder = f"{self.place.folder}/{rng.choice(('service', 'books', 'counter', name))}"
        self.doc = rng.choice(("OPERATION.txt", "README", "HOWTO.txt"))
        self.names = sorted(
            rng.sample("amber basalt cedar dune ember fjord grove heath inlet juniper kelp larch".split(), 6)
        )
        self.marks = {
            "@THING@": self.thing, "@UNITS@": self.units, "@VERB@": self.verb, "@TOOL@": self.tool,
            "@PREFIX@": self.tool[:-3].upper(), "@A@": self.names[0], "@B@": self.names[1], "@DOC@": self.doc,
        }  # fmt: skip
        self.levels = {name: rng.randrange(200, 900) for name in self.names}
        self.journal = "".join(
            f"{source} {target} {rng.randrange(1, 60)}\n"
            for source, target in (rng.sample(self.names, 2) for _ in range(rng.randrange(2, 6)))
        )
        keys = list(PIECES)
        planted = rng.sample(keys, 3)
        while {"removed-lock", "stale-level", "unlocked-add"} == set(planted):
            planted = rng.sample(keys, 3)
        self.pool = [self._fault(key, "add" if "stale-level" in planted else self.verb) for key in keys]
        self.faults = [fault for fault in self.pool if fault.name in planted]
        self._write_texts()

    def _fault(self, name: str, exclusive: str) -> Fault:
        """A fault with its probe, made of operations that the other faults do not disturb."""
        a, b, c, d, e, f = self.names
        level, lines = self.levels, self.journal.count("\n")
        moves = [f"{self.verb} {a} {b} 10"]
        adds = [f"add {c} 10"]
        if name == "half-written":
            case, expect = [*moves, *["show"] * 5], "all 6 operations ended with status 0"
        elif name == "lock-order":
            case, expect = (
                [f"{self.verb} {a} {b} 7", f"{self.verb} {b} {a} 7", f"{self.verb} {c} {c} 1"],
                "all 3 operations ended with status 0",
            )
        elif name == "removed-lock":
            case, expect = (
                (adds * 5, f"{c} {level[c] + 50}") if exclusive == "add" else (moves * 5, f"{a} {level[a] - 50}")
            )
        elif name == "stale-level":
            case, expect = moves * 4, f"{a} {level[a] - 40}"
        elif name == "unlocked-add":
            case, expect = adds * 4, f"{c} {level[c] + 40}"
        else:
            case = [f"{self.verb} {one} {other} 3" for one, other in ((a, b), (c, d), (e, f))]
            expect = f"journal: {lines + 3} lines"
        stagger = {"removed-lock": "STAGGER=0.15 ", "half-written": "STAGGER=0.08 "}.get(name, "")
        right, wrong, mistake, symptom, thought = (self.filled(text) for text in PIECES[name])
        probe = f"{stagger}./rehearse.sh {' '.join(repr(step) for step in case)}"
        return Fault(name, right, wrong, mistake, symptom, thought, probe, rf"^{expect}$")

    @property
    def repair(self) -> Repair:
        """The work on the program."""
        text = plant(self.filled(SOURCE), self.faults)
        return Repair(self.folder, self.tool, text, self.faults, self.pool)

    def setup(self) -> list[Run | Write]:
        folder = self.folder
        return [
            Run(f"mkdir -p {folder}/data/{self.thing}s {folder}/data/locks {folder}/data/tmp"),
            Write(f"{folder}/{self.tool}", self.repair.text, "0755"),
            Write(f"{folder}/{self.doc}", self.filled(OPERATION)),
            Write(f"{folder}/rehearse.sh", self.filled(REHEARSE), "0755"),
            Write(f"{folder}/data/journal", self.journal),
            Run(
                f"cd {folder}/data/{self.thing}s\n"
                + "".join(f"echo {level} > {name}\n" for name, level in self.levels.items())
            ),
        ]

    def checks(self) -> str:
        constants = {
            "TOOL": f"{self.folder}/{self.tool}", "DATA": f"{self.folder}/data", "THINGS": f"{self.thing}s", "VERB": self.verb,
            "LEVELS": self.levels, "JOURNAL": self.journal, "PREFIX": self.tool[:-3].upper(), "RUNNER": RUNNER,
            "DOC": (f"{self.folder}/{self.doc}", self.filled(OPERATION)),
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["random", "sys", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        ending = (f"./{self.tool} data show", "wc -l data/journal", "rm -rf /tmp/rehearsal")
        return self.repair.teach(
            rng, (f"cat {self.doc}", "cat rehearse.sh"), "the program", ending, shuffle=False, seconds=1.5
        )

    def _write_texts(self) -> None:
        place, ask, say, tool = self.place, self.ask, self.say, self.tool
        a, b, c = self.names[:3]
        symptoms = [say(fault.symptom) for fault in self.faults]
        noun = f"{self.thing}s"
        self.title = say(
            f"{tool} goes wrong when [several copies run|it runs more than once] at a time",
            f"[Races|Trouble] between copies of {tool} in {place.slug}",
            f"[Make|Get] the {self.thing} book-keeping of {place.project.title} safe for many users",
            f"{self.units.capitalize()} [disappear|get lost] between {noun}: mend {tool}",
        )
        self.objective = say(
            f"Make {tool} keep its {noun} [right|consistent] however many copies of it run at once.",
            f"Find and mend what [lets|makes] parallel runs of {tool} [spoil|damage] the {self.units} of {place.slug}.",
            f"Let any number of copies {self.verb} and add {self.units} at the same time with the outcome of [some order|one after the other].",
        )
        self.story = say(
            f"{ask.opening} {tool} keeps the {self.units} of {len(self.names)} {noun}, {a} and {b} among them. Alone it is right. Since it is"
            f" started by [timers and people|several people] at once, this happens: {listed(symptoms)}. {ask.closing}",
            f"{ask.opening} {place.people[0].name} [counted|checked] the {noun} {a}, {b} and {c} and found them off. {ask.closing}"
            f" [From the notes|Collected so far]: {listed(symptoms, 'and besides')}.",
            f"{ask.opening} Nobody [believed|trusted] {place.people[1].first} until a rehearsal with a slow disk showed it: {listed(symptoms)}."
            f" The {place.project.purpose} [depends on|needs] these numbers. {ask.closing}",
        )
        self.checklist = [
            say(f"Read {self.doc} and {tool}", f"Learn from {self.doc} how {tool} is [used|meant]", f"Understand the files under data/{noun} and data/locks"),
            say(
                f"[Rehearse|Try] parallel runs that {self.verb} {self.units} between {a} and {b}",
                f"Use rehearse.sh with operations on {a} and {b} at once",
                f"See the losses with rehearse.sh before changing {tool}",
            ),
            *(say(f"Put an end to this: {text}", f"Mend [what is behind|the reason for] this: {text}", f"Make this impossible: {text}") for text in symptoms),
            say(
                f"Keep the commands, statuses and files of {tool} [as they are|compatible]",
                f"Leave the format of data/{noun} and the journal [alone|unchanged]",
                f"Change nothing about how {tool} is called",
            ),
            say(
                f"Leave the real {self.units} under data [untouched|as they are]",
                f"Do not {self.verb} anything in the real data folder",
                f"Experiment on copies, not on the {noun} of {place.slug}",
            ),
            say(
                f"Repeat the rehearsals until {self.ticket} [holds|is settled]",
                f"Show with many copies at once that {a}, {b} and {c} add up",
                "Rehearse additions, opposite directions and show together",
            ),
        ]  # fmt: skip
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{self.folder}/{tool}` keeps {self.units} in {noun}; `{self.folder}/{self.doc}` says how it is used.",
                    f"({self.ticket}) In `{self.folder}` there is `{tool}`, which moves {self.units} between {noun}, with its description `{self.doc}`.",
                ),
                say("When several copies run at once, it misbehaves:", "It is right as long as it runs alone. With several copies at once:"),
                "\n".join(f"- {text}" for text in symptoms),
                say("What is wanted:", "The end state:", "When you are done:"),
                "\n".join(
                    (
                        f"1. Any number of copies of `{self.folder}/{tool}` may run at the same time on one data folder. What they leave behind (numbers, journal, exit statuses) is what some order of running them one after the other would leave; the lines of the journal may be in any order.",
                        "2. `show` never fails and never shows a number or a name that was not there at some moment, whatever runs beside it.",
                        "3. No combination of operations waits for ever, and a copy that is killed holds up nobody afterwards.",
                        f"4. It stays a Python program of that name that needs only the standard library. Commands, exit statuses, the files in `{noun}/` and the journal keep their form, and the pauses of `{self.tool[:-3].upper()}_PAUSE` stay where the program reads and writes.",
                        f"5. `{self.folder}/data` and `{self.doc}` are as they are now.",
                    )
                ),
            ]
        )  # fmt: skip
