"""An interpreter of a small rule language computes wrong values: precedence, associativity, rounding, evaluation order."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.coding.formula_interpreter_program import CHECKS, FAULTS, LANGUAGE, SOURCE
from synth.sim.faulty_program import FaultyProgram
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.wording import listed
from synth.sim.workplace import Request, Workplace


class FormulaInterpreter(FaultyProgram):
    """Three of seven faults are in it; operators, comment sign and names of the language are drawn."""

    topic: ClassVar[str] = "parsers-interpreters"
    focus: ClassVar[str] = "Mending the parser and evaluator of a small language against its description"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = Workplace(rng)
        self.ask = Request(rng, self.place, ticket)
        self.power = rng.choice(("^", "**"))
        self.assign = rng.choice((":=", "<-", "="))
        self.comment = rng.choice(("#", "//", "--"))
        self.unequal = rng.choice(("<>", "#=", "/=") if self.comment == "--" else ("<>", "~="))
        self.choose = rng.choice(("if", "case", "pick", "either"))
        self.tool = rng.choice(("rules", "calc", "formula", "tariff", "terms")) + ".py"
        self.language = self.place.project.title.split()[0] + rng.choice(("Script", " Rules", "Calc", " Formula"))
        self.doc = rng.choice(("LANGUAGE.md", "docs-language.txt", "MANUAL.md"))
        self.folder = f"{self.place.folder}/{rng.choice(('interpreter', 'engine', 'lang', 'eval'))}"
        self.marks = {
            "@POW@": self.power, "@ASSIGN@": self.assign, "@COMMENT@": self.comment, "@NE@": self.unequal,
            "@IF@": self.choose, "@TOOL@": self.tool, "@LANG@": self.language, "@TITLE@": self.place.slug,
            "@POWRE@": self.power.replace("^", r"\^").replace("*", r"\*"),
        }  # fmt: skip
        self.reference = self.filled(SOURCE)
        self.pool = [Fault(**{key: self.filled(text) for key, text in fields.items()}) for fields in FAULTS]
        planted = sorted(rng.sample(range(len(self.pool)), 3))
        self.faults = [self.pool[i] for i in planted]
        self.names = rng.sample("rate load base span count width depth tare share level".split(), 3)
        self._write_texts()

    @property
    def repair(self) -> Repair:
        """The work on the interpreter."""
        return Repair(self.folder, self.tool, plant(self.reference, self.faults), self.faults, self.pool)

    def _sample(self) -> str:
        a, b, c = self.names
        numbers = self.rng
        return (
            f"{self.comment} {self.place.project.subject}\n{a} {self.assign} {numbers.randrange(3, 40)}\n"
            f"{b} {self.assign} {a} * {numbers.randrange(2, 9)} + {numbers.randrange(1, 50)}\n{b}\n"
            f"{c} {self.assign} max({a}, {b}, {numbers.randrange(5, 90)})\n{c}   {self.comment} the largest\n"
        )

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.tool}", self.repair.text, "0755"),
            Write(f"{self.folder}/{self.doc}", self.filled(LANGUAGE)),
            Write(f"{self.folder}/sample.txt", self.sample),
        ]

    def checks(self) -> str:
        constants = {
            "TOOL": f"{self.folder}/{self.tool}", "REFERENCE": self.reference, "SAMPLE": self.sample,
            "DOC": (f"{self.folder}/{self.doc}", self.filled(LANGUAGE)), "POW": self.power, "NE": self.unequal,
            "ASSIGN": self.assign, "COMMENT": self.comment, "IF": self.choose,
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["random", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        return self.repair.teach(
            rng,
            (f"cat {self.doc}", "cat sample.txt"),
            "the interpreter",
            (f"python3 {self.tool} sample.txt",),
            shuffle=False,
        )

    def _write_texts(self) -> None:
        place, ask, say = self.place, self.ask, self.say
        self.sample = self._sample()
        lang, tool, slug, folder = self.language, self.tool, place.slug, self.folder
        symptoms = [say(fault.symptom) for fault in self.faults]
        a, b, c = self.names
        self.title = say(
            f"[Mend|Repair] the {lang} interpreter of {place.project.title}",
            f"{lang} [computes|gives] wrong values in {slug}",
            f"{tool}: make it [agree with|follow] {self.doc}",
            f"[Evaluation|Parsing] faults in the {place.project.purpose}'s formulas",
        )
        self.objective = say(
            f"Make {tool} evaluate {lang} programs [exactly as|as] {self.doc} describes them.",
            f"[Find and mend|Mend] the faults of {folder}/{tool} so that every {lang} program gives the documented values.",
            f"Bring the interpreter behind {slug} [in line|into agreement] with its language description, {self.doc}.",
        )
        self.story = say(
            f"{ask.opening} {place.people[0].first} wrote {lang} so that {place.team} could keep formulas about"
            f" {place.project.subject} out of the code. Since a [rewrite|clean-up] some of them are off: {listed(symptoms)}."
            f" {ask.closing}",
            f"{ask.opening} [Reported|Seen] so far with {tool}: {listed(symptoms)}. The formulas with {a} and {b}"
            f" [are fine|still work], so the files of {place.people[1].first} [do not show it|stayed quiet]. {ask.closing}",
            f"{ask.opening} Formulas for each {place.project.record} are written in {lang}, which has its own rules for"
            f" {self.power} and {self.choose}(). {ask.closing} [What is known|The complaints]: {listed(symptoms, 'and also')}.",
        )
        items = [
            say(
                f"Read {self.doc} and [note|list] what it says about precedence",
                f"Learn the rules of {lang} from {self.doc}",
                f"[Study|Go through] the description of {lang} first",
            ),
            say(
                f"Run {tool} on sample.txt and on [cases|programs] of your own",
                f"[Reproduce|Confirm] what {place.asker.first} reported with {tool}",
                f"Try small {lang} programs and compare them with {self.doc}",
            ),
            *(say(f"Settle this: {text}", f"See to it that this [ends|is over]: {text}", f"[Mend|Treat] the cause of: {text}") for text in symptoms),
            say(
                f"Keep exit statuses and [messages|error texts] of {tool} as {self.doc} has them",
                f"Wrong {lang} programs still [end|stop] with their documented status",
                f"Leave {tool}'s way of being called [alone|as it is]",
            ),
            say(
                f"Leave {self.doc} and sample.txt [untouched|as they are]",
                f"Change nothing in {self.doc}",
                f"Do not bend the [document|description] to fit {tool}",
            ),
            say(
                f"[Go over|Test] combinations of {self.power}, signs and {self.choose}() at the end",
                f"Check {c}-like formulas with nested {self.choose}() calls afterwards",
                f"Compare a [dozen|handful] of values with ones worked out by hand for {self.ticket}",
            ),
        ]  # fmt: skip
        self.checklist = items
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{folder}/{tool}` is the interpreter of {lang}, a small language that `{folder}/{self.doc}` describes.",
                    f"({self.ticket}) The folder `{folder}` has `{tool}`, which runs programs in {lang}; `{self.doc}` beside it is the language's description.",
                ),
                say(
                    "The interpreter does not keep to its description. Known so far:",
                    "It differs from the description, at least in what users reported:",
                    "These complaints came in; all have their causes in the interpreter:",
                ),
                "\n".join(f"- {text}" for text in symptoms),
                say("What is wanted:", "The end state:", "When you are done:"),
                "\n".join(
                    (
                        f"1. `python3 {folder}/{tool} FILE` prints for every {lang} program what `{self.doc}` says, to standard output, and ends with the described exit status. It is tried on programs that are not in the folder.",
                        "2. Error messages go to standard error, in one line that begins with `error: `; what was printed before an error stays printed.",
                        f"3. `{self.doc}` and `sample.txt` are as they are now. The interpreter stays one file that needs nothing but Python's standard library.",
                    )
                ),
            ]
        )
