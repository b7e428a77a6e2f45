"""What the gates tell from texts alone: uses of the clock, names in an instruction, parts at fault, leaks."""

import io
import tarfile

import pytest

from envs.certificate import GateResult
from envs.gates.clock import across, declared
from envs.gates.derived import asked, chosen_inputs, names, spoiled, tampered
from envs.gates.fault import of_reference
from envs.gates.leaks import answers, copied, texts
from envs.gates.outputs import EndState, contents, differing, internal, rewritten
from envs.gates.stated import unstated
from envs.state import StateLayer, canonical


def tar_of(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for path, target in (links or {}).items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.linkname = tarfile.LNKTYPE, target.lstrip("/")
            tar.addfile(member)
    return canonical(buffer.getvalue())


def an_end(created: dict[str, bytes], modified: dict[str, bytes] | None = None) -> EndState:
    changed = modified or {}
    return EndState(StateLayer(tar_of({**created, **changed})), created, changed)


@pytest.mark.parametrize(
    ("solution", "checks", "said"),
    [
        ("d=$(date +%F)", "", ["solution: date"]),
        ("echo $RANDOM; head -c 3 /dev/urandom", "", ["solution: $RANDOM", "solution: /dev/urandom"]),
        ("", "now = time.time()\nx = random.choice(y)", ["checks: time.time", "checks: random"]),
        ("", "random.seed(3)\nx = random.choice(y)", []),
        ("mktemp -d; git commit --date=x; cp update-date.sh x # date +%F", "# time.time()", ["solution: date"]),
        ("cut -d, -f2 dates.csv; echo 'the date'", "assert datetime.date(2020, 1, 1)", []),
    ],
)
def test_clock_and_chance_are_declared(solution: str, checks: str, said: list[str]) -> None:
    assert declared(solution, checks) == said


def test_a_check_that_holds_the_clock_against_a_programs_is_told_from_one_that_does_not() -> None:
    checks = (
        "def run(x):\n    return subprocess.run(x)\ndef now():\n    return time.time()\n"
        "def check_a():\n    assert now() < 9\ndef check_b():\n    assert now() < run('date')\n"
        "def check_c():\n    run('x')\n"
    )
    assert [across(checks, f"check_{one}") for one in "abcz"] == [False, True, False, False]


@pytest.mark.parametrize(
    ("instruction", "path", "named"),
    [
        ("Write `/app/out.json`.", "/app/out.json", True),
        ("Write out.json.", "/app/out.json", True),
        ("Write layout.json.", "/app/out.json", False),
        ("Write out.json.bak", "/app/out.json", False),
        ("The folder /app/out.json/x", "/srv/out.json", True),
    ],
)
def test_an_instruction_names_a_file_by_path_or_name(instruction: str, path: str, named: bool) -> None:
    assert names(instruction, path) is named


def test_what_is_asked_for_are_named_outputs_and_else_those_that_are_opened() -> None:
    end = an_end({"/a/report.txt": b"1", "/a/log": b"2"}, {"/a/config": b"3"})
    assert asked(end, "Write report.txt and mend config.", ()) == ["/a/report.txt"]
    assert asked(end, "Mend config.", ()) == ["/a/config"]
    assert asked(end, "Do it.", ("/a/log",)) == ["/a/config", "/a/log", "/a/report.txt"]
    assert asked(end, "Do it.", ("/elsewhere",)) == []


def test_a_wrong_output_differs_from_the_right_one_in_content_alone() -> None:
    end = an_end({"/a/report.csv": b"x,1\n"})
    state = {"/a/x.csv": b"x,1\n", "/b/y.csv": b"y\n", "/a/notes.txt": b"?\n"}
    instruction = "Write report.csv, like:\n\n```\nx,7\n```\n"
    plans = spoiled(end, ["/a/report.csv"], state, instruction)
    made = {kind: contents(plan.laid.tar) for kind, plan in plans.items() if not isinstance(plan, str) and plan.laid}
    assert made == {
        "empty": {"/a/report.csv": b""},
        "constant": {"/a/report.csv": b"0\n"},
        # Not the twin: a copy that is the output itself is for the leaks to judge.
        "copied-input": {"/a/report.csv": b"y\n"},
        "example": {"/a/report.csv": b"x,7\n"},
    }
    given = spoiled(end, ["/a/report.csv"], {}, "Write report.csv:\n\n```\nx,1\n```\n")
    assert isinstance(given["example"], str)
    assert isinstance(given["copied-input"], str)


def test_an_input_is_tampered_with_by_its_digits_or_by_half() -> None:
    state = StateLayer(tar_of({"/a": b"x 19\n", "/b": b"words\n", "/c": b""}))
    inputs = {path: tampered(path, state, content, "true", None) for path, content in contents(state.tar).items()}
    made = [plan if isinstance(plan, str) else contents(plan.laid.tar) for plan in inputs.values() if plan]  # type: ignore[union-attr]
    assert made == [{"/a": b"x 20\n"}, {"/b": b"wor"}, "the input has nothing that could be changed"]
    assert chosen_inputs(["/a", "/b", "/c"], contents(state.tar), "Read b.") == ["/b", "/a"]


def test_hard_links_have_content_and_are_rewritten_alone() -> None:
    tar = tar_of({"/a": b"1"}, {"/b": "/a"})
    assert contents(tar) == {"/a": b"1", "/b": b"1"}
    assert contents(rewritten(tar, {"/b": b"2"})) == {"/a": b"1", "/b": b"2"}
    assert contents(rewritten(tar, {}, only=["/b"])) == {"/b": b"1"}


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/a/.git/HEAD", True), ("/srv/x.git/objects/0e/c3", True), ("/srv/x.git/hooks/pre-receive", False),
        ("/a/__pycache__/b.pyc", True), ("/a/.gitignore", False),
    ],
)  # fmt: skip
def test_a_version_controls_own_files_are_no_outputs(path: str, own: bool) -> None:
    assert internal(path) is own


def test_differing_outputs_are_those_that_two_runs_disagree_on() -> None:
    one, other = an_end({"/a": b"1", "/b": b"2"}), an_end({"/a": b"1", "/c": b"2"}, {"/d": b"4"})
    assert differing(one, other) == ["/b", "/c", "/d"]


def test_files_that_checks_open_must_be_named_by_name_pattern_or_folder() -> None:
    end = an_end({"/app/out/ann.txt": b"1", "/app/out/bo.txt": b"2", "/app/sum.txt": b"3", "/app/log-07.txt": b"4"})
    read, checks = list(end.created), "ann.txt bo.txt sum.txt log-07.txt x.txt y.txt"
    assert unstated(end, read, "Do it.", checks) == sorted(read)
    assert unstated(end, read, "Write /app/sum.txt, log-NN.txt and one for each user in /app/out.", checks) == []
    assert unstated(end, read, "Write sum.txt, log-<day>.txt and <user>.txt.", checks) == []
    assert unstated(end, ["/app/sum.txt"], "Write into /app.", checks) == ["/app/sum.txt"]
    assert unstated(end, read, "Do it.", "for name in os.listdir('/app')") == []
    deep = an_end({"/srv/back/a/x.txt": b"1", "/srv/back/b/c/y.txt": b"2"})
    assert unstated(deep, list(deep.created), "Restore all of it to /srv/back.", checks) == []
    assert unstated(deep, list(deep.created), "Restore all of it.", checks) == list(deep.created)


SCRIPT = "#!/bin/bash\nset -e\ncd /app/repo\ngit merge --no-ff feature\ngit branch -d feature\nmake -C src install\n"


def test_texts_of_solution_and_checks_are_found_and_what_it_writes_is_not() -> None:
    checks = "def check_a():\n    assert 1 + 1 == 2\ndef check_b():\n    assert 2 + 2 == 4\n"
    state = {"/home/.history": SCRIPT.encode(), "/opt/t.py": checks.encode(), "/x": b"git branch -d feature\n"}
    assert texts(state, SCRIPT, checks) == [
        "/home/.history holds 3 of 3 lines of the solution", "/opt/t.py holds 4 of 4 lines of the checks",
    ]  # fmt: skip
    program = "".join(f"a long line of a program {number}\n" for number in range(9))
    writes = f"cat >/app/x.py <<'END'\n{program}END\npython3 /app/x.py\n"
    assert texts({"/app/x.py": program.encode()}, writes, "") == []


def test_an_answer_is_a_leak_unless_it_is_given_or_copying_is_the_task() -> None:
    end = an_end({"/app/sum.txt": b"37\n"})
    state = {"/app/expected/sum.txt": b"37\n"}
    assert answers(state, end, "Write sum.txt.") == [
        "/app/expected/sum.txt is the same as /app/sum.txt, which the reference creates"
    ]
    assert answers(state, end, "Write sum.txt as in /app/expected/sum.txt.") == []
    assert answers({"/data/x": b"37\n"}, end, "Write sum.txt.") == []
    assert not isinstance(copied({"/data/x": b"37\n"}, end, "Write sum.txt."), str)
    assert isinstance(copied({"/data/x": b"37\n"}, end, "Restore sum.txt."), str)
    assert isinstance(copied({"/data/x": b"38\n"}, end, "Write sum.txt."), str)


@pytest.mark.parametrize(
    ("exit_code", "message", "parts"),
    [
        (1, "KeyError: 'x' (line 3)", ("solution", "state", "tests")),
        (0, "KeyError: 'x' (line 3)", ("tests", "solution", "state")),
        (0, "TimeoutExpired: x", ("solution", "tests", "state")),
        (0, "JSONDecodeError: x", ("solution", "tests", "state")),
        (0, "the sum is another", ("solution", "tests", "state")),
        (0, "Note: the sum is another", ("solution", "tests", "state")),
    ],
)
def test_the_part_at_fault_follows_from_what_was_seen(exit_code: int, message: str, parts: tuple[str, ...]) -> None:
    result = GateResult(
        gate="reference", name="1", passed=False, expected=1, reward=0, checks={"check_a": 0},
        messages={"check_a": message}, exit_code=exit_code, seconds=1,
    )  # fmt: skip
    assert of_reference([result, result]).parts == parts
