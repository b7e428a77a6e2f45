"""Rows as trainers use them: loaded by `datasets`, tokenized under a chat template, and equal to the record."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trajectories import record
from trajectories.export.card import About
from trajectories.export.write import Written, write_rows
from trajectories.labels import label
from trajectories.loops import LoopRule
from trajectories.policy import load_policy
from trajectories.record import RecordError, Trajectory

Make = Callable[..., Trajectory]


@pytest.fixture
def made(trajectory: Make) -> list[Trajectory]:
    """Records that differ in every column that may be empty, and in which checks they have."""
    plain = [
        trajectory(seed=1, checks={"check_a": 1.0}),
        trajectory(seed=2, checks={"check_b": 0.0, "check_c": 1.0}, reward=0.0, cost_usd=0.25, model=None),
        trajectory(seed=3, checks={}, reward=None, digests={}, topic="bisect-regression"),
    ]
    return [plain[0], *(label(each, LoopRule(), True) for each in plain[1:])]


@pytest.fixture
def written(made: list[Trajectory], tmp_path: Path) -> Written:
    accepted = {}
    for each in made:
        folder = tmp_path / "trials" / each.id
        folder.mkdir(parents=True)
        accepted[each.id] = record.save(each, folder)
    about = About(
        name="demo",
        policy=load_policy("verified"),
        versions={"synth": "0.1.0"},
        rejected={"judge: infeasible": 2, "policy: loop": 7},
    )
    return write_rows(accepted, tmp_path / "rows", about)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` with a cache of its own; its settings are read from the environment once, at import."""
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_files_are_the_contract(written: Written, made: list[Trajectory]) -> None:
    rows_of = ["messages.jsonl", "messages.parquet", "sharegpt.jsonl", "sharegpt.parquet"]
    names = ["README.md", "dataset_info.json", "export.json", *rows_of]
    assert sorted(written.files) == names
    folder = written.files["README.md"].parent
    assert sorted(path.name for path in folder.iterdir()) == names
    assert written.rows == 3

    by_id = {each.id: each for each in made}
    rows = [json.loads(line) for line in written.files["messages.jsonl"].read_text().splitlines()]
    assert [row["id"] for row in rows] == sorted(by_id)
    for row in rows:
        source = by_id[row["id"]]
        assert list(row) == ["id", "messages", "tools", "metadata"]
        assert row["messages"] == [message.model_dump() for message in source.messages]
        wanted = {"task_id", "domain", "topic", "teacher", "scaffold", "reward", "ended", "turns", "tokens"}
        assert wanted <= set(row["metadata"])
        assert row["metadata"]["reward"] == source.reward
        assert {check["name"]: check["result"] for check in row["metadata"]["checks"]} == source.checks

    shared = [json.loads(line) for line in written.files["sharegpt.jsonl"].read_text().splitlines()]
    for line, row in zip(shared, rows, strict=True):
        assert set(line) == {"id", "conversations"}
        assert line["id"] == row["id"]
        speakers = {"user": "human", "assistant": "gpt"}
        assert line["conversations"] == [
            {"from": speakers[message["role"]], "value": message["content"]} for message in row["messages"]
        ]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("config", ["messages", "sharegpt"])
def test_datasets_loads_the_folder_and_the_lines(written: Written, config: str) -> None:
    from datasets import load_dataset

    folder = written.files["README.md"].parent
    whole = load_dataset(str(folder), config)
    assert list(whole) == ["train"]
    lines = load_dataset("json", data_files=str(written.files[f"{config}.jsonl"]), split="train")
    raw = [json.loads(line) for line in written.files[f"{config}.jsonl"].read_text().splitlines()]
    assert list(whole["train"]) == raw
    assert list(lines) == raw
    if config == "messages":
        assert list(load_dataset(str(folder))["train"]) == raw  # the default configuration


@pytest.mark.usefixtures("offline")
def test_datasets_cache_does_not_mix_two_runs(written: Written, made: list[Trajectory], tmp_path: Path) -> None:
    from datasets import load_dataset

    first = load_dataset(str(written.files["README.md"].parent), split="train")
    one = {made[0].id: tmp_path / "trials" / made[0].id / "trajectory.json"}
    other = write_rows(one, tmp_path / "other" / "rows", About(name="demo", policy=load_policy("verified")))
    second = load_dataset(str(other.files["README.md"].parent), split="train")
    assert (first.num_rows, second.num_rows) == (3, 1)


def test_no_rows_are_files_too(tmp_path: Path) -> None:
    import pyarrow.parquet

    empty = write_rows({}, tmp_path / "rows", About(name="none", policy=load_policy("everything")))
    assert empty.rows == 0
    assert pyarrow.parquet.read_table(empty.files["messages.parquet"]).num_rows == 0
    assert "0 trajectories" in empty.files["README.md"].read_text()


def test_the_card_counts_the_rows(written: Written) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(written.files["README.md"])
    assert [config["config_name"] for config in card.data.to_dict()["configs"]] == ["messages", "sharegpt"]
    for text in (
        "3 trajectories",
        "Policy `verified`",
        "| hooks | 2 |",
        "| bisect-regression | 1 |",
        "| judge: infeasible | 2 |",
        "| synth | 0.1.0 |",
        "Cost: unknown",
    ):
        assert text in card.text


def test_a_wrong_record_leaves_the_rows_as_they_were(written: Written, made: list[Trajectory], tmp_path: Path) -> None:
    folder = written.files["README.md"].parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RecordError, match="accepted as 0123"):
        write_rows(
            {"0123": tmp_path / "trials" / made[0].id / "trajectory.json"},
            folder,
            About(name="x", policy=load_policy("everything")),
        )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|end|>{% endgeneration %}"
    "{% else %}{{ message.content }}<|end|>{% endif %}{% endfor %}"
)


def test_rows_tokenize_with_the_assistant_spans_masked(written: Written) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # Bytes as tokens: every text comes back as it was.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|user|>", "<|assistant|>", "<|end|>"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, additional_special_tokens=special)

    for line in written.files["messages.jsonl"].read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        encoded = tokenizer.apply_chat_template(
            row["messages"],
            chat_template=TEMPLATE,
            tools=row["tools"] or None,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        spans: list[list[int]] = [[]]
        for token, inside in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True):
            if inside:
                spans[-1].append(token)
            elif spans[-1]:
                spans.append([])
        decoded = [tokenizer.decode(span) for span in spans if span]
        assert decoded == [m["content"] + "<|end|>" for m in row["messages"] if m["role"] == "assistant"]
