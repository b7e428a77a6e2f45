"""What is told of a task by reading it: its base images, where its tests run, what its instruction leaves open."""

from pathlib import Path

import pytest

from envs.verify.bases import BadMap, Map, parse, replaced
from envs.verify.dockerfile import images, parts, pinned, rebased
from envs.verify.lint import Texts, immeasurable, notes, unnamed
from envs.verify.network import failed_download
from envs.verify.placement import misplaced
from envs.verify.shape import Malformed, read_shape

from .conftest import SOLUTION, write

STAGES = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.12
ARG REPO="ghcr.io/acme/tool"
FROM --platform=linux/amd64 python:${VERSION} AS build
RUN echo FROM nowhere \\
    # a comment between
    && echo done
RUN <<EOF cat
FROM inside:heredoc
EOF
FROM scratch AS empty
FROM registry.example:5000/team/base
COPY --from=build /a /a
COPY --from=0 /b /b
COPY --chown=1:1 --from=${REPO}:1.2 /c /c
from build
"""


def test_the_images_of_a_dockerfile() -> None:
    assert images(STAGES) == ["python:3.12", "registry.example:5000/team/base", "ghcr.io/acme/tool:1.2"]
    assert images("FROM $BASE\n") == ["$BASE"]
    assert images("") == []


def test_another_base_in_its_place() -> None:
    text = rebased(STAGES, lambda image: {"python:3.12": "ours:1"}.get(image, image))
    assert images(text) == ["ours:1", "registry.example:5000/team/base", "ghcr.io/acme/tool:1.2"]
    assert "FROM --platform=linux/amd64 ours:1 AS build" in text
    assert text.count("\n") == STAGES.count("\n")
    assert rebased("FROM a\r\nRUN b", lambda image: image) == "FROM a\r\nRUN b"


@pytest.mark.parametrize(
    ("image", "is_pinned"),
    [
        ("python", False), ("python:latest", False), ("registry.example:5000/base", False), ("$BASE", False),
        ("python:3.12", True), ("python@sha256:0123", True), ("registry.example:5000/base:2", True),
        ("python:latest@sha256:0123", True),
    ],
)  # fmt: skip
def test_a_tag_or_a_digest_pins_an_image(image: str, is_pinned: bool) -> None:
    assert pinned(image) == is_pinned


def test_maps() -> None:
    assert parts("r:5000/a/b:1@sha256:9") == ("r:5000/a/b", "1", "sha256:9")
    assert Map("python", "x").fits("python:3.12")
    assert Map("python", "x").fits("python")
    assert Map("python:3.12", "x").fits("python:3.12@sha256:9")
    assert Map("python:*", "x").fits("python")
    assert not Map("python:3.11", "x").fits("python:3.12")
    assert not Map("python", "x").fits("acme/python:3.12")
    assert replaced("ubuntu:24.04", [Map("python", "x"), Map("*", "y"), Map("ubuntu", "z")]) == "y"
    assert parse(" a:1 = b ") == Map("a:1", "b")
    for wrong in ("a", "=b", "a=", "a b=c"):
        with pytest.raises(BadMap, match="FROM=TO"):
            parse(wrong)


def rules(instruction: str = "Write 5 to /a/x.txt.", **tests: str) -> dict[str, str]:
    texts = Texts(instruction, {name.replace("_", "."): text for name, text in tests.items()})
    return {note.rule: note.text for note in notes(texts)}


def test_notes_of_the_instruction() -> None:
    assert rules("Write 5 to out/x.txt.") == {
        "relative-paths": "the instruction names files by relative paths only: out/x.txt"
    }
    assert "no-paths" in rules("Write 5.")
    assert rules("Write clean, robust code properly to /a/x.txt.", test_sh="exec /a/x.txt")["vague-words"] == (
        "words without a measure: clean, properly, robust"
    )
    assert "vague-words" not in rules("The working tree of /a/x.txt is clean.")
    assert "/a/y.txt" in rules("Copy /a/x.txt to /a/y.txt.", test_py="open('/a/x.txt')")["unmentioned"]
    assert rules("Write to /a/results.json.", test_py="open('/a/result.json')")["near-names"] == (
        "the tests name result.json, the instruction results.json"
    )


def test_notes_of_the_tests() -> None:
    template = "apt-get update\napt-get install -y curl\ncurl -LsSf https://x.invalid/install.sh | sh\n"
    said = rules(test_sh=template + "uvx --with pytest==8 pytest /tests/t.py\necho 1 >/logs/verifier/reward.txt\n")
    assert said["tests-install"].startswith("tests/test.sh fetches from a network: apt-get install, apt-get update")
    assert "set -e" in rules(test_sh="set -euo pipefail\npytest\necho 1 >/logs/verifier/reward.txt\n")["no-reward"]
    assert "exit" in rules(test_sh="[ -e /a ] || exit 3\necho 1 >/logs/verifier/reward.txt\n")["no-reward"]
    assert "writes no reward" in rules(test_sh="[ -e /a/x.txt ]\n")["no-reward"]
    assert rules(test_sh='[ -e /a/x.txt ] && r=1\necho "$r" >/logs/verifier/reward.txt\n') == {}
    assert "2026-01-31" in rules(test_py="assert date.today() > date('2026-01-31'), '/a/x.txt'")["dates"]


def test_an_output_that_is_not_named() -> None:
    def found(instruction: str, tests: str = "open('/app/out.csv')", path: str = "/app/out.csv") -> list[str]:
        return unnamed(Texts(instruction, {"test_outputs.py": tests}), [path], ["/app"])

    assert found("Summarize /app/in.csv.") == ["/app/out.csv"]
    assert found("Summarize.", "Path('/app') / 'out.csv'") == ["/app/out.csv"]
    assert found("Summarize into out.csv.") == []
    assert found("Write <name>.csv for each name.") == []
    assert found("Summarize.", "open('/app/other.csv')") == []
    assert found("Clone it to /app/caffe.", "open('/app/caffe/a/b.txt')", "/app/caffe/a/b.txt") == []
    assert found("Commit.", "open('/app/.git/HEAD')", "/app/.git/HEAD") == []


def test_an_instruction_in_which_nothing_can_be_measured() -> None:
    assert immeasurable(Texts("Make the service better, and clean it up.\n", {}))
    for measurable in ("Serve 3 users.", "Set `debug` off.", "Mend /app/run.", "Mend run.sh.", 'Print "yes".'):
        assert immeasurable(Texts(measurable, {})) == ""


@pytest.mark.parametrize(
    "script",
    [
        "cp -r /tests /app\n",
        "cp /tests/check.sh /app/ && true\ncd /app\nbash check.sh\n",
        "cd /app && pytest tests/\n",
        "cd /app\npython3 -m pytest test_outputs.py -q\n",
        "bash run-tests.sh\n",
    ],
)
def test_tests_that_run_where_the_agent_works(script: str, tmp_path: Path) -> None:
    folder = write(tmp_path, {"tests/test.sh": script, "tests/check.sh": "true\n", "tests/test_outputs.py": "x = 1\n"})
    assert [fault.defect for fault in misplaced(folder)] == ["tests-in-agent-folder"]


@pytest.mark.parametrize(
    "script",
    [
        "cd /app\nuvx -w pytest==8.4.1 pytest --ctrf /logs/verifier/ctrf.json /tests/test_outputs.py -rA\n",
        'cd "$(dirname "$0")"\npytest test_outputs.py\n',
        'HERE="$(cd "$(dirname "$0")" && pwd)"\npython3 -m pytest "$HERE/test_outputs.py"\n',
        "cd /tests && pytest test_outputs.py\n",
        "cp /tests/check.sh /tmp/check.sh\n# cp -r /tests /app\n",
        "cd /app && cargo test --release && make check\n",
    ],
)
def test_tests_that_do_not(script: str, tmp_path: Path) -> None:
    folder = write(tmp_path, {"tests/test.sh": script, "tests/check.sh": "true\n", "tests/test_outputs.py": "x = 1\n"})
    assert misplaced(folder) == []


def test_what_goes_into_the_image(tmp_path: Path) -> None:
    test = "def test_it():\n    assert open('/data/sum.txt').read() == '55'\n"
    copied = write(tmp_path / "a", {"environment/app/check.py": test, "tests/test_outputs.py": test.strip()})
    laid = write(tmp_path / "b", {"environment/Dockerfile": "FROM a:1\nCOPY --chown=1:1 x /tests/\n"})
    solution = write(tmp_path / "c", {"environment/notes.txt": SOLUTION})
    named = write(tmp_path / "d", {"environment/Dockerfile": 'FROM a:1\nCOPY ["solution", "/opt/s"]\n'})
    own = write(tmp_path / "e", {"environment/Dockerfile": "FROM a:1\nCOPY tests /app/tests\nCOPY . .\n"})
    found = [[fault.defect for fault in misplaced(folder)] for folder in (copied, laid, solution, named, own)]
    assert found == [["tests-in-agent-folder"], ["tests-in-agent-folder"], ["leaked-answer"], ["leaked-answer"], []]


def test_the_marks_of_a_failed_download() -> None:
    for line in (
        "curl: (6) Could not resolve host: astral.sh",
        "W: Failed to fetch http://mirror.example/x Temporary failure resolving 'mirror.example'",
        "E: Unable to locate package jq",
        "ERROR: No matching distribution found for pytest==8.4.1",
        "/tests/test.sh: line 12: uvx: command not found",
        "fatal: unable to access: Network is unreachable",
    ):
        assert failed_download(f"one\n{line}\ntwo\n") == line
    assert failed_download("AssertionError: 54 is not 55\nModuleNotFoundError: No module named 'x'\nFAILED\n") == ""


def test_a_shape_is_what_harbor_reads(tmp_path: Path) -> None:
    toml = 'version = "1.0"\n[environment]\nallow_internet = true\ncpus = 3\nmemory = "2G"\ntimeout = 3\n'
    shape = read_shape(write(tmp_path, {"task.toml": f"{toml}[agent]\nuser = 7\n"}))
    assert (shape.schema, shape.network, shape.agent_user) == ("1.0", True, 7)
    assert (shape.limits.cpus, shape.limits.memory_mb) == (3, 2048)
    assert "unknown-setting: task.toml: environment.timeout is no setting that Harbor knows" in shape.notes
    (tmp_path / "tests" / "link").symlink_to("/etc/passwd")
    with pytest.raises(Malformed, match="must stay within the task"):
        read_shape(tmp_path)
