"""Task folders of every shape: sound ones are certified, each defect is named, and what cannot be run is said."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from envs.folder import folder_digest
from envs.verify.report import Report, TaskReport

from .conftest import DOCKERFILE, INSTRUCTION, OUTSIDE, PYTEST, SOLUTION, TEST, verified, with_pytest, write

pytestmark = pytest.mark.docker

SOUND: Mapping[str, Mapping[str, str | None]] = {
    "version-1.0": {
        "task.toml": 'version = "1.0"\n[metadata]\n[environment]\nallow_internet = false\nmemory = "1G"\n',
    },
    "without-a-version": {"task.toml": ""},
    "version-1.1-pytest": {
        "task.toml": 'schema_version = "1.1"\nartifacts = []\n[environment]\ncpus = 64\n',
        "tests/test_outputs.py": PYTEST,
        "tests/test.sh": "#!/bin/bash\ncd /tests\npython3 -m pytest -q test_outputs.py\nif [ $? -eq 0 ]; then echo 1 >"
        "/logs/verifier/reward.txt; else echo 0 >/logs/verifier/reward.txt; fi\n",
    },
    "version-1.2-pytest-alone": {
        "task.toml": 'schema_version = "1.2"\n',
        "tests/test_state.py": PYTEST,
        "tests/test.sh": None,
        "solution/solve.sh": None,
        "solution.sh": SOLUTION,
    },
    "version-1.3": {
        "task.toml": 'schema_version = "1.3"\n[environment]\nworkdir = "/data"\nenv = { OUT = "${OUT:-sum.txt}" }\n'
        '[solution.env]\nAWK = "awk"\n[verifier.env]\nRIGHT = "55"\n',
        "solution/solve.sh": "#!/bin/bash\n$AWK -f /solution/sum.awk numbers.txt >$OUT\n",
        "solution/sum.awk": "{ s += $1 }\nEND { print s }\n",
        "tests/test.sh": '#!/bin/bash\n[ "$(cat $OUT)" = "$RIGHT" ] && r=1 || r=0\n'
        "echo $r >/logs/verifier/reward.txt\n",
    },
    "version-1.4-json": {
        "tests/test.sh": '#!/bin/bash\n[ "$(cat /data/sum.txt)" = 55 ] && r=1 || r=0\n'
        'echo "{\\"reward\\": $r, \\"style\\": 1, \\"other\\": 1}" >/logs/verifier/reward.json\n',
    },
    "named-image-that-is-gone": {"task.toml": '[environment]\ndocker_image = "registry.invalid/prebuilt:1"\n'},
    "shares": {
        "tests/test.sh": "#!/bin/bash\nreward=0\n[ -e /data/numbers.txt ] && reward=0.3\n"
        '[ "$(cat /data/sum.txt)" = 55 ] && reward=1.0\necho $reward >/logs/verifier/reward.txt\n',
    },
    "users": {
        "task.toml": '[agent]\nuser = "nobody"\n[verifier]\nuser = 65534\n',
        "environment/Dockerfile": DOCKERFILE + "RUN chmod 777 /data\n",
        "tests/test.sh": "#!/bin/bash\nfound=$(id -u; stat -c %u /data/sum.txt; cat /data/sum.txt)\n"
        '[ "${found//[^0-9]/ }" = "65534 65534 55" ] && r=1 || r=0\necho $r >/logs/verifier/reward.txt\n',
    },
    "named-image": {
        "task.toml": f'[environment]\ndocker_image = "{OUTSIDE}"\nworkdir = "/data"\n',
        "environment/Dockerfile": None,
        "environment/numbers.txt": "\n".join(map(str, range(1, 11))) + "\n",
    },
}  # fmt: skip

DEFECTIVE: Mapping[str, tuple[list[str], Mapping[str, str | None]]] = {
    "no-solution": (["no-reference"], {"solution/solve.sh": None}),
    "latest": (["unpinned-image"], {"environment/Dockerfile": DOCKERFILE.replace(OUTSIDE, "python:latest")}),
    "argument": (
        ["unpinned-image"],
        {"environment/Dockerfile": "ARG BASE=python\n" + DOCKERFILE.replace(OUTSIDE, "${BASE}")},
    ),
    "downloads": (
        ["needs-network"],
        {"tests/test.sh": "#!/bin/bash\ncurl -fsS http://packages.invalid/runner -o /tmp/run || exit 1\n" + TEST},
    ),
    "tests-in-folder": (
        ["tests-in-agent-folder"],
        {
            "tests/check.sh": '[ "$(cat sum.txt)" = 55 ]\n',
            "tests/test.sh": "#!/bin/bash\ncp /tests/check.sh /data/\ncd /data\nbash check.sh && r=1 || r=0\n"
            "echo $r >/logs/verifier/reward.txt\n",
        },
    ),
    "pytest-in-folder": (
        ["tests-in-agent-folder"],
        {
            "tests/test_outputs.py": PYTEST,
            "tests/test.sh": "#!/bin/bash\npython3 -m pytest -q /tests/test_outputs.py && r=1 || r=0\n"
            "echo $r >/logs/verifier/reward.txt\n",
        },
    ),
    "solution-in-image": (
        ["leaked-answer"],
        {
            "environment/Dockerfile": DOCKERFILE + "COPY how.sh /opt/how.sh\n",
            "environment/how.sh": SOLUTION,
        },
    ),
    "recovered": (
        ["weak-grader"],
        {
            "instruction.md": "Decode /data/plaintext.b64 into /data/recovered.txt.\n",
            "environment/Dockerfile": f"FROM {OUTSIDE}\nRUN mkdir /data && seq 99 | base64 >/data/plaintext.b64\n",
            "solution/solve.sh": "#!/bin/bash\nbase64 -d /data/plaintext.b64 >/data/recovered.txt\n",
            "tests/test.sh": "#!/bin/bash\n[ $(wc -c </data/recovered.txt) -gt 100 ] && r=1 || r=0\n"
            "echo $r >/logs/verifier/reward.txt\n",
        },
    ),
    "broken-dockerfile": (["broken-build"], {"environment/Dockerfile": DOCKERFILE + "RUN echo why && exit 3\n"}),
    "no-reward": (["no-verdict"], {"tests/test.sh": '#!/bin/bash\n[ "$(cat /data/sum.txt)" = 55 ]\n'}),
    "garbage": (["malformed"], {"task.toml": "[environment\n"}),
    "wrong-type": (["malformed"], {"task.toml": "[verifier]\ntimeout_sec = 'soon'\n"}),
    "no-tests": (["malformed"], {"tests/test.sh": None, "tests/readme.txt": "none"}),
    "wrong-solution": (["reference-fails"], {"solution/solve.sh": "#!/bin/bash\necho 54 >/data/sum.txt\n"}),
    "always-passes": (
        ["nothing-passes"],
        {"tests/test.sh": "#!/bin/bash\necho 1 >/logs/verifier/reward.txt\n"},
    ),
    "unnamed-output": (
        ["ambiguous"],
        {"instruction.md": "Add up the numbers in /data/numbers.txt and save the result, as one line.\n"},
    ),
    "immeasurable": (["ambiguous"], {"instruction.md": "Make the data better and clean it up properly.\n"}),
}  # fmt: skip

NOT_RUN: Mapping[str, tuple[str, str, Mapping[str, str | None]]] = {
    "compose": ("unsupported", "several containers", {"environment/docker-compose.yaml": "services: {}\n"}),
    "steps": (
        "unsupported",
        "several steps",
        {
            "task.toml": 'schema_version = "1.4"\n[[steps]]\nname = "one"\n',
            "steps/one/instruction.md": INSTRUCTION,
            "steps/one/tests/test.sh": TEST,
        },
    ),
    "secret": ("unsupported", "API_KEY", {"task.toml": '[verifier.env]\nKEY = "${API_KEY}"\n'}),
    "no-such-image": (
        "unavailable",
        "registry.invalid/nothing:1",
        {"environment/Dockerfile": "FROM registry.invalid/nothing:1\n"},
    ),
    "no-such-named-image": (
        "unavailable",
        "registry.invalid/nothing:2",
        {"environment/Dockerfile": None, "task.toml": '[environment]\ndocker_image = "registry.invalid/nothing:2"\n'},
    ),
    "base-of-another-machine": (
        "unavailable",
        "synth-base/nowhere:1",
        {"environment/Dockerfile": "FROM synth-base/nowhere:1\n"},
    ),
}


QUICK = frozenset({
    "version-1.0", "version-1.2-pytest-alone", "downloads", "recovered", "broken-dockerfile", "garbage",
    "wrong-type", "no-tests", *NOT_RUN,
})  # fmt: skip
"""Those that are verified in seconds."""


def cases(names: Iterable[str]) -> list[Any]:
    """The names as parameters, those that take longer marked."""
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


def made(root: Path, names: Iterable[str]) -> list[Path]:
    """Write task folders."""
    changes = {
        **SOUND,
        **{name: wrong for name, (_, wrong) in DEFECTIVE.items()},
        **{name: other for name, (_, _, other) in NOT_RUN.items()},
    }
    folders = []
    for name in names:
        folder = write(root / name, changes[name])
        if "pytest" in name:
            (folder / "environment" / "Dockerfile").write_text(with_pytest(folder))
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What verifying those all at once says."""
    root = tmp_path_factory.mktemp("quick")
    folders = made(root, sorted(QUICK))
    before = folder_digest(root)
    report = verified(folders)
    assert folder_digest(root) == before
    return report


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What verifying the others says."""
    return verified(made(tmp_path_factory.mktemp("others"), sorted({*SOUND, *DEFECTIVE} - QUICK)))


@pytest.fixture
def of(name: str, request: pytest.FixtureRequest) -> TaskReport:
    """The report of one task, by the test's parameter."""
    report = request.getfixturevalue("quick" if name in QUICK else "others")
    return next(task for task in report.tasks if Path(task.path).name == name)


@pytest.mark.parametrize("name", cases(SOUND))
def test_a_sound_task_of_any_version_is_certified(name: str, of: TaskReport) -> None:
    assert (of.defects, of.unavailable, of.unsupported) == ((), None, None), of.found
    assert of.certified
    assert of.gates["nothing"]["reward"] == (0.3 if name == "shares" else 0)
    assert [of.gates[f"reference {number}"]["reward"] for number in (1, 2)] == [1, 1]
    notes = "\n".join(of.notes)
    assert ("allow_internet" in notes) == (name == "version-1.0")
    assert ("pytest runs tests/test_state.py" in notes) == (name == "version-1.2-pytest-alone")


@pytest.mark.parametrize("name", cases(DEFECTIVE))
def test_a_defect_is_named_by_its_class(name: str, of: TaskReport) -> None:
    assert list(of.defects) == DEFECTIVE[name][0], of.found
    assert not of.certified
    assert {one.defect for one in of.found} == set(of.defects)
    assert all(one.detail and "\n" not in one.detail for one in of.found)
    assert all(not of.gates[one.gate]["passed"] for one in of.found if one.gate)


@pytest.mark.parametrize("name", cases(NOT_RUN))
def test_what_cannot_be_run_is_no_failure(name: str, of: TaskReport) -> None:
    kind, said, _ = NOT_RUN[name]
    assert said in str(getattr(of, kind))
    assert of.defects == ()
    assert not of.certified
    assert of.gates == {}


def test_what_a_download_leaves_is_told_by_the_output(quick: Report) -> None:
    task = next(task for task in quick.tasks if task.path.endswith("downloads"))
    assert "packages.invalid" in task.found[0].detail
    assert any(note.startswith("tests-install: tests/test.sh") for note in task.notes)


def test_the_totals(quick: Report) -> None:
    assert (quick.certified, quick.failed) == (len(QUICK & SOUND.keys()), len(QUICK & DEFECTIVE.keys()))
    assert (quick.unavailable, quick.unsupported) == (3, 3)
    assert quick.defects == {"malformed": 3, "broken-build": 1, "weak-grader": 1, "needs-network": 1}
    # Those with the same Dockerfile share an image: one for most of them, one with pytest, `recovered`.
    assert quick.builds == 3
