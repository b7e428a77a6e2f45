"""Steps from trajectories: what becomes a step, what is left out and counted, and that the set is fixed."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from trajectories.record import Trajectory, Turn
from trajectories.replay.build import StepSet, card_of, check_fixed, write_steps
from trajectories.replay.conversations import Conversation, of_record, read_conversations
from trajectories.replay.step import StepsError, digest, read_steps

Make = Callable[..., Trajectory]


def said(*keystrokes: str, complete: bool = False) -> str:
    commands = [{"keystrokes": one, "duration": 0.1} for one in keystrokes]
    return json.dumps({"analysis": "a", "plan": "p", "commands": commands, "task_complete": complete})


def conversation(task: str, *answers: str, ident: str = "", **more: Any) -> Conversation:
    messages: list[dict[str, str]] = []
    for number, answer in enumerate(answers):
        messages += [{"role": "user", "content": f"{task} {number}"}, {"role": "assistant", "content": answer}]
    known = {"run": "r", "source": "r", "domain": "", "topic": "", "scaffold": ""}
    return Conversation(id=ident or task, task_id=task, messages=tuple(messages), **{**known, **more})


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_record_becomes_the_published_fields(trajectory: Make, tmp_path: Path) -> None:
    turns = [Turn(emitted=said("ls -la\n", "\n")), Turn(emitted=said("make\ncat log\n", complete=True))]
    record = trajectory(turns)
    made = write_steps([of_record(record, "demo")], tmp_path / "steps.jsonl", Counter())
    first, last = read_steps(tmp_path / "steps.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert (made.steps, made.tasks, made.trajectories) == (2, 1, 1)
    assert first.messages == [{"role": "user", "content": "screen 0"}]
    assert last.messages == [message.model_dump() for message in record.messages[:-1]], "all that was said before"
    assert rows[1]["prompt"] == f"USER:\nscreen 0\n\nASSISTANT:\n{turns[0].emitted}\n\nUSER:\nscreen 1"
    assert rows[0] == {
        "task_id": record.task_id,
        "sample_idx": 0,
        "step_idx": 0,
        "total_steps": 2,
        "is_final_step": False,
        "source": "demo",
        "source_group": "demo",
        "prompt": "USER:\nscreen 0",
        "messages": first.messages,
        "ref_raw": turns[0].emitted,
        "ref_parse_ok": True,
        "ref_analysis": "a",
        "ref_plan": "p",
        "ref_task_complete": False,
        "ref_commands": [{"keystrokes": "ls -la\n", "duration": 0.1}, {"keystrokes": "\n", "duration": 0.1}],
        "ref_command_units": ["ls -la", "<WAIT>"],
        "domain": "version_control",
        "topic": "hooks",
        "scaffold": "terminus-2 2.0.0",
        "trajectory": record.id,
        "run": "demo",
    }
    assert (rows[1]["is_final_step"], rows[1]["ref_task_complete"]) == (True, True)
    assert rows[1]["ref_command_units"] == ["make", "cat log"]


def test_what_cannot_be_scored_is_left_out_and_counted_and_the_rest_keeps_its_number(tmp_path: Path) -> None:
    one = conversation("a", said("ls\n"), "no JSON", said(), said("pwd\n"))
    made = write_steps([one], tmp_path / "s.jsonl", Counter({"no-messages": 2}))
    assert [(step.step_idx, step.total_steps) for step in read_steps(tmp_path / "s.jsonl")] == [(0, 4), (3, 4)]
    assert made.steps_dropped == {"bad-reference": 1, "no-commands": 1}
    assert made.trajectories_dropped == {"no-messages": 2}
    opens = Conversation("b", "b", ({"role": "assistant", "content": said("ls\n")},), "r", "r", "", "", "")
    with pytest.raises(StepsError, match="no step is left to ask; no-question 1"):
        write_steps([opens], tmp_path / "none.jsonl", Counter())
    assert not (tmp_path / "none.jsonl").exists()
    assert list(tmp_path.glob("*.tmp")) == []


def test_the_set_does_not_depend_on_the_order_and_is_fixed(tmp_path: Path) -> None:
    some = [
        conversation("b", said("id\n")),
        conversation("a", said("ls\n"), ident="2"),
        conversation("a", said("pwd\n"), ident="1"),
    ]
    one = write_steps(some, tmp_path / "one.jsonl", Counter())
    other = write_steps(some[::-1], tmp_path / "other.jsonl", Counter())
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    assert one == other == StepSet.model_validate_json(card_of(tmp_path / "one.jsonl").read_bytes())
    steps = read_steps(tmp_path / "one.jsonl")
    assert [(step.task_id, step.sample_idx, step.trajectory) for step in steps] == [
        ("a", 0, "1"),
        ("a", 1, "2"),
        ("b", 0, "b"),
    ]
    assert check_fixed(tmp_path / "one.jsonl", steps) == one.steps_sha256 == digest(steps)
    with pytest.raises(StepsError, match="was changed after it was built"):
        check_fixed(tmp_path / "one.jsonl", steps[1:])
    card_of(tmp_path / "one.jsonl").write_text("{}")
    with pytest.raises(StepsError, match="does not describe the set of steps"):
        check_fixed(tmp_path / "one.jsonl", steps)
    card_of(tmp_path / "one.jsonl").unlink()
    assert check_fixed(tmp_path / "one.jsonl", steps[1:]) == digest(steps[1:]), "a set that others made has none"


def test_what_was_trained_on_and_what_is_there_twice_is_left_out(tmp_path: Path) -> None:
    known = conversation("task-a", said("ls\n"), ident="x", domain="security")
    again = conversation("x", said("ls\n"), ident="x")._replace(messages=known.messages)
    trained = conversation("task-t", said("id\n"))
    same_words = conversation("other", said("id -u\n"))._replace(
        messages=({"role": "user", "content": "task-t 0"}, {"role": "assistant", "content": said("id -u\n")})
    )
    made = write_steps([again, known, trained, same_words], tmp_path / "s.jsonl", Counter(), without=[trained])
    assert made.trajectories_dropped == {"duplicate": 1, "trained-on": 2}
    (step,) = read_steps(tmp_path / "s.jsonl")
    assert (step.task_id, step.domain) == ("task-a", "security"), "the row that more is known of stays"


def test_rows_of_strangers(tmp_path: Path) -> None:
    sharegpt = {
        "id": "lc-1",
        "conversations": [
            {"from": "system", "value": "S"},
            {"from": "human", "value": "Q"},
            {"from": "gpt", "value": said("ls\n")},
        ],
    }
    parts = [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}]
    chat = {
        "messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": said("w\n")}],
        "task_id": 7,
        "domain": "games",
        "_source_file": "synthetic/easy/file_ops",
    }
    tool = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": None, "tool_calls": []}]}
    bad = [{"text": "nothing"}, {"conversations": [{"from": "narrator", "value": "once"}]}, {"messages": ["Q"]}]
    for path in (
        lines(tmp_path / "rows.jsonl", sharegpt, chat, tool, *bad),
        tmp_path / "rows.json",
    ):
        if path.suffix == ".json":
            path.write_text(json.dumps([sharegpt, chat, tool, *bad]))
        found, dropped = read_conversations(path)
        assert dropped == {"no-messages": 2, "unknown-speaker": 1}
        assert [one.task_id for one in found] == ["lc-1", "7", "rows-00003"]
        assert [message["role"] for message in found[0].messages] == ["system", "user", "assistant"]
        assert found[1].messages[0]["content"] == "one\ntwo"
        assert (found[1].source, found[1].domain) == ("synthetic/easy/file_ops", "games")
        made = write_steps(found, tmp_path / "steps.jsonl", Counter(dropped))
        assert made.steps_dropped == {"bad-reference": 1}, "an answer that is a call and no text"
        assert {step.source_group for step in read_steps(tmp_path / "steps.jsonl")} == {"rows", "file_ops"}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([sharegpt]), tmp_path / "rows.parquet")
    assert [one.task_id for one in read_conversations(tmp_path / "rows.parquet")[0]] == ["lc-1"]


def test_halves_of_characters_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": '
        + json.dumps(said("ls\n"))
        + "}]}\n"
    )
    write_steps(read_conversations(tmp_path / "r.jsonl")[0], tmp_path / "s.jsonl", Counter())
    assert read_steps(tmp_path / "s.jsonl")[0].messages == [{"role": "user", "content": "?"}]


@pytest.mark.parametrize(
    ("name", "content", "said_line"),
    [
        ("none.jsonl", None, "cannot be read: No such file"),
        ("empty.jsonl", "\n", "holds no row"),
        ("rows.jsonl", "{\n", "line 1: not JSON"),
        ("rows.json", "{}", "not an array of objects"),
        ("rows.json", "[", "cannot be read"),
        ("rows.parquet", "no parquet", "cannot be read"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: str | None, said_line: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(StepsError, match=said_line) as caught:
        read_conversations(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_set_of_steps_is_called_jsonl(tmp_path: Path) -> None:
    with pytest.raises(StepsError, match=r"is a \.jsonl file"):
        write_steps([conversation("a", said("ls\n"))], tmp_path / "steps.json", Counter())
