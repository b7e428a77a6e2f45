"""A command-line tool that exists only as a manual page is to be written; options, formats and statuses are drawn."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.coding.specified_tool_program import CHECKS, OPERATIONS, OPTIONS, STYLES
from synth.sim.hand import Hand, PuzzledError, shows
from synth.sim.scenario import Run, Scenario, Script, Teacher, Turn, Write
from synth.sim.wording import listed
from synth.sim.workplace import Request, Workplace


class SpecifiedTool(Scenario):
    """Groups lines by a field and condenses another; three of six options, three of six operations, two error modes."""

    topic: ClassVar[str] = "command-line-tools"
    focus: ClassVar[str] = "Implementing a command-line tool to a written specification"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = Workplace(rng)
        self.ask = Request(rng, self.place, ticket)
        record = self.place.project.record
        self.tool = rng.choice(
            (f"{record}stat", f"tally-{record}", f"{record}-groups", f"sum{record}s", f"{record}roll")
        )
        self.folder = f"{self.place.folder}/{rng.choice(('tools', 'bin', 'scripts', 'cli'))}"
        self.page = f"{self.folder}/{self.tool}.txt"
        self.sep = rng.choice((";", "|", ",", ":"))
        self.comment = rng.choice(("#", "%", "*", "//"))
        self.key, self.value = rng.sample((1, 2, 3), 2)
        self.operations = rng.sample(list(OPERATIONS), 3)
        self.options = sorted(rng.sample(list(OPTIONS), 3))
        self.by_value = rng.random() < 0.5
        self.style = rng.choice(list(STYLES))
        self.stops = rng.random() < 0.5
        self.bad, self.missing, self.usage = rng.sample((1, 3, 4, 5, 65, 66, 70), 3)
        self.total = rng.choice(("total", "ALL", "overall", "(all)"))
        self.keys = rng.sample("north south east west hall dock yard gate shed loft pier ramp attic cellar".split(), 5)
        self.samples = self._samples()
        self._write_texts()

    def _samples(self) -> dict[str, str]:
        """Two small files, one of them with a bad line."""
        rng, files = self.rng, {}
        for name in ("sample-1.txt", "sample-2.txt"):
            lines = [f"{self.comment} {self.place.project.subject}"]
            for _ in range(rng.randrange(7, 11)):
                fields = ["", "", rng.choice(("ok", "late", "new", "-"))]
                if {self.key, self.value} != {1, 2}:
                    fields = ["ok"] * 3
                key = rng.choice(self.keys)
                fields[self.key - 1] = key.capitalize() if rng.random() < 0.3 else key
                fields[self.value - 1] = str(rng.randrange(-5, 60))
                lines.append(rng.choice((self.sep, f" {self.sep} ", f"{self.sep} ")).join(fields))
            files[name] = "\n".join([*lines, ""])
        spoiled = [f"{self.keys[0]}{self.sep}ok{self.sep}many", ""]
        files["sample-2.txt"] = files["sample-2.txt"].rstrip("\n") + "\n" + "\n".join(spoiled)
        return files

    def _synopsis(self) -> str:
        parts = [f"[{name} {OPTIONS[name][0]}]" if OPTIONS[name][0] else f"[{name}]" for name in self.options]
        return f"{self.tool} [-a OPERATION] {' '.join(parts)} [FILE ...]"

    def manual(self) -> str:
        """The specification."""
        style, example = STYLES[self.style]
        options = "\n".join(
            f"  {name} {argument:<8} {text.replace('@TOTAL@', self.total)}."
            for name in self.options
            for argument, text in [OPTIONS[name]]
        )
        operations = "\n".join(f"  {name:<11} {OPERATIONS[name][1]}" for name in self.operations)
        order = "by result, largest first, and by key where results are equal" if self.by_value else "by key"
        wrong = (
            f"ends the program with status {self.bad} and nothing on standard output"
            if self.stops
            else f"is left out; the program goes on, and ends with status {self.bad} after its output"
        )
        return f"""\
NAME
  {self.tool} - condense the {self.place.project.subject} of text files

SYNOPSIS
  {self._synopsis()}

INPUT
  The files are read one after the other; `-`, or no file at all, is standard input. A line is fields with `{self.sep}`
  between them; white space around fields and lines does not count. Lines that are empty or begin with `{self.comment}`
  are passed over. Field {self.key} is the key and field {self.value} the value, an integer with an optional minus sign.
  A line with fewer than {max(self.key, self.value)} fields, or whose value is no such integer, is a bad line.

OUTPUT
  One line for each key: {style}, such as `{example}`.
  They are ordered {order}. Keys are compared character by character, capitals before small letters.

OPTIONS
  -a OPERATION what the result of a group is; `{self.operations[0]}` where the option is not given:
{operations}
{options}
  An option that is given twice counts as given the second time. N is a number of decimal digits. Options stand before
  the files.

ERRORS
  A bad line is reported on standard error as `{self.tool}: FILE:LINE: bad line`, FILE as it was given (`-` for
  standard input) and LINE counted from 1 in each file. It {wrong}.
  A file that cannot be read: `{self.tool}: FILE: cannot read` on standard error, nothing on standard output, status
  {self.missing}. This is noticed when the file's turn comes.
  An unknown option or operation, a missing argument or an N that is no number: one line that begins with
  `usage: {self.tool}` on standard error, nothing on standard output, status {self.usage}.
  Otherwise the status is 0.
"""

    def program(self) -> tuple[str, str]:
        """The tool in two halves: options, and the work."""
        has = self.options
        letters = "a:" + "".join(name[1] + (":" if OPTIONS[name][0] else "") for name in has)
        numbers = [name for name in ("-n", "-m") if name in has]
        table = ", ".join(f'"{name}": {OPERATIONS[name][0]}' for name in self.operations)
        head = f"""\
#!/usr/bin/python3
import getopt
import re
import sys

OPERATIONS = {{{table}}}


def usage():
    print("usage: {self._synopsis()}", file=sys.stderr)
    sys.exit({self.usage})


try:
    given, files = getopt.getopt(sys.argv[1:], "{letters}")
except getopt.GetoptError:
    usage()
given = dict(given)
operation = given.get("-a", "{self.operations[0]}")
if operation not in OPERATIONS:
    usage()
"""
        for name in numbers:
            head += f'if not re.fullmatch("[0-9]+", given.get("{name}", "0")):\n    usage()\n'
        after = (
            f"        sys.exit({self.bad})\n" if self.stops else f"        status = {self.bad}\n            continue\n"
        )
        body = f"""\
groups, status = {{}}, 0
for path in files or ["-"]:
    try:
        text = sys.stdin.read() if path == "-" else open(path).read()
    except OSError:
        print(f"{self.tool}: {{path}}: cannot read", file=sys.stderr)
        sys.exit({self.missing})
    for number, line in enumerate(text.split("\\n"), 1):
        line = line.strip()
        if not line or line.startswith("{self.comment}"):
            continue
        fields = [field.strip() for field in line.split("{self.sep}")]
        if len(fields) < {max(self.key, self.value)} or not re.fullmatch("-?[0-9]+", fields[{self.value - 1}]):
            print(f"{self.tool}: {{path}}:{{number}}: bad line", file=sys.stderr)
    {after}        key = fields[{self.key - 1}]
"""
        if "-p" in has:
            body += '        if not key.startswith(given.get("-p", "")):\n            continue\n'
        if "-i" in has:
            body += '        key = key.lower() if "-i" in given else key\n'
        body += f"        groups.setdefault(key, []).append(int(fields[{self.value - 1}]))\n"
        body += "rows = [(key, OPERATIONS[operation](values)) for key, values in groups.items()]\n"
        if "-m" in has:
            body += 'if "-m" in given:\n    rows = [row for row in rows if row[1] >= int(given["-m"])]\n'
        body += f"rows.sort(key=lambda row: {'(-row[1], row[0])' if self.by_value else 'row[0]'})\n"
        if "-r" in has:
            body += 'if "-r" in given:\n    rows.reverse()\n'
        if "-t" in has:
            body += "total = sum(result for key, result in rows)\n"
        if "-n" in has:
            body += 'if "-n" in given:\n    rows = rows[: int(given["-n"])]\n'
        if "-t" in has:
            body += f'if "-t" in given:\n    rows.append(("{self.total}", total))\n'
        return head, body + f"for key, result in rows:\n    print({self.style})\nsys.exit(status)\n"

    def setup(self) -> list[Run | Write]:
        return [
            Write(self.page, self.manual()),
            *(Write(f"{self.folder}/{name}", text) for name, text in self.samples.items()),
        ]

    def _install(self, *changes: tuple[str, str]) -> str:
        text = "".join(self.program())
        for old, new in changes:
            if old not in text:
                raise ValueError(old)
            text = text.replace(old, new)
        path = f"{self.folder}/{self.tool}"
        return f"#!/bin/bash\nset -eu\ncat > {path} <<'EOF'\n{text}EOF\nchmod 755 {path}\n"

    def solution(self) -> str:
        return self._install() + f"cd {self.folder}\n./{self.tool} sample-1.txt\n./{self.tool} sample-2.txt || true\n"

    def wrong(self) -> list[Script]:
        ties = (
            [("(-row[1], row[0])", "-row[1]")]
            if self.by_value
            else [("key=lambda row: row[0]", "key=lambda row: row[0].lower()")]
        )
        return [
            Script("orders-equal-groups-wrongly", self._install(*ties)),
            Script("takes-floats-for-values", self._install(('"-?[0-9]+"', '"[-+]?[0-9.]+"'), ("append(int(", "append(round(float("), (f"fields[{self.value - 1}]))\n", f"fields[{self.value - 1}])))\n"))),
            Script("counts-lines-of-all-files-together", self._install(("text.split(\"\\n\"), 1)", "text.split(\"\\n\"), len(groups) + 1)"))),
            Script("reports-usage-with-another-status", self._install((f"sys.exit({self.usage})", "sys.exit(2)"))),
        ]  # fmt: skip

    def partial(self) -> list[Script]:
        first = next(name for name in self.options)
        mute = [(f'"{first}" in given', "False")] if first not in ("-p",) else [('given.get("-p", "")', '""')]
        return [
            Script("leaves-an-option-out", self._install(*mute)),
            Script("reads-no-standard-input", self._install(('files or ["-"]', "files"))),
        ]

    def checks(self) -> str:
        constants: dict[str, object] = {
            "TOOL": f"{self.folder}/{self.tool}", "NAME": self.tool, "REFERENCE": "".join(self.program()),
            "KEPT": {self.page: self.manual(), **{f"{self.folder}/{name}": text for name, text in self.samples.items()}},
            "SEP": self.sep, "COMMENT": self.comment, "KEY": self.key, "VALUE": self.value, "OPERATIONS": self.operations,
            "OPTIONS": self.options, "KEYS": self.keys,
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["random", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        hand, tool = Hand(rng), self.tool
        screen = yield Turn(
            hand.say(f"A tool called {tool} has to be written.", f"{tool} exists only on paper so far."),
            hand.say("Read the manual page and the samples.", "Start with the specification."),
            (
                f"cd {self.folder}",
                rng.choice(("ls -l", "ls -la", "ls", "pwd; ls -l")),
                f"cat {tool}.txt",
                "cat sample-1.txt",
            ),
        )
        if f"[{self.options[0]}" not in screen:
            raise PuzzledError("the synopsis")
        head, body = self.program()
        yield Turn(
            hand.say(
                f"Three operations, the options {listed(self.options)}, and separate statuses for each kind of error.",
                f"The page is exact: fields by `{self.sep}`, three operations, options {listed(self.options)}.",
            ),
            hand.say("Write the part that reads the options first.", "Begin with the options and the usage message."),
            (f"cat > {tool} <<'EOF'\n{head}EOF",),
        )
        sloppy = hand.slips(0.5)
        written = (
            body.replace("(-row[1], row[0])", "-row[1]").replace(
                'enumerate(text.split("\\n"), 1)', 'enumerate(text.split("\\n"))'
            )
            if sloppy
            else body
        )
        forgets = hand.slips(0.4)
        screen = yield Turn(
            hand.say("Now the work itself.", "The rest: reading, grouping, ordering, printing."),
            hand.say("Append it and try the first sample.", "Add the second half, then run it."),
            (f"cat >> {tool} <<'EOF'\n{written}EOF", *([] if forgets else [f"chmod 755 {tool}"]), f"./{tool} sample-1.txt; echo \"status $?\""),
            seconds=0.3,
        )  # fmt: skip
        if shows("Permission denied", screen):
            screen = yield Turn(
                "It is not executable yet.",
                hand.say("Set the mode and run it again.", "Make it executable."),
                (f"chmod 755 {tool}", f'./{tool} sample-1.txt; echo "status $?"'),
                seconds=0.3,
            )
        if not shows(r"^status 0$", screen):
            raise PuzzledError("status 0 for the first sample")
        lines = self.samples["sample-2.txt"].count("\n")
        screen = yield Turn(
            hand.say("The groups of the first sample look right.", "The good case works."),
            hand.say("Now the sample with the bad line, also from standard input.", "Next the error cases: a bad line, a missing file, bad usage."),
            (
                f"./{tool} sample-2.txt; echo \"status $?\"", f"./{tool} < sample-2.txt > /dev/null; echo \"status $?\"",
                f"./{tool} no-such-file; echo \"status $?\"", f"./{tool} -z; echo \"status $?\"",
            ),
            seconds=0.3,
        )  # fmt: skip
        if not shows(rf"^{tool}: sample-2.txt:{lines}: bad line", screen):
            fixes = [f'sed -i \'s/split("\\\\n"))/split("\\\\n"), 1)/\' {tool}']
            if self.by_value:
                fixes.append(f"sed -i 's/row: -row.1./row: (-row[1], row[0])/' {tool}")
            screen = yield Turn(
                f"The bad line is line {lines} of the file, but it is reported one too early: enumerate starts at 0."
                + (" And equal results are not ordered by key yet." if self.by_value else ""),
                hand.say("Correct that and look again.", "Mend it and repeat."),
                (*fixes, "grep -n 'enumerate\\|sort' " + tool, f"./{tool} sample-2.txt; echo \"status $?\"", "wc -l sample-2.txt"),
                seconds=0.3,
            )  # fmt: skip
        if not shows(rf"^{tool}: sample-2.txt:{lines}: bad line", screen) or not shows(rf"^status {self.bad}$", screen):
            raise PuzzledError("the bad line's number and status")
        argument = {"N": "2", "PREFIX": self.keys[0][0], "": ""}
        runs = [
            f'./{tool} {name} {argument[OPTIONS[name][0]]} sample-1.txt; echo "status $?"'.replace("  ", " ")
            for name in self.options
        ]
        screen = yield Turn(
            hand.say("The errors are as specified.", "Messages and statuses agree with the page."),
            hand.say("Try each option and another operation.", "Go through the options one by one."),
            (*runs, f"./{tool} -a {self.operations[2]} sample-1.txt", f"cd / && {self.folder}/{tool} -a nonsense; echo \"status $?\""),
            seconds=0.3,
        )  # fmt: skip
        if not shows(rf"^status {self.usage}$", screen):
            raise PuzzledError(f"status {self.usage}")
        yield Turn(
            hand.say(
                f"{listed(self.options)} do what the page says, and it runs from another folder too.",
                "Every option, operation and error of the page has been seen on the screen.",
            ),
            hand.say("Nothing is left to do.", f"{tool} is done."),
            complete=True,
        )

    def _write_texts(self) -> None:
        place, ask, say, tool = self.place, self.ask, self.say, self.tool
        names, options, ops = place.project.subject, listed(self.options), listed(self.operations)
        style = STYLES[self.style][1].strip()
        self.title = say(
            f"[Write|Implement] {tool} from its manual page",
            f"{tool}: [a tool|a command] to condense {names}",
            f"{place.project.title} needs the [command|tool] {tool}",
            f"[Turn|Make] the specification of {tool} into a program",
        )
        self.objective = say(
            f"[Write|Build] the command {tool} in {self.folder} so that it does what {tool}.txt [specifies|lays down].",
            f"Give {place.slug} a working {tool} with {options}, [byte for byte|exactly] as {tool}.txt has it.",
            f"Make {self.folder}/{tool} [real|exist]: operations {ops}, options {options}, and every error as [specified|written].",
        )
        mode = say(
            f"A bad line [ends the run|stops everything] with status {self.bad}",
            f"For a bad line nothing may be printed and the status is {self.bad}",
        ) if self.stops else say(
            f"A bad line is [reported and left out|named and skipped], with status {self.bad} in the end",
            f"Bad lines cost status {self.bad}, yet [the rest|everything else] is still counted",
        )  # fmt: skip
        self.story = say(
            f"{ask.opening} [Files|Lists] of {names} come in with `{self.sep}` between the fields, and {place.people[0].first} adds them up"
            f" by hand. The page for {tool} is agreed [with everybody|at last]; the program is missing. {mode}. {ask.closing}",
            f"{ask.opening} {place.people[1].name} wrote the manual page of {tool} and then left it at that. Other scripts of {place.team}"
            f" [expect|parse] lines such as `{style}`, so every byte counts. {ask.closing} {mode}.",
            f"{ask.opening} Reports by {self.operations[1]} and {self.operations[2]} are wanted for {names}, from field {self.value} of each line,"
            f" grouped by field {self.key}. [Somebody|One] specified {tool} for that, with {options}. {mode}. {ask.closing}",
        )
        self.checklist = [
            say(f"Read {tool}.txt [from start to end|to the end]", f"Take in the manual page of {tool}", f"Go through the [page|specification], {tool}.txt"),
            say(
                f"Parse the options {options} and -a with {ops}",
                f"Understand -a ({ops}) and {options}",
                f"Handle every option of the page: -a, {options}",
            ),
            say(
                f"Group by field {self.key} and condense field {self.value}, with `{self.sep}` between fields",
                f"Split lines at `{self.sep}`; key is field {self.key}, value is field {self.value}",
                f"Read files and standard input, skip lines that begin with `{self.comment}`",
            ),
            say(
                f"Print lines like `{style}` in the [right|specified] order",
                f"Order the groups {'by result' if self.by_value else 'by key'} and print them as `{style}`",
                f"Get the format right: `{style}`",
            ),
            say(
                f"[Report|Name] bad lines as {tool}: FILE:LINE and use status {self.bad}",
                f"Treat lines without a proper integer as the page says (status {self.bad})",
                f"{'Stop' if self.stops else 'Go on'} after a bad line, with status {self.bad}",
            ),
            say(
                f"End with {self.missing} for a missing file and {self.usage} for bad usage",
                f"Statuses: {self.missing} where a file cannot be read, {self.usage} where the call is wrong",
                f"Keep standard output empty where the status is {self.missing} or {self.usage}",
            ),
            say(
                f"Try it on sample-1.txt, sample-2.txt and lists of {names} of your own",
                f"Compare what {tool} prints for both samples with the page",
                f"Run {tool} from another folder and through a pipe for {self.ticket}",
            ),
        ]  # fmt: skip
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{self.page}` is the manual page of a command-line tool that does not exist yet.",
                    f"({self.ticket}) The tool `{tool}` is specified in `{self.page}` and has to be written.",
                ),
                say("What is wanted:", "The end state:", "When you are done:"),
                "\n".join(
                    (
                        f"1. `{self.folder}/{tool}` is an executable file that follows the page in everything: output to the byte, exit statuses, messages. The language is up to you; it needs nothing that is not installed here.",
                        "2. It works from any folder. It is tried with option combinations, files and standard input that are not in the folder.",
                        "3. The usage message may say after its beginning what you like; other messages on standard error are exactly the specified lines.",
                        f"4. `{tool}.txt`, `sample-1.txt` and `sample-2.txt` in `{self.folder}` stay as they are.",
                    )
                ),
            ]
        )
