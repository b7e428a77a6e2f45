"""What counts as a difference between two end states, and what does not."""

from trajectories.replay.end_state import Differences, EndState, Entry, Shell, differences, stable, variables


def entry(content: str = "x", mode: int = 0o644, uid: int = 0) -> Entry:
    return Entry(b"0", mode, uid, 0, content)


def ended(files: dict[str, Entry] | None = None, **shell: object) -> EndState:
    known: dict[str, object] = {"alive": True, "cwd": "/app", "variables": {"A": "1"}}
    return EndState(files or {}, Shell(**{**known, **shell}))  # type: ignore[arg-type]


def test_files_differ_by_presence_content_mode_and_owner() -> None:
    left = ended({"/same": entry(), "/gone": entry(), "/text": entry("a"), "/mode": entry(), "/owner": entry()})
    right = ended(
        {"/same": entry(), "/new": entry(), "/text": entry("b"), "/mode": entry(mode=0o755), "/owner": entry(uid=1)}
    )
    assert differences(left, right).files == ["/gone", "/mode", "/new", "/owner", "/text"]
    assert not differences(left, left)


def test_shells_differ_by_place_variables_front_and_processes() -> None:
    plain = ended()
    for other, said in (
        (ended(cwd="/"), ["working directory"]),
        (ended(front="less", variables=None), ["program in front", "prompt"]),
        (ended(variables={"A": "2", "B": ""}), ["$A", "$B"]),
        (ended(processes=("sleep 9",)), ["process sleep #"]),
        (ended(alive=False), ["session closed"]),
    ):
        assert differences(plain, other).shell == said
        assert differences(other, plain).shell == said
    assert not differences(ended(processes=("serve --pid 12",)), ended(processes=("serve --pid 7",)))
    assert differences(ended(processes=("a", "a")), ended(processes=("a",))).shell == ["process a"]


def test_what_two_runs_of_one_command_differ_in_is_left_out() -> None:
    once = ended({"/log": entry("1"), "/run-20250101.txt": entry(), "/kept": entry()}, variables={"AT": "1"})
    again = ended({"/log": entry("2"), "/run-20250102.txt": entry(), "/kept": entry()}, variables={"AT": "2"})
    student = ended({"/log": entry("3"), "/run-20250103.txt": entry()}, variables={"AT": "3"})
    own = differences(once, again)
    assert own.files == ["/log", "/run-20250101.txt", "/run-20250102.txt"]
    assert stable(differences(once, student), own, once, again) == Differences(["/kept"], [])


def test_a_path_that_both_runs_made_has_no_like() -> None:
    # Its content is unstable, its name is not: a file of another number is another file.
    once, again = ended({"/v1": entry("a")}), ended({"/v1": entry("b")})
    student = ended({"/v1": entry("c"), "/v2": entry()})
    assert stable(differences(once, student), differences(once, again), once, again).files == ["/v2"]


def test_variables_as_bash_tells_them() -> None:
    told = (
        'declare -x A="1"\ndeclare -x OLDPWD\ndeclare -x TEXT="two\nlines"\ndeclare -rx SHLVL="1"\ndeclare -rx Z="3"\n'
    )
    assert variables(told) == {
        "A": 'declare -x A="1"',
        "TEXT": 'declare -x TEXT="two\nlines"',
        "Z": 'declare -rx Z="3"',
    }
    assert variables("") == {}
