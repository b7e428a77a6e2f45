"""Rows become texts with spans; what cannot be learnt from is counted or refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from taxonomy.chat_template import TokenizerUnusable
from tests.tiny_model import TEMPLATE
from tests.trajectories.sft import small
from trajectories.replay.step import StepsError
from trajectories.sft.preparation import Prepared, check_export, data_file, file_sha256, prepare, write_examples
from trajectories.sft.settings import SftError, SftSettings
from trajectories.template import Mismatch, StudentTemplate, Thinking, load_student_template

END = "<|im_end|>"
LEAVES_END_OUT = TEMPLATE.replace(
    "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}",
    "{{ message['content'] }}{% endgeneration %}{{- '<|im_end|>' }}",
)


def template(folder: Path, source: str | None = TEMPLATE, thinking: Thinking = "stripped") -> StudentTemplate:
    return load_student_template(str(small.model(folder / "model", source)), thinking)


def prepared(folder: Path, given: list[dict[str, Any]], **settings: Any) -> tuple[list[list[str]], Prepared]:
    """What is learnt of each example, as text, and the counts."""
    chosen = SftSettings(**settings)
    examples, found = prepare(
        small.write(folder / "rows.jsonl", given), template(folder, thinking=chosen.thinking), chosen
    )
    return [[each.rendered.text[slice(*span)] for span in each.rendered.spans] for each in examples], found


def answers(row: dict[str, Any]) -> list[str]:
    return [message["content"] for message in row["messages"] if message["role"] == "assistant"]


def test_every_answer_with_its_end_is_learnt_and_nothing_else(tmp_path: Path) -> None:
    given = small.rows(3)
    learnt, found = prepared(tmp_path, given)
    assert learnt == [[f"{answer}{END}" for answer in answers(row)] for row in given]
    assert (found.rows, found.examples, found.answers, found.dropped) == (3, 3, 12, {})
    assert found.sample == learnt[0]
    assert 0 < found.learnt_tokens < found.tokens
    assert found.longest <= found.tokens


def test_both_shapes_and_parquet_give_the_same(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    given = small.rows(2)
    learnt, _ = prepared(tmp_path, given)
    speakers = {"system": "system", "user": "human", "assistant": "gpt"}
    sharegpt = [
        {
            "id": row["id"],
            "conversations": [{"from": speakers[m["role"]], "value": m["content"]} for m in row["messages"]],
        }
        for row in given
    ]
    chosen = load_student_template(str(tmp_path / "model"))
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist([{"id": row["id"], "messages": row["messages"]} for row in given]),
        tmp_path / "rows.parquet",
    )
    for file in (small.write(tmp_path / "sharegpt.jsonl", sharegpt), tmp_path / "rows.parquet"):
        examples, _ = prepare(file, chosen, SftSettings())
        assert [[e.rendered.text[a:b] for a, b in e.rendered.spans] for e in examples] == learnt


def test_json_actions_alone_are_the_target(tmp_path: Path) -> None:
    row = small.rows(1)[0]
    first = answers(row)[0]
    said = [
        "Let me see {x}.\n```json\n" + first + "\n```\nDone.",
        "I do not know.",
        '{"commands": []}',
        answers(row)[3],
    ]
    for message, content in zip((m for m in row["messages"] if m["role"] == "assistant"), said, strict=True):
        message["content"] = content
    learnt, found = prepared(tmp_path, [row], target="json")
    assert learnt == [[f"{first}{END}", f"{answers(row)[3]}{END}"]]
    assert found.dropped == {"no-action": 2}
    assert (found.answers, found.examples) == (2, 1)


def test_thinking_goes_by_policy_with_json_as_the_target(tmp_path: Path) -> None:
    row = small.rows(1)[0]
    bare = answers(row)
    for message in row["messages"]:
        if message["role"] == "assistant":
            message["content"] = f"<think>\nHm {{.\n</think>\n\nSo:\n{message['content']}"
    cases: tuple[tuple[Thinking, str, int], ...] = (
        ("off", "", 1),
        ("kept", "<think>\nHm {.\n</think>\n\n", 1),
        ("stripped", "<think>\nHm {.\n</think>\n\n", 4),
    )
    for thinking, before, count in cases:
        learnt, _ = prepared(tmp_path / thinking, [row], target="json", thinking=thinking)
        assert [text for each in learnt for text in each] == [f"{before}{answer}{END}" for answer in bare]
        assert len(learnt) == count


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("off", "kept", "stripped"):
        (tmp_path / name).mkdir()


def test_what_is_too_long_is_counted_and_what_fits_before_it_is_kept(tmp_path: Path) -> None:
    given = small.rows(1)
    chosen = template(tmp_path)
    (example,), _ = prepare(small.write(tmp_path / "rows.jsonl", given), chosen, SftSettings())
    ends = [chosen.count(example.rendered.text[:end]) or 0 for _, end in example.rendered.spans]
    (cut,), found = prepare(tmp_path / "rows.jsonl", chosen, SftSettings(max_length=ends[1]))
    assert cut.tokens == ends[1]
    assert len(cut.rendered.spans) == 2
    assert cut.rendered.text.endswith(END)
    assert found.dropped == {"too-long": 2}
    with pytest.raises(SftError, match=r"nothing to learn from \(too-long 4\)"):
        prepare(tmp_path / "rows.jsonl", chosen, SftSettings(max_length=ends[0] - 1))


def test_rows_that_say_nothing_are_counted(tmp_path: Path) -> None:
    good = small.rows(1)[0]
    odd = [
        good,
        {"id": "silent", "messages": good["messages"][:2]},
        {"id": "empty", "messages": []},
        {"id": "stranger", "messages": [{"role": "narrator", "content": "Once."}]},
    ]
    learnt, found = prepared(tmp_path, odd)
    assert len(learnt) == 1
    assert found.rows == 4
    assert found.dropped == {"no-messages": 1, "unknown-speaker": 1, "no-answer": 1}


def test_a_row_that_the_template_does_not_take_is_counted_and_a_file_of_them_refused(tmp_path: Path) -> None:
    picky = "{% if 'bad' in messages[-1].content %}{{ raise_exception('bad') }}{% endif %}" + TEMPLATE
    good, bad = small.rows(2)
    bad["messages"][1]["content"] = "bad"
    chosen = template(tmp_path, picky)
    _, found = prepare(small.write(tmp_path / "rows.jsonl", [good, bad]), chosen, SftSettings())
    assert found.dropped == {"template": 1}
    with pytest.raises(SftError, match=r"nothing to learn from \(template 1\); the chat template does not render: bad"):
        prepare(small.write(tmp_path / "rows.jsonl", [bad]), chosen, SftSettings())


def test_a_template_whose_marks_leave_the_end_of_turn_out_is_refused(tmp_path: Path) -> None:
    chosen = template(tmp_path, LEAVES_END_OUT)
    with pytest.raises(SftError, match=r"generation marks leave the end-of-turn token <\|im_end\|> out"):
        prepare(small.write(tmp_path / "rows.jsonl", small.rows(1)), chosen, SftSettings())


def test_without_an_end_or_a_tokenizer_nothing_is_prepared(tmp_path: Path) -> None:
    file = small.write(tmp_path / "rows.jsonl", small.rows(1))
    endless = template(tmp_path, "{% for m in messages %}{{ m.content }}{% endfor %}")
    with pytest.raises(TokenizerUnusable, match="no end-of-turn token"):
        prepare(file, endless, SftSettings())
    bare = load_student_template(str(small.model(tmp_path / "bare", tokenizer=False)))
    with pytest.raises(TokenizerUnusable, match=r"no tokenizer\.json"):
        prepare(file, bare, SftSettings())


def test_where_rows_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SftError, match=r"--data .*: neither a file of rows nor a folder with messages\.jsonl"):
        data_file(tmp_path)
    (tmp_path / "rows").mkdir()
    inner = small.write(tmp_path / "rows/messages.jsonl", small.rows(1))
    assert data_file(tmp_path) == inner
    outer = small.write(tmp_path / "sharegpt.jsonl", small.rows(1))
    assert data_file(tmp_path) == outer
    assert data_file(inner) == inner
    with pytest.raises(StepsError, match="line 1: not JSON"):
        outer.write_text("{\n")
        prepare(outer, template(tmp_path), SftSettings())
    with pytest.raises(SftError, match="cannot be read: No such file"):
        file_sha256(tmp_path / "none.jsonl")


def test_an_export_for_another_template_is_refused(tmp_path: Path) -> None:
    audit = template(tmp_path).audit
    file = small.write(tmp_path / "messages.jsonl", small.rows(1))
    check_export(file, audit)
    manifest = tmp_path / "export.json"
    manifest.write_text(json.dumps({"audit": audit.model_dump()}))
    check_export(file, audit)
    manifest.write_text(json.dumps({"files": []}))
    check_export(file, audit)
    manifest.write_text(json.dumps({"audit": {**audit.model_dump(), "thinking": "off"}}))
    with pytest.raises(Mismatch, match="treatment of thinking"):
        check_export(file, audit)
    manifest.write_text("[")
    with pytest.raises(SftError, match=r"export\.json: cannot be read"):
        check_export(file, audit)


def test_examples_are_written_the_same_each_time(tmp_path: Path) -> None:
    chosen = template(tmp_path)
    file = small.write(tmp_path / "rows.jsonl", small.rows(2))
    for name in ("one", "two"):
        write_examples(prepare(file, chosen, SftSettings())[0], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    line = json.loads((tmp_path / "one").read_text().splitlines()[0])
    assert set(line) == {"id", "text", "spans"}
