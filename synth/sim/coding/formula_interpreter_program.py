"""The interpreter, the faults that are planted in it, and the checks."""

LANGUAGE = """\
# @LANG@

A program is a text file, one statement a line. `@COMMENT@` starts a comment that goes to the end of the line; empty lines
mean nothing. A statement is `name @ASSIGN@ expression`, which sets a variable, or an expression, whose value is printed
on a line of its own. All values are integers of any size.

From weakest to strongest:

| operators | associate | meaning |
|---|---|---|
| `or` | to the left | 1 where one side is not 0, else 0; the right side is evaluated only where the left one is 0 |
| `and` | to the left | 1 where no side is 0, else 0; the right side is evaluated only where the left one is not 0 |
| `not` | prefix | 1 for 0, else 0; applies to the whole comparison behind it |
| `<` `<=` `==` `@NE@` `>=` `>` | not at all | 1 or 0 |
| `+` `-` | to the left | |
| `*` `/` `%` | to the left | see below |
| `-` | prefix | |
| `@POW@` | to the right | power; its right side may begin with a prefix `-`; a negative exponent is an arithmetic error |

So `-2 @POW@ 2` is -4. `/` drops the fraction: it rounds towards 0, for any size of numbers. `%` is the remainder that
belongs to it: `a == (a / b) * b + a % b` holds always, so the remainder has the sign of `a`. Dividing by 0 is an
arithmetic error, for both.

Functions: `min(...)` and `max(...)` of one or more values, `abs(x)`, and `@IF@(condition, a, b)`, which is a where the
condition is not 0 and b otherwise; only the one that is chosen is evaluated.

Exit status: 0; 2 for a line that does not follow the grammar; 3 for an arithmetic error; 4 for an unknown name or function,
or a wrong number of arguments. The first error ends the program.
"""

SOURCE = '''\
#!/usr/bin/python3
"""Runs programs in @LANG@, the formula language of @TITLE@."""

import re
import sys

TOKEN = re.compile(r"\\s*(\\d+|[A-Za-z_]\\w*|:=|<-(?=\\s)|@POWRE@|<=|>=|==|@NE@|[-+*/%<>=(),])")
STATUS = {"syntax": 2, "arithmetic": 3, "name": 4}


class FormulaError(Exception):
    """A kind (key of STATUS) and a message."""


def tokens(line):
    """Numbers, names and operators of a line."""
    line, found, at = line.split("@COMMENT@", 1)[0].rstrip(), [], 0
    while at < len(line):
        match = TOKEN.match(line, at)
        if match is None:
            raise FormulaError("syntax", "unexpected " + line[at:].strip()[0])
        found.append(match[1])
        at = match.end()
    return found


class Parser:
    """Turns the tokens of one expression into nested tuples."""

    def __init__(self, found):
        self.found = found
        self.at = 0

    def peek(self):
        return self.found[self.at] if self.at < len(self.found) else ""

    def take(self, *wanted):
        """Step over the next token where it is one of these."""
        if self.peek() not in wanted or not self.peek():
            return ""
        self.at += 1
        return self.found[self.at - 1]

    def need(self, token):
        if not self.take(token):
            raise FormulaError("syntax", "expected " + token)

    def whole(self):
        tree = self.either()
        if self.peek():
            raise FormulaError("syntax", "unexpected " + self.peek())
        return tree

    def either(self):
        left = self.both()
        while self.take("or"):
            left = ("or", left, self.both())
        return left

    def both(self):
        left = self.negation()
        while self.take("and"):
            left = ("and", left, self.negation())
        return left

    def negation(self):
        if self.take("not"):
            return ("not", self.negation())
        return self.comparison()

    def comparison(self):
        left = self.sum()
        if operator := self.take("<", "<=", "==", "@NE@", ">=", ">"):
            return (operator, left, self.sum())
        return left

    def sum(self):
        left = self.product()
        while operator := self.take("+", "-"):
            left = (operator, left, self.product())
        return left

    def product(self):
        left = self.sign()
        while operator := self.take("*", "/", "%"):
            left = (operator, left, self.sign())
        return left

    def sign(self):
        if self.take("-"):
            return ("minus", self.sign())
        return self.power()

    def power(self):
        base = self.atom()
        if self.take("@POW@"):
            return ("@POW@", base, self.sign())
        return base

    def atom(self):
        token = self.peek()
        self.at += 1
        if token.isdigit():
            return ("number", int(token))
        if token == "(":
            tree = self.either()
            self.need(")")
            return tree
        if not re.fullmatch(r"[A-Za-z_]\\w*", token) or token in ("and", "or", "not"):
            raise FormulaError("syntax", "unexpected " + (token or "end of line"))
        if not self.take("("):
            return ("name", token)
        arguments = [self.either()]
        while self.take(","):
            arguments.append(self.either())
        self.need(")")
        return ("call", token, arguments)


def divide(left, right):
    if right == 0:
        raise FormulaError("arithmetic", "division by 0")
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


def remainder(left, right):
    return left - right * divide(left, right)


def power(base, exponent):
    if exponent < 0:
        raise FormulaError("arithmetic", "negative exponent")
    return base**exponent


def call(name, arguments, names):
    """Value of a function."""
    if name == "@IF@" and len(arguments) == 3:
        return value(arguments[1] if value(arguments[0], names) else arguments[2], names)
    given = [value(argument, names) for argument in arguments]
    if name == "abs" and len(given) == 1:
        return abs(given[0])
    if name in ("min", "max"):
        return min(given) if name == "min" else max(given)
    raise FormulaError("name", "unknown function " + name)


BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
    "%": remainder,
    "@POW@": power,
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    "==": lambda a, b: int(a == b),
    "@NE@": lambda a, b: int(not a == b),
    ">=": lambda a, b: int(a >= b),
    ">": lambda a, b: int(a > b),
}


def value(tree, names):
    """Value of an expression."""
    kind, first = tree[0], tree[1]
    if kind == "number":
        return first
    if kind == "name":
        if first not in names:
            raise FormulaError("name", "unknown name " + first)
        return names[first]
    if kind == "call":
        return call(first, tree[2], names)
    left = value(first, names)
    if kind == "minus":
        return -left
    if kind == "not":
        return int(left == 0)
    if kind == "or":
        return int(left or value(tree[2], names)) and 1
    if kind == "and":
        return int(left and value(tree[2], names)) and 1
    return BINARY[kind](left, value(tree[2], names))


def main(path):
    names = {}
    with open(path) as lines:
        for line in lines:
            try:
                found = tokens(line)
                if found[1:2] == ["@ASSIGN@"]:
                    names[found[0]] = value(Parser(found[2:]).whole(), names)
                elif found:
                    print(value(Parser(found).whole(), names))
            except FormulaError as error:
                sys.stdout.flush()
                print("error: " + error.args[1], file=sys.stderr)
                return STATUS[error.args[0]]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
'''


def fault_of(
    name: str, right: str, wrong: str, mistake: str, symptom: str, thought: str, case: str, result: str
) -> dict[str, str]:
    probe = f"echo '{case}' > /tmp/case && python3 @TOOL@ /tmp/case; echo \"[$?] {name}\""
    expect = rf"^{result}\n\[0\] {name}"
    return {
        "name": name, "right": right, "wrong": wrong, "mistake": mistake, "symptom": symptom, "thought": thought,
        "probe": probe, "expect": expect,
    }  # fmt: skip


FAULTS = (
    fault_of(
        "subtraction",
        '        while operator := self.take("+", "-"):\n            left = (operator, left, self.product())\n        return left\n',
        '        if operator := self.take("+", "-"):\n            return (operator, left, self.sum())\n        return left\n',
        '        if operator := self.take("+", "-"):\n            left = (operator, left, self.product())\n        return left\n',
        "[a chain of subtractions such as 20 - 5 - 3 gives 18|20 - 5 - 3 comes out as 18 and not as 12|subtracting twice, as in 20 - 5 - 3, gives 18]",
        "sum() recurses on its right side, so a - b - c becomes a - (b - c); it must collect to the left.",
        "20 - 5 - 3", "12",
    ),
    fault_of(
        "power",
        '        if self.take("@POW@"):\n            return ("@POW@", base, self.sign())\n        return base\n',
        '        while self.take("@POW@"):\n            base = ("@POW@", base, self.atom())\n        return base\n',
        '        if self.take("@POW@"):\n            return ("@POW@", base, self.power())\n        return base\n',
        "[2 @POW@ 3 @POW@ 2 gives 64, where 512 is right|towers of @POW@ are worked out from the wrong end|2 @POW@ 3 @POW@ 2 is 64 according to the interpreter]",
        "power() collects to the left, but @POW@ associates to the right, and its exponent may begin with a minus sign.",
        "2 @POW@ 3 @POW@ -(0 - 2)", "512",
    ),
    fault_of(
        "division",
        "    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)\n",
        "    return left // right\n",
        "    return int(left / right)\n",
        "[-7 / 2 gives -4 instead of -3|dividing a negative number, as in -7 / 2, gives one too little|quotients of negative numbers are rounded down and not towards 0]",
        "divide() uses Python's //, which rounds down; the description wants rounding towards 0, for any size.",
        "-70000000000000000000001 / 2", "-35000000000000000000000",
    ),
    fault_of(
        "remainder",
        "    return left - right * divide(left, right)\n",
        "    if right == 0:\n        raise FormulaError(\"arithmetic\", \"division by 0\")\n    return left % right\n",
        "    if right == 0:\n        raise FormulaError(\"arithmetic\", \"division by 0\")\n    return abs(left) % abs(right)\n",
        "[-7 % 3 is 2 although the remainder should be -1|remainders of negative numbers have the wrong sign|-7 % 3 gives 2 and not -1]",
        "remainder() has the sign of the divisor, as in Python; here it must have that of the dividend.",
        "-7 % 3", "-1",
    ),
    fault_of(
        "short-circuit",
        '    if kind == "or":\n        return int(left or value(tree[2], names)) and 1\n    if kind == "and":\n        return int(left and value(tree[2], names)) and 1\n    return BINARY[kind](left, value(tree[2], names))\n',
        '    right = value(tree[2], names)\n    if kind == "or":\n        return int(bool(left or right))\n    if kind == "and":\n        return int(bool(left and right))\n    return BINARY[kind](left, right)\n',
        '    if kind == "or" and left:\n        return 1\n    right = value(tree[2], names)\n    if kind == "or":\n        return int(bool(left or right))\n    if kind == "and":\n        return int(bool(left and right))\n    return BINARY[kind](left, right)\n',
        "[a guard like n == 0 or 9 / n > 1 dies of a division by 0|0 and 1 / 0 ends with an error where it should be 0|both sides of and and or are evaluated even when the left one decides]",
        "value() evaluates the right side before it looks at and and or, so a guard on the left protects nothing.",
        "(0 and 1 / 0) + 0 * (1 or 1 / 0)", "0",
    ),
    fault_of(
        "negation",
        '            return ("not", self.negation())\n',
        '            return ("not", self.atom())\n',
        '            return ("not", self.sum())\n',
        "[not 1 == 2 is refused as a syntax error|not before a comparison does not cover it|the line not 1 == 2 ends with status 2]",
        "negation() takes a single atom; not has to cover the whole comparison, and another not.",
        "not not 1 == 2", "0",
    ),
    fault_of(
        "choice",
        '    if name == "@IF@" and len(arguments) == 3:\n        return value(arguments[1] if value(arguments[0], names) else arguments[2], names)\n    given = [value(argument, names) for argument in arguments]\n',
        '    given = [value(argument, names) for argument in arguments]\n    if name == "@IF@" and len(given) == 3:\n        return given[1] if given[0] else given[2]\n',
        '    if name == "@IF@" and len(arguments) == 3 and value(arguments[0], names):\n        return value(arguments[1], names)\n    given = [value(argument, names) for argument in arguments]\n    if name == "@IF@" and len(given) == 3:\n        return given[2]\n',
        "[@IF@(0, 1 / 0, 5) ends with an arithmetic error|@IF@() works out the branch that was not chosen as well|the branch of @IF@() that is not wanted still raises its errors]",
        "call() evaluates all arguments first; @IF@ has to evaluate only the branch that it chooses.",
        "@IF@(0, 1 / 0, 5) + @IF@(7, 1, 1 / 0)", "6",
    ),
)  # fmt: skip

CHECKS = '''
def outcome(source, program):
    """Standard output and exit status of an interpreter, and whether its errors have the form."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program")
        with open(path, "w") as file:
            file.write(program)
        done = run("/usr/bin/python3", "-I", "-B", source, path, cwd=folder)
    if done.returncode:
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), f"{program!r}: standard error is {done.stderr[-200:]!r}"
    return done.stdout, done.returncode


def compare(programs):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(REFERENCE)
        file.flush()
        for program in programs:
            want, got = outcome(file.name, program), outcome(TOOL, program)
            assert got == want, f"{program!r} gives {got}, not {want}"


def expression(rng, depth):
    """A random expression; operators of all levels, few brackets."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice([str(rng.randrange(0, 12)), str(rng.randrange(0, 12)), "a", "b"])
    a, b = expression(rng, depth - 1), expression(rng, depth - 1)
    kind = rng.randrange(9)
    if kind < 4:
        return f"{a} {rng.choice('+--*/%%/')} {b}"
    if kind == 4:
        return f"({a} {rng.choice(['<', '<=', '==', NE, '>=', '>'])} {b})"
    if kind == 5:
        return f"({a} {rng.choice(['and', 'or'])} {rng.choice(['', 'not '])}{b})"
    if kind == 6:
        return f"{IF}({a}, {b}, {expression(rng, depth - 1)})"
    if kind == 7:
        return f"-({a})"
    return f"{rng.choice(['min', 'max'])}({a}, -{b})"


def check_arithmetic():
    """Chains, powers, quotients and remainders give the described values."""
    compare([
        "20 - 5 - 3\\n1 - 2 + 3 - 4\\n100 - (7 - 2) - 1\\n",
        f"2 {POW} 3 {POW} 2\\n-2 {POW} 2\\n2 {POW} -(0 - 3)\\n2 {POW} 2 {POW} 0\\n2 * 3 {POW} 2 * 2\\n2 {POW} - 1\\n5\\n",
        "-7 / 2\\n7 / -2\\n-7 / -2\\n-6 / 3\\n-900000000000000000001 / 3\\n100 / 7 / 2\\n900719925474099267 / 1\\n",
        "-7 % 3\\n7 % -3\\n-7 % -3\\n6 % 4 % 3\\n-6 % 3\\n5 % 0\\n",
        "8 / 0\\n1\\n", "0 / 5\\n0 % 5\\n-1 / 2\\n",
    ])


def check_logic():
    """Conditions evaluate only what they need, and not covers a comparison."""
    compare([
        "0 and 1 / 0\\n1 and 7\\n3 and 0\\n", "5 or 1 / 0\\n0 or 0\\n0 or 9\\n", "1 and 1 / 0\\n", "0 or nobody\\n",
        f"{IF}(0, 1 / 0, 5)\\n", f"{IF}(1, 5, 1 / 0)\\n{IF}(0, 5, 1 / 0)\\n", f"{IF}(2, 3, nobody)\\n{IF}(1, 2)\\n",
        "not 1 == 2\\nnot 3 < 4 and 1\\nnot not 5\\nnot 0\\nnot 1 + 1\\n1 or not 0 and 0\\n", f"1 {NE} 1\\n2 {NE} 1\\n",
    ])


def check_random_programs():
    """Random programs give the same values and the same exit status as the description demands."""
    rng = random.Random(4711)
    programs = []
    for _ in range(14):
        lines = [f"a {ASSIGN} {rng.randrange(-9, 9)}", f"b {ASSIGN} a * 3 {COMMENT} thrice"]
        lines += [f"{expression(rng, 3)} {POW} 2 - {expression(rng, 2)}" for _ in range(9)]
        programs.append("\\n".join(lines) + "\\n")
    compare(programs)


def check_errors_and_sample():
    """Wrong programs have their status, and the sample gives what it gave."""
    compare(["1 +\\n", "(1\\n", "3 4\\n", "1 ? 2\\n", "nobody\\n", "1\\nmax()\\n", "sqrt(4)\\n", "abs(1, 2)\\n", "1 < 2 < 3\\n", "", SAMPLE])


def check_documents_untouched():
    """The language description and the sample are what they were."""
    assert read(DOC[0]) == DOC[1], "the description was changed"
    assert read(os.path.join(os.path.dirname(TOOL), "sample.txt")) == SAMPLE, "sample.txt was changed"
'''
