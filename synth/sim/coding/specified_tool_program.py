"""What the tool can be asked to do, and the checks."""

OPERATIONS = {
    "sum": ("sum", "the sum of the values"),
    "count": ("len", "the number of values"),
    "max": ("max", "the largest value"),
    "min": ("min", "the smallest value"),
    "mean": ("lambda values: sum(values) // len(values)", "the mean of the values, rounded down"),
    "spread": ("lambda values: max(values) - min(values)", "the largest value less the smallest"),
}

OPTIONS = {
    "-n": ("N", "print only the first N groups of the order that is printed, whichever it is"),
    "-m": ("N", "leave out groups whose result is below N, before anything else is done with them"),
    "-i": ("", "take keys in lower case, so that keys that differ in case alone are one group"),
    "-t": (
        "",
        "end with a line of the same format, with the key `@TOTAL@` and the sum of all results (those cut off by a limit on their number count too)",
    ),
    "-p": ("PREFIX", "use only lines whose key, as it stands in the file, begins with PREFIX"),
    "-r": ("", "print the groups in the reverse order"),
}

STYLES = {
    'f"{key}={result}"': ("KEY=RESULT", "hall=12"),
    'f"{result} {key}"': ("RESULT KEY", "12 hall"),
    'f"{key}: {result}"': ("KEY: RESULT", "hall: 12"),
    'f"{result:>8} {key}"': ("RESULT KEY, the result right-aligned in eight columns", "      12 hall"),
    'f"{key:.<16}{result}"': ("KEY, filled up with dots to sixteen columns, and RESULT", "hall............12"),
    'f"<{key}> {result}"': ("<KEY> RESULT", "<hall> 12"),
}

CHECKS = '''
def call(program, arguments, text):
    """Exit status, standard output and standard error of a program in a folder with two input files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in text.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(content)
        done = run(*program, *arguments, cwd=folder, data=text["one"])
    said = "usage" if done.stderr.startswith(f"usage: {NAME}") and done.stderr.count("\\n") == 1 else done.stderr
    return done.returncode, done.stdout, said


def compare(cases):
    assert os.access(TOOL, os.X_OK) and os.path.isfile(TOOL), f"{TOOL} is not an executable file"
    with tempfile.NamedTemporaryFile("w", suffix=".py") as reference:
        reference.write(REFERENCE)
        reference.flush()
        for arguments, text in cases:
            want = call(("/usr/bin/python3", "-I", reference.name), arguments, text)
            got = call((TOOL,), arguments, text)
            assert got == want, f"{NAME} {' '.join(arguments)} on {text}: {got}, not {want}"


def lines(rng, bad):
    made = [f"{COMMENT} a comment", "", f"   {COMMENT}{SEP}{SEP}"]
    for _ in range(rng.randrange(0, 25)):
        fields = ["x", "y", "z", "w"][: rng.choice([3, 3, 4])]
        key = rng.choice(KEYS[:4])
        fields[KEY - 1] = rng.choice([key, key, key.capitalize(), key + " two"])
        fields[VALUE - 1] = str(rng.choice([rng.randrange(-20, 40), rng.randrange(3), 5]))
        made.append(rng.choice(["", "  "]) + rng.choice([SEP, " " + SEP + " "]).join(fields))
    for _ in range(bad):
        spoiled = ["7", "8", "9"]
        spoiled[VALUE - 1] = rng.choice(["4.5", "", "x", "1e3", "+2", "1 2", "--1", "0x1"])
        made.insert(rng.randrange(len(made) + 1), rng.choice([SEP.join(spoiled), KEYS[0]]))
    rng.shuffle(made)
    return "\\n".join(made) + rng.choice(["\\n", ""])


def options(rng):
    given = []
    for name in rng.sample(OPTIONS, rng.randrange(len(OPTIONS) + 1)):
        given += {"-n": ["-n", str(rng.randrange(5))], "-m": ["-m", str(rng.randrange(12))], "-p": ["-p", KEYS[0][:2]]}.get(name, [name])
    return given + (["-a", rng.choice(OPERATIONS)] if rng.random() < 0.7 else [])


def check_good_input():
    """Unseen input and all kinds of option combinations give the specified bytes."""
    rng = random.Random(99)
    cases = [([*options(rng), *rng.choice([[], ["-"], ["one"], ["one", "two"], ["two", "-"]])], {"one": lines(rng, 0), "two": lines(rng, 0)}) for _ in range(16)]
    compare(cases)


def check_each_option_and_operation():
    """Each option and operation does what the page says where groups have equal results."""
    rng = random.Random(7)
    full = "\\n".join(lines(rng, 0) for _ in range(3))
    cases = [(["-a", operation, "one"], {"one": full, "two": ""}) for operation in OPERATIONS]
    arguments = {"-n": ["2", "0"], "-m": ["3", "0", "500"], "-p": [KEYS[0], KEYS[1][:1], "?"]}
    for name in OPTIONS:
        for argument in arguments.get(name, [None]):
            for operation in OPERATIONS:
                cases.append(([name, *([argument] if argument else []), "-a", operation, "one"], {"one": full, "two": ""}))
    compare(cases)


def check_bad_lines():
    """Bad lines are reported with file and line, and end as the page says."""
    rng = random.Random(5)
    compare([([*options(rng), *files], {"one": lines(rng, 1), "two": lines(rng, rng.choice([1, 2]))}) for files in (["one"], ["one", "two"], [], ["two", "-"])])
    compare([(["one", "two"], {"one": lines(rng, 0), "two": lines(rng, 1)}) for _ in range(5)])


def check_errors():
    """Missing files and bad usage have their statuses and nothing on standard output."""
    text = {"one": lines(random.Random(3), 0), "two": ""}
    compare([
        (["one", "nowhere"], text), (["nowhere"], text), (["-z", "one"], text), (["-a"], text), (["-a", "median", "one"], text),
        *(([name, "two", "one"], text) for name in ("-n", "-m") if name in OPTIONS),
        *(([name, "-3", "one"], text) for name in ("-n", "-m") if name in OPTIONS),
    ])


def check_files_kept():
    """The page and the samples are what they were."""
    for path, content in KEPT.items():
        assert read(path) == content, f"{path} was changed"
'''
