"""What solution and checks use of clock and chance, by their text; what it does to the verdict is executed."""

import ast
import re

_PATTERNS = {
    "date": r"(?<![\w./-])date(?=\s+[-+\"']|\s*\)|`)",
    "$RANDOM": r"\$\{?RANDOM\b|\(\(.*\bRANDOM\b|\bSRANDOM\b|\bEPOCHSECONDS\b",
    "time.time": r"\btime\.(?:time|time_ns|localtime|gmtime|ctime|strftime)\(",
    "datetime.now": r"\b(?:datetime|date)\.(?:now|today|utcnow)\(",
    "random": r"\brandom\.(?:random|randint|randrange|choices?|shuffle|sample|uniform|gauss)\(|\bshuf\b|\bsort\s+-\w*R",
    "secrets": r"\bsecrets\.\w+\(|\bos\.urandom\(",
    "uuid": r"\buuid\.uuid[14]\(|\buuidgen\b|/proc/sys/kernel/random",
    "/dev/urandom": r"/dev/u?random\b|\bopenssl\s+rand\b",
}
_SEEDED = re.compile(r"\brandom\.seed\(|\bRandom\(\s*[^)\s]|--random-source")


def across(checks: str, name: str) -> bool:
    """Whether a check looks at the clock and runs programs too, itself or in functions that it calls.

    Their clock is the machine's and is not shifted, so it cannot be told whether the check depends on when it runs.
    """
    try:
        tree = ast.parse(checks)
    except SyntaxError:
        return False
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    reached, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        if one in functions and one not in reached:
            reached.add(one)
            waiting += [node.id for node in ast.walk(functions[one]) if isinstance(node, ast.Name)]
    text = "\n".join(ast.unparse(functions[one]) for one in reached)
    clock = any(re.search(_PATTERNS[kind], text) for kind in ("time.time", "datetime.now"))
    return clock and re.search(r"\bsubprocess\.|\bos\.(?:system|popen|spawn|exec)", text) is not None


def declared(solution: str, checks: str) -> list[str]:
    """Uses of clock and chance, such as `checks: time.time`; temporary names are none."""
    found = []
    for where, text in (("solution", solution), ("checks", checks)):
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        for name, pattern in _PATTERNS.items():
            if re.search(pattern, code) and not (name == "random" and _SEEDED.search(code)):
                found.append(f"{where}: {name}")
    return found
