"""The settings for other trainers: their own names, our numbers, and rows that put the same text together.

`published_names.json` says where each name is declared in the tool's repository at one commit.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trajectories.sft import small
from trajectories.sft.configs import write_configs
from trajectories.sft.preparation import Example, prepare
from trajectories.sft.settings import Lora, SftSettings
from trajectories.template import Rendered, load_student_template

PUBLISHED = json.loads(Path(__file__).with_name("published_names.json").read_text())
EVERYTHING = SftSettings(
    batch=32, device_batch=4, packing=True, lora=Lora(rank=8, alpha=16, dropout=0.1), max_steps=9, save_steps=3, seed=5
)


def written(folder: Path, settings: SftSettings, examples: list[Example]) -> dict[str, dict[str, Any]]:
    files = write_configs(examples, settings, "some/model", folder)
    return {tool: yaml.safe_load(path.read_text()) for tool, path in files.items()}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    template = load_student_template(str(small.model(tmp_path / "model")))
    return prepare(small.write(tmp_path / "rows.jsonl", small.rows(2)), template, SftSettings())[0]


@pytest.mark.parametrize("tool", ["llamafactory", "axolotl"])
@pytest.mark.parametrize("settings", [SftSettings(), EVERYTHING])
def test_every_name_is_one_that_the_tool_publishes(tmp_path: Path, tool: str, settings: SftSettings) -> None:
    found = written(tmp_path, settings, [])[tool]
    assert set(found) <= set(PUBLISHED[tool]["names"])
    assert len(PUBLISHED[tool]["commit"]) == 40
    if settings is EVERYTHING:
        assert set(found) == set(PUBLISHED[tool]["names"])


def test_the_numbers_are_the_settings(tmp_path: Path) -> None:
    found = written(tmp_path, EVERYTHING, [])
    factory, axolotl = found["llamafactory"], found["axolotl"]
    assert (factory["per_device_train_batch_size"], factory["gradient_accumulation_steps"]) == (4, 8)
    assert (axolotl["micro_batch_size"], axolotl["gradient_accumulation_steps"]) == (4, 8)
    assert factory["learning_rate"] == axolotl["learning_rate"] == 5e-6
    assert factory["warmup_ratio"] == axolotl["warmup_ratio"] == 0.04
    assert factory["cutoff_len"] - 1 == axolotl["sequence_len"] == 65536  # it takes one off where it packs
    assert factory["num_train_epochs"] == axolotl["num_epochs"] == 3
    assert (factory["lora_rank"], factory["lora_alpha"], factory["lora_dropout"]) == (8, 16, 0.1)
    assert (axolotl["lora_r"], axolotl["lora_alpha"], axolotl["lora_dropout"]) == (8, 16, 0.1)
    assert factory["finetuning_type"] == axolotl["adapter"] == "lora"
    assert factory["bf16"] is axolotl["bf16"] is True
    whole = written(tmp_path, SftSettings(schedule="constant"), [])
    assert whole["llamafactory"]["finetuning_type"] == "full"
    assert "adapter" not in whole["axolotl"]
    assert whole["llamafactory"]["lr_scheduler_type"] == whole["axolotl"]["lr_scheduler"] == "constant_with_warmup"
    assert whole["llamafactory"]["cutoff_len"] == 65536


def test_llama_factory_puts_the_same_text_together(tmp_path: Path, examples: list[Example]) -> None:
    found = written(tmp_path, SftSettings(), examples)["llamafactory"]
    info = json.loads((tmp_path / "dataset_info.json").read_text())[found["dataset"]]
    assert found["template"] == "empty"
    rows = lines(tmp_path / info["file_name"])
    for row, example in zip(rows, examples, strict=True):
        turns = row[info["columns"]["messages"]]
        assert [turn[info["tags"]["role_tag"]] for turn in turns] == ["user", "assistant"] * 4
        assert "".join(turn[info["tags"]["content_tag"]] for turn in turns) == example.rendered.text
        learnt = [turn["content"] for turn in turns[1::2]]
        assert learnt == [example.rendered.text[slice(*span)] for span in example.rendered.spans]


def test_axolotl_puts_the_same_text_together(tmp_path: Path, examples: list[Example]) -> None:
    found = written(tmp_path, SftSettings(), examples)["axolotl"]
    assert found["datasets"] == [{"path": "axolotl.jsonl", "ds_type": "json", "type": "input_output"}]
    for row, example in zip(lines(tmp_path / "axolotl.jsonl"), examples, strict=True):
        assert "".join(segment["text"] for segment in row["segments"]) == example.rendered.text
        learnt = [segment["text"] for segment in row["segments"] if segment["label"]]
        assert learnt == [example.rendered.text[slice(*span)] for span in example.rendered.spans]


def test_an_answer_that_is_not_learnt_is_part_of_what_is_asked(tmp_path: Path) -> None:
    example = Example("one", Rendered("<u>a<m>no<e><u>b<m>yes<e>", ((19, 25),)), 9)
    written(tmp_path, SftSettings(), [example])
    (row,) = lines(tmp_path / "llamafactory.jsonl")
    assert row["messages"] == [
        {"role": "user", "content": "<u>a<m>no<e><u>b<m>"},
        {"role": "assistant", "content": "yes<e>"},
    ]
