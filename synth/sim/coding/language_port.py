"""A Perl or awk report is to be ported to Python with the same bytes, habits of the old language included."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.coding.language_port_program import AWK, CHECKS, HEAD, PERL, PLAIN, RUNNER, SECTIONS
from synth.sim.hand import Hand, PuzzledError, shows
from synth.sim.planted_faults import edit
from synth.sim.scenario import Run, Scenario, Script, Teacher, Turn, Write
from synth.sim.wording import listed
from synth.sim.workplace import Request, Workplace

_LANGUAGES = {"perl": ("Perl", "pl", "/usr/bin/perl"), "awk": ("awk", "awk", "/usr/bin/gawk -f")}


class LanguagePort(Scenario):
    """Perl or awk; three of six sections, each with its habit; widths, labels and separators are drawn."""

    topic: ClassVar[str] = "language-translation"
    focus: ClassVar[str] = "Porting a report script to Python without changing a byte of its output"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = Workplace(rng)
        self.ask = Request(rng, self.place, ticket)
        self.old = rng.choice(list(_LANGUAGES))
        self.language, ending, self.interpreter = _LANGUAGES[self.old]
        self.folder = f"{self.place.folder}/{rng.choice(('reports', 'scripts', 'batch', 'nightly'))}"
        name = rng.choice(("report", "summary", "overview", "digest", self.place.project.record))
        self.script, self.port = f"{name}.{ending}", f"{name}.py"
        self.chosen = rng.sample(list(SECTIONS), 3)
        self.key = rng.choice(("site", "group", "owner", "line", "grade", "crew"))
        self.marks = {
            "@KEY@": self.key, "@WIDTH@": str(rng.choice((4, 5, 8, 20, 25))), "@MOD@": str(rng.choice((3, 7, 9, 11))),
            "@LABEL@": rng.choice(("ay", "Zx", "a8", "zz", "Az8", "y9")), "@LAST@": str(rng.randrange(2, 6)),
            "@PAD@": str(rng.randrange(6, 13)), "@GAP@": rng.choice((" = ", ": ", " | ", ";", " -> ")),
            "@STAR@": rng.choice("*+ox"), "@JOIN@": rng.choice((" ", ",", "/", "-")),
        }  # fmt: skip
        self.titles = {
            name: f"{rng.choice(('== ', '-- ', '# ', '[ '))}{rng.choice((name, name.capitalize(), name.upper()))}"
            for name in self.chosen
        }
        words = rng.sample("amber Basalt cedar dune Ember fjord grove heath".split(), 5)
        self.sample = "".join(
            f"{rng.choice(words)} {self._amount(rng)} {' '.join(rng.sample(('New', 'order', 'FROM', 'pier', 'No.', 'seven', 'iO'), rng.randrange(3)))}\n"
            for _ in range(rng.randrange(9, 14))
        )
        self.sample = f"# {self.place.project.subject}\n\n{self.sample}"
        self._write_texts()

    @staticmethod
    def _amount(rng: Random) -> str:
        number = rng.choice(
            (str(rng.randrange(-40, 90)), f"{rng.randrange(-200, 999) / 8}", f"{rng.randrange(1, 99) / 10}")
        )
        return rng.choice((number, number, number, number + "kg", "n/a", f"{rng.randrange(1, 9)}e1"))

    def _fill(self, text: str) -> str:
        for mark, value in self.marks.items():
            text = text.replace(mark, value)
        return text

    @property
    def original(self) -> str:
        """The script in the old language."""
        awk = self.old == "awk"
        lines = ""
        for name in self.chosen:
            code = self._fill(SECTIONS[name].awk if awk else SECTIONS[name].perl)
            lines += (
                f'    print "{self.titles[name]}"\n    {code}'
                if awk
                else f'\nprint "{self.titles[name].replace("@", "")}\\n";\n{code}'
            )
        return (AWK if awk else PERL).replace("@NAME@", self.place.project.purpose).replace("@SECTIONS@", lines)

    def python(self, naive: str = "", skip: str = "") -> tuple[str, str]:
        """The port in two halves; a section may be ported naively or left out."""
        awk = self.old == "awk"
        body = ""
        for name in self.chosen:
            if name != skip:
                code = SECTIONS[name].from_awk if awk else SECTIONS[name].from_perl
                if name == naive:
                    before, after = SECTIONS[name].naive_awk if awk else SECTIONS[name].naive_perl
                    code = code.replace(before, after)
                body += f'print("{self.titles[name]}")\n' + self._fill(code)
        return HEAD.replace("@NAME@", self.place.project.purpose), body

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.script}", self.original, "0755"),
            Write(f"{self.folder}/sample.txt", self.sample),
        ]

    def _install(self, head: str, body: str) -> str:
        path = f"{self.folder}/{self.port}"
        return f"#!/bin/bash\nset -eu\ncd {self.folder}\ncat > {path} <<'EOF'\n{head}{body}EOF\nchmod 755 {path}\n"

    def solution(self) -> str:
        return (
            self._install(*self.python())
            + f"diff <(./{self.script} < sample.txt) <(./{self.port} < sample.txt) && echo same\n"
        )

    def wrong(self) -> list[Script]:
        head, body = self.python()
        plain = head.replace("    match = PREFIX.match(text)\n    return float(match[0]) if match else 0.0\n", PLAIN)
        every = [Script(f"ports-{name}-naively", self._install(*self.python(naive=name))) for name in self.chosen]
        call = f'import subprocess\nimport sys\n\nsys.exit(subprocess.call(["{self.folder}/{self.script}"]))\n'
        wrapped = Script("calls-the-old-script", self._install("#!/usr/bin/python3\n", call))
        needs = {"totals", "classes", "remainders"} & set(self.chosen)
        return [*every, wrapped, *([Script("reads-only-clean-numbers", self._install(plain, body))] if needs else [])]

    def partial(self) -> list[Script]:
        return [Script("lacks-the-last-section", self._install(*self.python(skip=self.chosen[-1])))]

    def checks(self) -> str:
        constants = {
            "ORIGINAL": self.original, "SCRIPT": f"{self.folder}/{self.script}", "PORT": f"{self.folder}/{self.port}",
            "SAMPLE": self.sample, "FOLDER": self.folder, "INTERPRETER": self.interpreter.split(), "RUNNER": RUNNER,
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["ast", "random", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        hand, port = Hand(rng), self.port
        compare = f"diff <(./{self.script} < sample.txt) <(./{port} < sample.txt) && echo same"
        screen = yield Turn(
            hand.say(
                f"A {self.language} script has to become a Python program.",
                f"I have to port {self.script} and keep every byte.",
            ),
            hand.say("Read the original first.", "See the script and its sample."),
            (f"cd {self.folder}", rng.choice(("ls -l", "ls -la", "ls", "pwd; ls -l")), f"cat {self.script}"),
        )
        if self.titles[self.chosen[-1]] not in screen:
            raise PuzzledError("the sections of the original")
        yield Turn(
            hand.say(f"Three sections: {listed(self.chosen)}.", f"It reads rows and prints {listed(self.chosen)}."),
            hand.say("See what it makes of the sample, odd amounts included.", "Run it to know what has to come out."),
            ("cat sample.txt", f"./{self.script} < sample.txt"),
        )
        head = self.python()[0]
        naive = rng.choice(self.chosen) if hand.slips(0.6) else ""
        written = self.python(naive)[1]
        yield Turn(
            hand.say(
                f"{self.language} takes the leading number of a text such as 12kg and 0 where there is none; float() would fail.",
                f"The amounts are not always clean numbers, and {self.language} reads their beginning only.",
            ),
            hand.say("Write the reading part.", "Begin with reading the rows."),
            (f"cat > {port} <<'EOF'\n{head}EOF",),
        )
        screen = yield Turn(
            hand.say("Now the sections, in the same order.", f"Next the three sections: {listed(self.chosen)}."),
            hand.say("Append them and compare with the original on the sample.", "Add them, then diff both outputs."),
            (f"cat >> {port} <<'EOF'\n{written}EOF", f"chmod 755 {port}", compare),
            seconds=0.3,
        )
        # The sample need not show the difference, so odd rows are tried too.
        tries = "".join(
            f"{line}\\n"
            for line in (
                "b -13 teN more",
                "a 12.345678kg iO",
                "c 7e0 x",
                "b n/a",
                "a -0.3 Oak LEAF",
                "d 1000000.5 up",
                "e 9 Io",
                "f 88 ab",
                "B 10 a",
            )
        )
        odd = f"printf '{tries}' > /tmp/odd"
        both = f"diff <(./{self.script} < /tmp/odd) <(./{port} < /tmp/odd) && echo same on odd rows"
        screen = yield Turn(
            hand.say(
                "The sample agrees." if shows("^same$", screen) else "There is a difference already.",
                "Now for rows that the sample may not have.",
            ),
            hand.say(
                "Try odd rows: negative, fractions, units, no text.",
                "Compare both on rows with negative and unclean amounts.",
            ),
            (odd, both),
            seconds=0.3,
        )
        if not shows("^same on odd rows$", screen):
            if not naive:
                raise PuzzledError("same on odd rows")
            before, after = (
                self._fill(text)
                for text in (SECTIONS[naive].naive_awk if self.old == "awk" else SECTIONS[naive].naive_perl)
            )
            command, _ = edit(port, head + written, after, before)
            screen = yield Turn(
                f"The section {naive} differs: my version is not what {self.language} does there.",
                hand.say("Correct that and compare again.", "Mend that section and repeat both comparisons."),
                (command, both, compare),
                seconds=0.3,
            )
            if not shows("^same on odd rows$", screen) or not shows("^same$", screen):
                raise PuzzledError("same")
        screen = yield Turn(
            hand.say("Both agree on the odd rows too.", "No difference is left."),
            hand.say("Try no rows at all, and see that the original is as it was.", "The edge case: empty input."),
            (f"diff <(./{self.script} < /dev/null) <(./{port} < /dev/null) && echo same without rows", f"python3 -I {port} < sample.txt | tail -n 3", "rm /tmp/odd; ls -l"),
            seconds=0.3,
        )  # fmt: skip
        if not shows("^same without rows$", screen):
            raise PuzzledError("same without rows")
        yield Turn(
            hand.say(
                f"{port} gives the same bytes in all three comparisons.", "Sample, odd rows and empty input all agree."
            ),
            hand.say("Nothing is left to do.", "The port is done."),
            complete=True,
        )

    def _write_texts(self) -> None:
        place, ask, say = self.place, self.ask, self.say
        lang, script, port, slug = self.language, self.script, self.port, place.slug
        purposes = [self._fill(SECTIONS[name].purpose) for name in self.chosen]
        if "labels" in self.chosen:
            at = self.chosen.index("labels")
            purposes[at] = "the largest amount" if self.old == "awk" else f"a label for each {self.key}"
        self.title = say(
            f"Port {script} of {place.project.title} to Python",
            f"{slug}: [replace|retire] the {lang} report {script}",
            f"From {lang} to Python: the {script.rpartition('.')[0]} of {place.project.subject}",
            f"[Write|Make] {port}, a faithful [port|copy] of {script}",
        )
        self.objective = say(
            f"[Write|Create] {self.folder}/{port} so that it prints [exactly|byte for byte] what {script} prints for any rows of {place.project.subject}.",
            f"Replace the {lang} script {script} by a Python program, {port}, that nobody can tell from it by its output.",
            f"Give {place.team} a Python version of {script} that [gives|has] the same bytes, {lang}'s habits included.",
        )
        self.story = say(
            f"{ask.opening} Every night {script} lists {listed(purposes)}. {place.people[0].first} is the last who reads {lang}, so it has to"
            f" become Python, and [the programs behind it|those who parse it] may not notice. {ask.closing}",
            f"{ask.opening} {lang} [leaves|goes from] the machines of {place.team} next month. {script} in {self.folder} prints {listed(purposes)};"
            f" a first try by {place.people[1].first} differed [in small things|at odd rows]. {ask.closing}",
            f"{ask.opening} Amounts of {place.project.subject} are typed by hand: some have units, some are missing. {script} copes with them in {lang}'s own way"
            f" while it works out {listed(purposes)}. {port} has to cope likewise. {ask.closing}",
        )
        self.checklist = [
            say(f"Read {script} [line by line|carefully]", f"Understand what {script} [does|means] in {lang}", f"List the {lang} habits that {script} [relies on|uses]"),
            say(
                f"Run {script} on sample.txt and on [rows|amounts] of your own",
                f"See what {script} makes of amounts like 12kg or n/a",
                f"Note how {script} treats {place.project.subject} with unclean amounts",
            ),
            *(say(f"Port {purpose}", f"Print {purpose} as {script} does", f"Bring over {purpose}") for purpose in purposes),
            say(
                f"[Compare|Diff] the outputs of {script} and {port} on many inputs",
                f"Show that {port} agrees with {script}, [also on|even for] empty input",
                f"Let both read the same {place.project.subject} and compare the bytes",
            ),
            say(
                f"Make {port} executable and independent of {lang}",
                f"Start no other program from {port}",
                f"See that {port} runs where there is no {lang}",
            ),
            say(
                f"Leave {script} [as it is|alone] until {self.ticket} is closed",
                f"Do not touch {script} or sample.txt",
                f"Keep the original {script} [unchanged|for comparison]",
            ),
        ]  # fmt: skip
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{self.folder}/{script}` is a report in {lang} that reads rows from standard input; it has to be replaced by a Python program.",
                    f"({self.ticket}) The {lang} script `{self.folder}/{script}` prints a report about the rows that it reads from standard input. A Python version is wanted.",
                ),
                say("The end state:", "What is wanted:", "When you are done:"),
                "\n".join(
                    (
                        f"1. `{self.folder}/{port}` is an executable Python program (first line `#!/usr/bin/python3`) that reads rows from standard input and writes to standard output the same bytes as `{script}` does for them; exit status 0. It needs only the standard library.",
                        f"2. It is compared with `{script}` on rows that are not in the folder: plain ASCII text with amounts as in `sample.txt`, such as whole, negative and broken numbers, numbers with units or exponents behind them, and texts that are no numbers; rows may lack their last fields. There are no amounts that begin with `inf`, `nan` or `0x`.",
                        "3. It starts no other program and imports nothing from the folder.",
                        f"4. `{script}` and `sample.txt` stay as they are.",
                    )
                ),
            ]
        )
