"""Clumsiness on demand: first attempts at a part of an environment that are defective as those of real models are.

Whether and how is decided by the work order, the part and the round alone: the same task always fares the same.
"""

import ast
import re
from random import Random

from synth.sim.contract import contract, statements
from synth.sim.misbehave import Misbehaviour, lot
from synth.sim.scenario import Run, Scenario, Write

LEAKS = ("/app/.notes/solve.sh", "/root/solution.sh", "/opt/backup/expected-steps.sh")
"""Where a clumsy setup agent forgets the solution."""

MISPLACED = 0.3
"""Share of clumsy starting points that nobody can work on; in the others the answer lies about."""

_PLACE = re.compile(r"(?<![\w./:-])/[a-z][\w-]*(?:/[\w-]+)+")

STUBBORN = 0.5
"""Share of clumsy tests that a re-ask does not mend, so that the gates meet them."""


def is_clumsy(part: str, scenario: Scenario, number: int, misbehaviour: Misbehaviour) -> bool:
    """Whether a part is written badly in a round; 0 is the first time."""
    rate = getattr(misbehaviour, f"clumsy_{part}") if number == 0 else misbehaviour.clumsy_repair
    return lot("clumsy", part, scenario.ticket, number) < float(rate)


def stubborn(scenario: Scenario, number: int) -> bool:
    """Whether clumsy tests of a round stay as they are when they are asked for again."""
    return lot("stubborn", scenario.ticket, number) < STUBBORN


def state(scenario: Scenario, number: int) -> Run | Write:
    """The step that leaves the answer in the state, or the work in another place than the task says."""
    rng = _draw(scenario, "state", number)
    path = rng.choice(LEAKS)
    place = _PLACE.search(scenario.instruction)
    if place and not number and rng.random() < MISPLACED:
        return Run(f"[ ! -e {place[0]} ] || mv {place[0]} {place[0]}.orig")
    return Write(path, scenario.solution(), "0755")


def mended(scenario: Scenario, number: int, misbehaviour: Misbehaviour) -> list[Run | Write]:
    """What the setup agent does to a starting point that did not pass."""
    place = _PLACE.search(scenario.instruction)
    back = f"; [ ! -e {place[0]}.orig ] || mv -v {place[0]}.orig {place[0]}" if place else ""
    steps: list[Run | Write] = [Run(f"ls -la /app; rm -fv {' '.join(LEAKS)}{back}")]
    if is_clumsy("state", scenario, number, misbehaviour):
        steps.append(state(scenario, number))
    return steps


def instruction(scenario: Scenario, number: int) -> str:
    """The instruction with a demand that nothing checks, or without one that a check holds the end state to."""
    rng = _draw(scenario, "instruction", number)
    sole = _alone(scenario)
    if sole and rng.random() < 0.5:
        shorter = _without(scenario.instruction, rng.choice(sole))
        if shorter is not None:
            return shorter
    extra = rng.choice(
        (
            "When you are done, /app/HANDOVER.md must hold exactly one line with your initials.",
            "The file /app/.reviewed must be there and must be empty.",
            "Every command that you use must be listed in /app/commands.log, one a line.",
        )
    )
    return f"{scenario.instruction.rstrip()}\n\n{extra}\n"


def solution(scenario: Scenario, number: int) -> str:
    """A script that stops half way, fails, or needs a program that is not there."""
    rng = _draw(scenario, "solution", number)
    match rng.randrange(4):
        case 0 | 1:
            return rng.choice(scenario.partial()).text
        case 2:
            return f"{scenario.solution().rstrip()}\ntest -e /app/.ready || exit 1\n"
        case _:
            head, _, rest = scenario.solution().partition("\n")
            return f"{head}\nset -e\nxmlstarlet --version\n{rest}"


def checks(scenario: Scenario, number: int) -> str:
    """Checks that always pass, crash, ask too much, let wrong work pass, or look at what nobody asked for."""
    rng = _draw(scenario, "tests", number)
    source = scenario.checks().rstrip()
    match rng.randrange(5):
        case 0:
            return _hollow(source)
        case 1:
            return (
                f"{source}\n\n\ndef check_record():\n    \"\"\"The record of the work is complete.\"\"\"\n"
                "    assert len(RECORD) > 3\n"
            )
        case 2:
            return (
                f"{source}\n\n\ndef check_note():\n    \"\"\"A note says that the work is done.\"\"\"\n    import os\n"
                "    assert os.path.exists('/app/DONE'), 'there is no /app/DONE'\n"
            )
        case 3:
            return _only_one(source, rng)
        case _:
            return (
                f"{source}\n\n\ndef check_shell():\n    \"\"\"Root still has a login shell.\"\"\"\n    import pwd\n"
                "    assert pwd.getpwnam('root').pw_shell, 'root has no shell'\n"
            )


def _draw(scenario: Scenario, part: str, number: int) -> Random:
    return Random(f"clumsy/{part}/{scenario.ticket}/{number}")


def _alone(scenario: Scenario) -> list[str]:
    """Statements that are the only ones to ask for what some check checks."""
    by_text = contract(scenario.instruction, scenario.checks())
    holders: dict[str, list[str]] = {}
    for text, names in by_text.items():
        for name in names:
            holders.setdefault(name, []).append(text)
    return sorted({those[0] for those in holders.values() if len(those) == 1})


def _without(text: str, statement: str) -> str | None:
    """The instruction less one statement; None where it does not stand in it in one piece."""
    pattern = r"\s+".join(map(re.escape, statement.split()))
    shorter = re.sub(rf"^[ \t]*(?:[-*+]|\d+[.)])[ \t]+{pattern}[ \t]*\n|{pattern}[ \t]*", "", text, count=1, flags=re.M)
    left = set(statements(shorter))
    # A list item that loses its text, or a sentence that others run into, would change more than one statement.
    wanted = {one for one in statements(text) if one != statement}
    return shorter if left == wanted and len(shorter) >= 120 and "/" in shorter else None


def _hollow(source: str) -> str:
    """The same functions, of which none looks at anything."""
    # By lines, for the source that Python would write of its own tree need not be one for the image's older Python.
    lines = source.splitlines()
    for node in reversed(_checks(source)):
        lines[node.body[0].end_lineno : node.end_lineno] = ["    assert True, 'it is so'"]
    return "\n".join(lines) + "\n"


def _only_one(source: str, rng: Random) -> str:
    """The file with one of its checks alone."""
    lines, nodes = source.splitlines(), _checks(source)
    kept = rng.choice(nodes)
    for node in reversed(nodes):
        if node is not kept:
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines) + "\n"


def _checks(source: str) -> list[ast.FunctionDef]:
    nodes = ast.parse(source).body
    return [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")]
