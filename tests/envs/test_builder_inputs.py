"""Which of the files that the checks read are the agent's to change, and which are not."""

import tarfile
from io import BytesIO

from envs.execution import graded_inputs
from envs.state import StateLayer, canonical


def layer(files: dict[str, str | None], deletions: tuple[str, ...] = (), mode: int = 0o644) -> StateLayer:
    """A layer of files; one without content is a symbolic link."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.mode = mode
            if text is None:
                member.type, member.linkname = tarfile.SYMTYPE, "elsewhere"
            member.size = len(text or "")
            tar.addfile(member, BytesIO((text or "").encode()))
    return StateLayer(canonical(buffer.getvalue()), deletions)


STATE = layer({"app/a": "1", "app/b": "2", "app/c/d": "3", "app/e": None, "app/f": "6", "app/g": "7"})
ALL = ("/app/a", "/app/b", "/app/c/d", "/app/e", "/app/f", "/app/out", "/etc/passwd")


def test_inputs_are_what_was_read_and_stays_as_it_was() -> None:
    end = layer({"app/b": "two", "app/f": "6", "app/out": "9"}, ("/app/c",), 0o600)
    assert graded_inputs(ALL, STATE, end) == ("/app/a", "/app/f")
    assert graded_inputs(["/app/g"], STATE, end) == ("/app/g",)
    assert graded_inputs([], STATE, end) == ()


def test_what_has_become_a_link_is_none_and_nothing_is_where_the_end_is_not_known() -> None:
    assert graded_inputs(ALL, STATE, layer({"app/a": None})) == ("/app/b", "/app/c/d", "/app/f")
    assert graded_inputs(ALL, STATE, None) == ()
