"""Bring files in several encodings, some of them converted twice, to UTF-8 in place, guided by counts of characters."""

import base64
from random import Random
from typing import ClassVar

from synth.sim.data_science.encoding_repair_task import EncodingRepairTask, File
from synth.sim.data_science.tables import here, lines, source
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.wording import listed

_PROGRAM = """\
import csv, pathlib, sys
write = 'write' in sys.argv
systems = {row['system']: row['encoding'] for row in csv.DictReader(open('TABLE'))}

def readings(raw, encoding):
    try:
        text = raw.decode('utf-8-sig')
        yield 'utf-8', text
        yield 'doubled', text.encode('cp1252').decode('utf-8')
    except UnicodeError:
        pass
    yield encoding, raw.decode(encoding, 'replace')

for row in csv.DictReader(open('MANIFEST')):
    path = pathlib.Path('EXPORTS', row['file'])
    raw = path.read_bytes()
    for kind, text in readings(raw, systems[row['system']]):
        text = text.replace('\\r\\n', '\\n')
        if len(text) == int(row['characters']):
            break
    else:
        print(row['file'], row['system'], 'NOTHING FITS')
        continue
    print(row['file'], row['system'], kind)
    if write and text.encode() != raw:
        path.write_bytes(text.encode())
"""


class EncodingRepair(EncodingRepairTask):
    """Which systems write which encodings, and what was done to each file, is drawn."""

    topic: ClassVar[str] = "encoding-repair"
    focus: ClassVar[str] = "Repairing character encodings of CSV files in place, without losing a character"

    def _records(self, file: File) -> int:
        return sum(line[:3].isdigit() for line in file.text.splitlines())

    def setup(self) -> list[Run | Write]:
        manifest = [(file.name, file.system, self._records(file), len(file.text)) for file in self.files]
        coded = "".join(
            f"base64 -d > {self.exports}/{file.name} <<'END'\n{base64.encodebytes(file.raw).decode()}END\n"
            for file in self.files
        )
        return [
            Run(f"mkdir -p {self.exports}\n{coded}"),
            Write(self.manifest, lines(["file", "system", "records", "characters"], manifest)),
            Write(self.table, lines(["system", "encoding"], sorted(self.systems.items()))),
        ]

    def _program(self, before: str = "", after: str = "") -> str:
        code = _PROGRAM.replace("TABLE", self.table).replace("MANIFEST", self.manifest).replace("EXPORTS", self.exports)
        if before and before not in code:
            raise ValueError(f"{before!r} is not in the program")
        return code.replace(before, after) if before else code

    def _script(self, before: str = "", after: str = "") -> str:
        return f"python3 - write <<'END'\n{self._program(before, after)}END\n"

    def solution(self) -> str:
        return (
            "#!/bin/bash\nset -euo pipefail\n"
            f"# a file is what its number of characters says: UTF-8, UTF-8 converted twice, or its system's encoding\n{self._script()}"
            f"file {self.exports}/*.csv\n"
        )

    def alternative(self) -> str:
        return (
            "#!/bin/bash\nset -euo pipefail\nexport LC_ALL=C.UTF-8\nnew=$(mktemp)\n"
            "# three readings of each file, by iconv; the one whose length is right is taken\n"
            "reading() {\n"
            "  case $1 in\n"
            "    plain) iconv -f UTF-8 -t UTF-8 \"$2\" | sed '1s/^\\xEF\\xBB\\xBF//' ;;\n"
            "    doubled) reading plain \"$2\" | iconv -f UTF-8 -t CP1252 | iconv -f UTF-8 -t UTF-8 ;;\n"
            '    *) iconv -f "$1" -t UTF-8 "$2" ;;\n'
            "  esac 2> /dev/null\n}\n"
            f"tail -n +2 {self.manifest} | tr -d '\\r' | while IFS=, read -r file system _ characters; do\n"
            f"  native=$(awk -F, -v s=\"$system\" '$1 == s {{print $2}}' {self.table} | tr -d '\\r')\n"
            '  for kind in plain doubled "$native"; do\n'
            f"    reading \"$kind\" {self.exports}/\"$file\" | sed 's/\\r$//' > \"$new\" || continue\n"
            '    [ "$(wc -m < "$new")" -eq "$characters" ] || continue\n'
            f'    cmp -s "$new" {self.exports}/"$file" || cat "$new" > {self.exports}/"$file"\n'
            '    echo "$file: $kind"\n    break\n  done\ndone\nrm "$new"\n'
        )

    def wrong(self) -> list[Script]:
        fits = "if len(text) == int(row['characters']):"
        return [
            Script(
                "trusts-the-table-of-systems",
                self._script("        text = raw.decode('utf-8-sig')", "        raise UnicodeError").replace(
                    fits, "if True:"
                ),
            ),
            Script("takes-what-decodes-first", self._script(fits, "if True:")),
            Script(
                "reads-latin-1",
                self._script("raw.decode(encoding, ", "raw.decode(encoding.replace('windows-1252', 'latin-1'), "),
            ),
            Script(
                "drops-what-is-odd",
                self._script("path.write_bytes(text.encode())", "path.write_bytes(text.encode('ascii', 'ignore'))"),
            ),
        ]

    def partial(self) -> list[Script]:
        return [
            Script("leaves-doubled-files", self._script("if write and", "if kind in systems.values() and")),
            Script("leaves-native-files", self._script("if write and", "if kind in ('utf-8', 'doubled') and")),
        ]

    def checks(self) -> str:
        manifest = [["file", "system", "records", "characters"]]
        manifest += [[file.name, file.system, str(self._records(file)), str(len(file.text))] for file in self.files]
        return source(
            {
                "EXPORTS": self.exports,
                "FILES": {file.name: file.text for file in self.files},
                "TABLES": {
                    self.manifest: manifest,
                    self.table: [["system", "encoding"], *map(list, sorted(self.systems.items()))],
                },
                "SOUND": [file.name for file in self.files if file.fate == "sound"],
            },
            _CHECKS,
        )

    def solve(self, rng: Random) -> Teacher:
        hand = Hand(rng)
        screen = yield Turn(
            hand.say(
                "Files in mixed encodings, with a list of what they should contain.",
                f"{self.ticket}: everything in {self.exports} has to become clean UTF-8.",
            ),
            hand.say("Read both tables and let `file` guess.", "See the tables and a first guess at each file."),
            (f"cd {self.folder}", f"cat {self.table} {self.manifest}", f"file {self.exports}/*.csv"),
        )
        codes = [code for code in self.systems.values() if shows(rf",{code}$", screen)]
        first = find(r"^(\w+_\d+\.csv),", screen)
        screen = yield Turn(
            hand.say(f"The systems write {listed(codes)}.", f"So {listed(codes)} have to be expected, besides UTF-8."),
            hand.say(
                "`file` cannot tell these apart; look at bytes of some files.",
                f"Look into {first} and a few others, byte by byte.",
            ),
            (
                f"head -c 160 {self.exports}/{first} | xxd | head -n 10",
                f"for f in {self.exports}/*.csv; do head -c 3 $f | xxd -p; done | sort | uniq -c",
                f"grep -c $'\\r' {self.exports}/*.csv",
            ),
        )
        marks = shows(r"\d efbbbf$", screen)
        naive = hand.slips(0.5)
        code = self._program("utf-8-sig", "utf-8") if naive else self._program()
        screen = yield Turn(
            hand.say(
                "The number of characters decides: only one reading of a file can have it.",
                "The manifest's count of characters tells the readings apart.",
            )
            + (" Some files begin with a byte order mark." if marks and not naive else ""),
            hand.say(
                "Write a program that tries the readings, and let it only print at first.",
                "A dry run: for each file the reading whose length fits.",
            ),
            (here("/tmp/fix.py", code).rstrip(), "python3 /tmp/fix.py"),
        )
        if shows("NOTHING FITS$", screen):
            odd = find(r"^(\S+) \S+ NOTHING FITS$", screen)
            screen = yield Turn(
                hand.say(f"For {odd} nothing fits.", f"{odd} is left without a reading."),
                hand.say("See how that file begins.", "Compare its bytes and its count."),
                (
                    f"head -c 32 {self.exports}/{odd} | xxd",
                    f"grep {odd} {self.manifest}",
                    f"wc -m {self.exports}/{odd}",
                ),
            )
            mark = shows("efbb bf", screen)
            screen = yield Turn(
                hand.say(
                    "It begins with ef bb bf: a byte order mark, which I counted as a character.",
                    "The byte order mark is one character too many for the count.",
                )
                if mark
                else "It must be the mark at the beginning.",
                hand.say(
                    "Decode with utf-8-sig, then the dry run again.", "utf-8-sig drops the mark; repeat the dry run."
                ),
                ("sed -i s/utf-8\\'/utf-8-sig\\'/ /tmp/fix.py", "python3 /tmp/fix.py"),
            )
        if shows(r"NOTHING FITS$|^Traceback", screen) or not shows(r"\.csv \S+ doubled$", screen):
            raise PuzzledError("a file has no reading")
        twice = len({line for line in screen.splitlines() if line.endswith(" doubled")})
        backup = "/tmp/before"
        screen = yield Turn(
            hand.say(
                f"Every file has a reading; {twice} were converted twice.", f"Now all fit, {twice} of them as doubled."
            ),
            hand.say(
                "Keep a copy, write, and look at what changed.", "Save the old state outside, then write in place."
            ),
            (
                f"cp -a {self.exports} {backup}",
                "python3 /tmp/fix.py write >/dev/null",
                f"diff -rq {backup} {self.exports} | wc -l",
                f"file {self.exports}/*.csv",
            ),
        )
        screen = yield Turn(
            hand.say(
                "Not all files changed, as it should be: the sound ones kept their bytes.",
                "The rewritten ones are UTF-8 now.",
            ),
            hand.say(
                "Check counts, marks and control characters, and read some names.",
                "Verify with other tools: characters, carriage returns, C1 controls, a sample.",
            ),
            (
                f"for f in {self.exports}/*.csv; do echo $(basename $f),$(wc -m < $f); done > /tmp/counts; cut -d, -f1,4 {self.manifest} | tail -n +2 | diff - /tmp/counts && echo same",
                f"grep -lP '\\r|\\xEF\\xBB\\xBF|\\xC2[\\x80-\\x9F]' {self.exports}/*.csv; iconv -f utf-8 -t utf-8 {self.exports}/*.csv >/dev/null && echo valid",
                f"head -q -n 3 {self.exports}/*.csv | sort -u | head -n 22",
                "rm -r /tmp/before /tmp/fix.py /tmp/counts",
            ),
        )
        if not shows("^same$", screen) or not shows("^valid$", screen):
            raise PuzzledError("the counts do not agree")
        yield Turn(
            hand.say(
                "All counts agree with the manifest, the names read right, and there is no mark or control character left.",
                "Counts are the same for every file, and the names have their letters back.",
            ),
            hand.say("Done.", f"{self.ticket} is complete."),
            complete=True,
        )


_CHECKS = '''
def raw(name):
    """Bytes of a file of the folder."""
    path = os.path.join(EXPORTS, name)
    assert os.path.isfile(path) and not os.path.islink(path), f"there is no file {path}"
    with open(path, "rb") as file:
        return file.read()


def check_characters_are_what_was_meant():
    """Each file is the UTF-8 of exactly the characters that its system wrote, with LF at line ends."""
    for name, text in FILES.items():
        try:
            found = raw(name).decode()
        except UnicodeDecodeError as error:
            raise AssertionError(f"{name} is not UTF-8: {error}") from None
        assert not found.startswith("\\ufeff"), f"{name} has a byte order mark"
        assert "\\r" not in found, f"{name} has carriage returns"
        at = next((i for i, (a, b) in enumerate(zip(found, text)) if a != b), min(len(found), len(text)))
        assert found == text, f"{name} has {len(found)} characters for {len(text)}, from {at}: {found[at : at + 20]!r}"


def check_sound_files_are_untouched():
    """Files that were right keep their bytes."""
    for name in SOUND:
        assert raw(name) == FILES[name].encode(), f"{name} was sound and is changed"


def check_nothing_else_changed():
    """Both tables say what they said, and the folder has no other files."""
    assert sorted(os.listdir(EXPORTS)) == sorted(FILES), f"files: {sorted(os.listdir(EXPORTS))}"
    for path, rows in TABLES.items():
        assert rows_of(path) == rows, f"{path} was changed"
'''
