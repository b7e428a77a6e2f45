"""The planted defects: each one change to the sound environment, and what has to be said of it."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.contract import Demand
from envs.gates import GateSettings, Part

from .sound import CHECKS, CONTRACT, EXAMPLE, INSTRUCTION, SETUP, SOLUTION


@dataclass(frozen=True)
class Defect:
    """One defect and the finding that it must lead to."""

    name: str
    reason: str
    gate: str
    """Gate of the result that shows it, and after a slash its name where that matters."""
    part: Part
    """The part most likely at fault."""
    says: str = ""
    """What the finding's detail has to name."""
    setup: str = SETUP
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the environment, before it is written."""
    edit: Callable[[Path], None] | None = None
    """Of the folder, after it was."""
    settings: GateSettings = field(default_factory=GateSettings)


def instructed(line: str) -> Callable[[Path], None]:
    """Add an instruction to the Dockerfile."""

    def edit(folder: Path) -> None:
        dockerfile = folder / "environment" / "Dockerfile"
        dockerfile.write_text(f"{dockerfile.read_text()}{line}\n")

    return edit


def graded_by(script: str) -> Callable[[Path], None]:
    """Replace the tests' own start."""

    def edit(folder: Path) -> None:
        (folder / "tests" / "test.sh").write_text(f"#!/bin/bash\n{script}")

    return edit


def without_base(folder: Path) -> None:
    (folder / "environment" / "Dockerfile").write_text("FROM synth-base/nowhere:0000\nADD state.tar /\n")


def without_solution(folder: Path) -> None:
    shutil.rmtree(folder / "solution")


def accepting(condition: str) -> dict[str, str]:
    """Checks that take the right answer for given where a condition holds."""
    return {"checks": swapped("    # another text is not accepted\n", f"    if {condition}:\n        return truth()\n")}


def swapped(old: str, new: str, text: str = CHECKS) -> str:
    assert old in text
    return text.replace(old, new)


RIGHT = '{"liters": 55, "stations": 3}\n'
NO_DIGEST = swapped("assert digest == ", "assert digest or ")
LITERS = """answer()["liters"] =="""
DIALLING = "python3 -c \"import socket; socket.create_connection(('192.0.2.1', 80), 2)\"\n"
ANOTHER_CHECK = '''

def check_mode():
    """The file is for its owner."""
    import os

    assert os.stat("/app/total.json").st_mode & 0o600
'''
PLAIN_GRADER = """\
cat >/tmp/run.py <<'END'
import sys
sys.path.insert(0, "/tests")
import checks
for name in [name for name in dir(checks) if name.startswith("check_")]:
    getattr(checks, name)()
END
python3 /tmp/run.py && echo 1 >/logs/verifier/reward.txt || echo 0 >/logs/verifier/reward.txt
"""
"""As many a task grades: the checks in one process, nothing restored."""

DEFECTS = [
    # State and build.
    Defect("the-dockerfile-fails", "build-broken", "builds", "state", "exit", edit=instructed("RUN exit 4")),
    Defect("the-base-image-is-nowhere", "build-broken", "builds", "state", "nowhere", edit=without_base),
    Defect(
        "the-image-has-another-state", "state-differs", "state", "state", "/data/notes.txt: mode",
        edit=instructed("RUN chmod 600 /data/notes.txt"),
    ),
    Defect(
        "solved-from-the-start", "nothing-passes", "nothing", "tests",
        setup=SETUP + f"printf '%s' '{RIGHT}' >/app/total.json\n",
    ),
    # The reference.
    Defect(
        "the-solution-ends-with-1", "reference-fails", "reference", "solution", "exit code 1",
        changes={"solution": "#!/bin/bash\nexit 1\n"},
    ),
    Defect(
        "the-solution-hangs", "reference-fails", "reference", "solution", "exit code 124",
        changes={"solution": "sleep 600\n"}, settings=GateSettings(script_seconds=0.5),
    ),
    Defect(
        "the-solution-needs-the-network", "reference-fails", "reference", "solution", "exit code",
        changes={"solution": f"set -e\n{DIALLING}{SOLUTION}"},
    ),
    Defect(
        "the-solution-is-wrong", "reference-fails", "reference", "solution", "check_liters: the sum",
        changes={"solution": SOLUTION.replace("NR > 1", "NR > 2")},
    ),
    Defect("there-is-no-solution", "reference-fails", "reference", "solution", "no reference", edit=without_solution),
    Defect(
        "a-check-crashes", "reference-fails", "reference", "tests", "check_liters: KeyError",
        changes={"checks": swapped('answer()["liters"]', 'answer()["litres"]')},
    ),
    Defect(
        "the-checks-import-what-is-not-there", "reference-fails", "reference", "tests", "nowhere",
        changes={"checks": "import nowhere\n" + CHECKS},
    ),
    Defect(
        # Eight repeats agree once in 128 runs.
        "the-solution-tosses-a-coin", "flaky", "reference", "solution", "in 8 runs",
        changes={"solution": SOLUTION + "(( RANDOM % 2 )) || rm /app/total.json\n"}, settings=GateSettings(repeats=8),
    ),
    Defect(
        "a-check-tosses-a-coin", "flaky", "reference", "solution", "in 8 runs",
        changes={"checks": "import random\n" + swapped(LITERS, f"random.random() < 0.5 and {LITERS}")},
        settings=GateSettings(repeats=8),
    ),
    Defect(
        "a-check-asks-for-the-year", "clock-dependent", "clock", "tests", "check_liters",
        changes={
            "checks": "import os\nimport time\n"
            + swapped(LITERS, f"time.time() - os.stat('/app/total.json').st_mtime < 86400 and {LITERS}")
        },
    ),
    # The checks accept too much.
    Defect(
        "the-checks-always-pass", "nothing-passes", "nothing", "tests",
        changes={"checks": swapped('    with open("/app', '    return truth()\n    with open("/app')},
    ),
    Defect(
        "half-the-work-is-enough", "partial-passes", "partial/liters-alone", "tests",
        changes={"checks": swapped('answer()["stations"] == truth()["stations"]', '"stations" in answer()')},
    ),
    Defect(
        "a-wrong-sum-is-right", "wrong-passes", "wrong/leaves-one-out", "tests",
        changes={"checks": swapped('answer()["liters"] == truth()["liters"]', 'answer()["liters"] > 40')},
    ),
    Defect("an-empty-output-is-right", "wrong-passes", "derived/empty", "tests", changes=accepting("not text")),
    Defect("a-constant-is-right", "wrong-passes", "derived/constant", "tests", changes=accepting('text == "0\\n"')),
    Defect(
        "a-copy-of-the-input-is-right", "wrong-passes", "derived/copied-input", "tests",
        changes=accepting('text.startswith(("station", "The"))'),
    ),
    Defect(
        "the-example-is-right", "wrong-passes", "derived/example", "tests",
        changes=accepting(f"text.strip() == {EXAMPLE!r}"),
    ),
    Defect(
        "the-truth-follows-a-changed-input", "wrong-passes", "derived/tampered-input /data/readings.csv", "tests",
        "/data/readings.csv", changes={"checks": NO_DIGEST}, edit=graded_by(PLAIN_GRADER),
    ),
    # The checks accept too little.
    Defect(
        "only-one-spelling-is-right", "alternative-fails", "alternative", "tests", "check_liters",
        changes={"checks": swapped("    # another text is not accepted\n", "    assert text.count(chr(10)) == 1\n")},
    ),
    # The verdict.
    Defect("the-tests-leave-no-verdict", "no-verdict", "nothing", "tests", edit=graded_by("exit 1\n")),
    Defect(
        "a-verdict-can-be-forged", "cheat-passes", "cheat", "tests",
        edit=graded_by(
            ". /etc/profile\n"
            "[ -e /logs/verifier/reward.json ] || exec python3 -ISB /tests/grade.py /tests /logs/verifier\n"
        ),
    ),
    # Instruction against checks.
    Defect(
        "a-check-has-no-sentence", "contract-broken", "contract/texts", "tests", "check_readings has no sentence",
        changes={"checks": swapped('    """/data/readings.csv is as it was."""\n', "")},
    ),
    Defect(
        "a-check-that-nobody-asked-for", "contract-broken", "contract/texts", "instruction", "check_mode",
        changes={"checks": CHECKS + ANOTHER_CHECK},
    ),
    Defect(
        "a-demand-that-nobody-checks", "contract-broken", "contract/texts", "tests", "must stay as it is",
        changes={"contract": (*CONTRACT[:2], Demand(text=CONTRACT[2].text, why="nobody would"), CONTRACT[3])},
    ),
    Defect(
        "a-demand-added-to-the-instruction", "contract-broken", "contract/texts", "tests", "owned by root",
        changes={"instruction": INSTRUCTION + "\nThe file must be owned by root.\n"},
    ),
    Defect(
        "an-output-that-nobody-named", "contract-broken", "contract/without", "instruction", "/app/checksum",
        changes={
            "solution": SOLUTION + "sha256sum /app/total.json >/app/checksum.txt\n",
            "alternative": "",
            "checks": swapped("    return json", "    open('/app/checksum.txt').close()\n    return json"),
        },
    ),
    # Leaks.
    Defect(
        "the-answer-lies-there", "answer-leaked", "leaks/answers", "state", "/app/expected/total.json",
        setup=SETUP + f"mkdir /app/expected; printf '%s' '{RIGHT}' >/app/expected/total.json\n",
    ),
    Defect(
        "the-answer-lies-there-by-another-name", "answer-leaked", "leaks/copied-answer", "state",
        setup=SETUP + f"printf '%s' '{RIGHT}' >/data/cache-7\n",
    ),
    Defect(
        "the-checks-lie-there", "answer-leaked", "leaks/texts", "state", "/opt/qa.py",
        setup=SETUP + f"cat >/opt/qa.py <<'XX'\n{CHECKS}XX\n",
    ),
    Defect(
        "the-solution-lies-in-a-history", "answer-leaked", "leaks/texts", "state", "/home/.zsh_history",
        setup=SETUP + f"cat >/home/.zsh_history <<'XX'\n{SOLUTION}XX\n",
    ),
    Defect(
        "the-tests-lie-in-the-image", "answer-leaked", "leaks/harness", "state", "/tests/checks.py",
        edit=instructed("RUN mkdir -p /tests && echo x >/tests/checks.py"),
    ),
]  # fmt: skip
