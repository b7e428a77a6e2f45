"""The sections of the program, its skeleton in each language, and the checks."""

from typing import NamedTuple


class Section(NamedTuple):
    """A section of the report in all languages."""

    purpose: str
    perl: str
    from_perl: str
    """Its port to Python."""
    naive_perl: tuple[str, str]
    """A piece of the port, and what a port has there that is nearly right."""
    awk: str
    from_awk: str
    naive_awk: tuple[str, str]


SECTIONS = {
    "totals": Section(
        "the totals by @KEY@",
        'print "$_@GAP@$sum{$_}\\n" for sort { $sum{$b} <=> $sum{$a} || $a cmp $b } keys %sum;\n',
        'for key in sorted(total, key=lambda key: (-total[key], key)):\n    print(f"{key}@GAP@%.15g" % total[key])\n',
        ('"{key}@GAP@%.15g" % total[key]', '"{key}@GAP@{round(total[key], 2):g}"'),
        'n = asorti(sum, keys)\n    for (i = 1; i <= n; i++) print keys[i] "@GAP@" sum[keys[i]]\n',
        'for key in sorted(total):\n    value = total[key]\n    print(f"{key}@GAP@" + ("%d" % value if value == int(value) else "%.6g" % value))\n',
        ('"%d" % value if value == int(value) else "%.6g" % value', "repr(value)"),
    ),
    "classes": Section(
        "how many fall into each class of @WIDTH@",
        'my %class;\n$class{int(abs($_->[1]) / @WIDTH@)}++ for @rows;\nprintf "%3d %s\\n", $_, "@STAR@" x $class{$_} for sort { $a <=> $b } keys %class;\n',
        'classes = {}\nfor key, amount, text in rows:\n    which = int(abs(number(amount)) / @WIDTH@)\n    classes[which] = classes.get(which, 0) + 1\nfor which in sorted(classes):\n    print("%3d %s" % (which, "@STAR@" * classes[which]))\n',
        ("int(abs(number(amount)) / @WIDTH@)", "round(abs(number(amount)) / @WIDTH@)"),
        'for (i = 1; i <= rows; i++) class[int((amount[i] < 0 ? -amount[i] : amount[i] + 0) / @WIDTH@)]++\n    n = asorti(class, keys, "@ind_num_asc")\n    for (i = 1; i <= n; i++) {\n        stars = ""\n        while (length(stars) < class[keys[i]]) stars = stars "@STAR@"\n        printf "%3d %s\\n", keys[i], stars\n    }\n',
        'classes = {}\nfor key, amount, text in rows:\n    which = int(abs(number(amount)) / @WIDTH@)\n    classes[which] = classes.get(which, 0) + 1\nfor which in sorted(classes):\n    print("%3d %s" % (which, "@STAR@" * classes[which]))\n',
        ("int(abs(number(amount)) / @WIDTH@)", "round(abs(number(amount)) / @WIDTH@)"),
    ),
    "remainders": Section(
        "the remainders modulo @MOD@",
        'print join("@JOIN@", map { $_->[1] % @MOD@ } @rows), "\\n";\n',
        'print("@JOIN@".join(str(int(number(amount)) % @MOD@) for key, amount, text in rows))\n',
        ("int(number(amount)) % @MOD@", "int(number(amount) % @MOD@)"),
        'line = ""\n    for (i = 1; i <= rows; i++) line = line (i > 1 ? "@JOIN@" : "") (amount[i] % @MOD@)\n    print line\n',
        'def short(value):\n    return "%d" % value if value == int(value) else "%.6g" % value\n\n\nprint("@JOIN@".join(short(math.fmod(number(amount), @MOD@) + 0.0) for key, amount, text in rows))\n',
        ("math.fmod(number(amount), @MOD@) + 0.0", "number(amount) % @MOD@"),
    ),
    "texts": Section(
        "the texts, with their last letters and vowels",
        'for my $row (@rows) {\n    my $text = $row->[2];\n    my $vowels = ($text =~ tr/aeiouAEIOU//);\n    printf "%s@GAP@%s@GAP@%d\\n", ucfirst(lc $text), substr($text, -@LAST@), $vowels;\n}\n',
        'for key, amount, text in rows:\n    vowels = sum(letter in "aeiouAEIOU" for letter in text)\n    print(f"{text[:1].upper()}{text[1:].lower()}@GAP@{text[-@LAST@:]}@GAP@{vowels}")\n',
        ("{text[:1].upper()}{text[1:].lower()}", "{text.title()}"),
        'for (i = 1; i <= rows; i++) {\n        rest = text[i]\n        vowels = gsub(/[aeiouAEIOU]/, "", rest)\n        print toupper(substr(text[i], 1, 1)) tolower(substr(text[i], 2)) "@GAP@" substr(text[i], length(text[i]) - @LAST@ + 1) "@GAP@" vowels\n    }\n',
        'for key, amount, text in rows:\n    vowels = sum(letter in "aeiouAEIOU" for letter in text)\n    print(f"{text[:1].upper()}{text[1:].lower()}@GAP@{text[-@LAST@:]}@GAP@{vowels}")\n',
        ("{text[:1].upper()}{text[1:].lower()}", "{text.title()}"),
    ),
    "labels": Section(
        "a label for each @KEY@, or the largest amount",
        'my $label = "@LABEL@";\nmy %label;\nfor my $row (@rows) {\n    next if exists $label{$row->[0]};\n    $label{$row->[0]} = $label++;\n    print "$label{$row->[0]} $row->[0]\\n";\n}\n',
        'def following(label):\n    done = ""\n    for letter in reversed(label):\n        if letter not in "zZ9":\n            return label[: len(label) - len(done) - 1] + chr(ord(letter) + 1) + done\n        done = {"z": "a", "Z": "A", "9": "0"}[letter] + done\n    return done[:1].replace("0", "1") + done\n\n\nlabel, labelled = "@LABEL@", set()\nfor key, amount, text in rows:\n    if key not in labelled:\n        labelled.add(key)\n        print(label, key)\n        label = following(label)\n',
        ("        label = following(label)\n", "        label = label[:-1] + chr(ord(label[-1]) + 1)\n"),
        'for (i = 1; i <= rows; i++) if (i == 1 || amount[i] > largest) largest = amount[i]\n    print "largest " largest\n',
        'def less(one, other):\n    if NUMERIC.fullmatch(one) and NUMERIC.fullmatch(other):\n        return float(one) < float(other)\n    return one < other\n\n\nlargest = rows[0][1] if rows else ""\nfor key, amount, text in rows:\n    if less(largest, amount):\n        largest = amount\nprint("largest " + largest)\n',
        ("        return float(one) < float(other)\n    return one < other\n", "        return float(one) < float(other)\n    return number(one) < number(other)\n"),
    ),
    "shares": Section(
        "the share of each @KEY@",
        'printf "%-@PAD@s %5.1f%%\\n", $_, 100 * $count{$_} / @rows for sort keys %count;\n',
        'for key in sorted(count):\n    print("%-@PAD@s %5.1f%%" % (key, 100 * count[key] / len(rows)))\n',
        ("100 * count[key] / len(rows)", "100 * count[key] // len(rows)"),
        'n = asorti(count, keys)\n    for (i = 1; i <= n; i++) printf "%-@PAD@s %5.1f%%\\n", keys[i], 100 * count[keys[i]] / rows\n',
        'for key in sorted(count):\n    print("%-@PAD@s %5.1f%%" % (key, 100 * count[key] / len(rows)))\n',
        ("100 * count[key] / len(rows)", "100 * count[key] // len(rows)"),
    ),
}  # fmt: skip

PERL = """\
#!/usr/bin/perl
# Report of the @NAME@: rows of key, amount and text from standard input.
use strict;
no warnings;

my (@rows, %sum, %count);
while (my $line = <STDIN>) {
    chomp $line;
    next if $line =~ /^\\s*(?:#|$)/;
    my ($key, $amount, $text) = split ' ', $line, 3;
    $sum{$key} += $amount;
    $count{$key}++;
    push @rows, [$key, $amount, $text];
}
@SECTIONS@"""

AWK = """\
#!/usr/bin/gawk -f
# Report of the @NAME@: rows of key, amount and text from standard input.
/^[ \\t]*(#|$)/ { next }
{
    rows++
    amount[rows] = $2
    rest = $0
    sub(/^[ \\t]*[^ \\t]+[ \\t]*/, "", rest)
    sub(/^[^ \\t]+[ \\t]*/, "", rest)
    text[rows] = rest
    sum[$1] += $2
    count[$1]++
}
END {
@SECTIONS@}
"""

HEAD = '''\
#!/usr/bin/python3
"""Report of the @NAME@: rows of key, amount and text from standard input."""

import math
import re
import sys

NUMERIC = re.compile(r"[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][-+]?\\d+)?")
PREFIX = NUMERIC


def number(text):
    """The number that a text begins with."""
    match = PREFIX.match(text)
    return float(match[0]) if match else 0.0


rows, total, count = [], {}, {}
for line in sys.stdin.read().split("\\n"):
    if not line.strip() or line.lstrip().startswith("#"):
        continue
    key, amount, text = [*line.split(None, 2), "", ""][:3]
    rows.append((key, amount, text))
    total[key] = total.get(key, 0.0) + number(amount)
    count[key] = count.get(key, 0) + 1
'''

PLAIN = """\
    try:
        return float(text)
    except ValueError:
        return 0.0
"""

RUNNER = """
import runpy, sys

program = sys.argv[1]
def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "ctypes.dlopen"):
        sys.stderr.write(f"it starts another program: {event}")
        sys.stderr.flush()
        import os
        os._exit(97)
    if event == "open" and str(arguments[0]).startswith(FOLDER) and str(arguments[0]) != program:
        sys.stderr.write(f"it reads {arguments[0]}")
        sys.stderr.flush()
        import os
        os._exit(98)
sys.addaudithook(refuse)
sys.argv = [program]
runpy.run_path(program, run_name="__main__")
"""

CHECKS = '''
def compare(inputs):
    assert os.access(PORT, os.X_OK) and os.path.isfile(PORT) and not os.path.islink(PORT), f"{PORT} is not an executable file"
    assert read(PORT).startswith("#!/usr/bin/python3"), f"{PORT} does not begin with its interpreter"
    for text in inputs:
        with tempfile.TemporaryDirectory() as folder:
            original = os.path.join(folder, "original")
            with open(original, "w") as file:
                file.write(ORIGINAL)
            want = output(*INTERPRETER, original, data=text)
            done = run("/usr/bin/python3", "-I", "-B", "-c", RUNNER.replace("FOLDER", repr(FOLDER)), PORT, data=text, cwd=folder)
        assert done.returncode == 0, f"ends with {done.returncode} on {text!r}: {done.stderr[-300:]}"
        if done.stdout != want:
            pairs = zip([*done.stdout.split("\\n"), None], [*want.split("\\n"), None])
            got, line = next((pair for pair in pairs if pair[0] != pair[1]), (None, None))
            raise AssertionError(f"on {text!r} it prints {got!r} where the original prints {line!r}")


def rows(rng):
    keys = rng.sample(["pier", "Quay", "dock", "Zone", "a1", "b-2", "LONGER-NAME", "k"], 5)
    keys += [f"x{n}" for n in range(rng.choice([0, 0, 20]))]
    made = []
    for _ in range(rng.randrange(1, 40)):
        amount = rng.choice([
            str(rng.randrange(-90, 90)), str(rng.randrange(100000, 9999999)), f"{rng.randrange(-999, 9999) / 16}", f"{rng.randrange(-99, 99) / 10}",
            f"{rng.randrange(1, 99)}kg", f"-{rng.randrange(1, 99)}.5m", "n/a", "-", ".5", "+7", "1e2", "2e1x", "3.", "7-8", "12,5", "e5",
        ])
        text = " ".join(rng.choice(["new ORDER", "Io", "from the Pier", "x", "", "a  b", "o'NEIL", "AEIOU-y", "seven"]) for _ in range(rng.randrange(3))).strip()
        made.append(rng.choice(["", " ", "  "]) + f"{rng.choice(keys)} {amount} {text}".strip())
    made.insert(rng.randrange(len(made)), rng.choice(["# note", "", "   ", "  # 5", "lonely"]))
    return "\\n".join(made) + "\\n"


def check_unseen_rows():
    """Many unseen inputs give the same bytes as with the original."""
    rng = random.Random(31)
    compare([rows(rng) for _ in range(20)])


def check_edges():
    """The sample, empty input, lone keys and negative amounts give the same bytes."""
    compare([
        SAMPLE, "", "# nothing\\n", "one\\n", "one 2\\n", "a -1 x\\na -8 Y\\nb -0.3 zeD\\nc 0 q\\n", "a 1000000.25 u\\na 123456.789 v\\nb 0.1 w\\nb 0.2 W\\n",
        "a 9 x\\nb 10 y\\nc 9a z\\nd 11 q\\n", "".join(f"k{n} {n * 7 % 40} text {n}\\n" for n in range(60)), "a 5 x\\nb 5 y\\nB 5 z\\n", "c 12.5 a\\nc 12.5 b\\nc 49.5 c\\n",
    ])


def check_stands_alone():
    """The port is Python and imports the standard library alone."""
    tree = ast.parse(read(PORT))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] not in ("subprocess", "pty", "ctypes", "multiprocessing"), f"the port imports {name}"


def check_original_untouched():
    """The old script and the sample are what they were."""
    assert read(SCRIPT) == ORIGINAL, f"{SCRIPT} was changed"
    assert read(os.path.join(FOLDER, "sample.txt")) == SAMPLE, "sample.txt was changed"
'''
