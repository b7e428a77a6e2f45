"""The same training as settings for LLaMA-Factory and axolotl, on the same texts with the same spans.

Both tools are given the rendered texts, not messages: what they would render themselves differs from what is asked in
a replay. LLaMA-Factory's template `empty` puts turns behind one another as they are and learns every second one;
axolotl's `input_output` is made of segments that are learnt or not.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from trajectories.record import write_text
from trajectories.sft.preparation import Example
from trajectories.sft.settings import SftSettings

_SCHEDULES = {"constant": "constant_with_warmup"}


def write_configs(examples: Iterable[Example], settings: SftSettings, model: str, folder: Path) -> dict[str, Path]:
    """Write `llamafactory.yaml`, `dataset_info.json` and `axolotl.yaml` with their rows into a folder.

    Returns:
        The two settings files, by the tool's name. `llamafactory-cli train FILE` and `axolotl train FILE` are run in
        the folder.
    """
    texts = [(example.rendered.text, example.rendered.spans) for example in examples]
    _jsonl(folder / "llamafactory.jsonl", ({"messages": _turns(*each)} for each in texts))
    _jsonl(folder / "axolotl.jsonl", ({"segments": _segments(*each)} for each in texts))
    write_text(folder / "dataset_info.json", json.dumps(dataset_info(), indent=1) + "\n")
    files = {"llamafactory": folder / "llamafactory.yaml", "axolotl": folder / "axolotl.yaml"}
    write_text(files["llamafactory"], yaml.safe_dump(llamafactory(settings, model), sort_keys=False))
    write_text(files["axolotl"], yaml.safe_dump(axolotl(settings, model), sort_keys=False))
    return files


def dataset_info() -> dict[str, Any]:
    """LLaMA-Factory's description of the rows (its `data/README.md`)."""
    return {
        "synth": {
            "file_name": "llamafactory.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
        }
    }


def llamafactory(settings: SftSettings, model: str) -> dict[str, Any]:
    """Settings for `llamafactory-cli train` on one device; with several, lower the accumulation."""
    found: dict[str, Any] = {
        "model_name_or_path": model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora" if settings.lora else "full",
        "dataset_dir": ".",
        "dataset": "synth",
        "template": "empty",
        "cutoff_len": settings.max_length + settings.packing,  # it takes one off where it packs
        "packing": settings.packing,
        "neat_packing": settings.packing,
        "output_dir": "llamafactory",
        "per_device_train_batch_size": settings.device_batch,
        "gradient_accumulation_steps": settings.batch // settings.device_batch,
        "learning_rate": settings.lr,
        "lr_scheduler_type": _SCHEDULES.get(settings.schedule, settings.schedule),
        "warmup_ratio": settings.warmup,
        "weight_decay": settings.weight_decay,
        "num_train_epochs": settings.epochs,
        "bf16": settings.precision == "bf16",
        "disable_gradient_checkpointing": not settings.gradient_checkpointing,
        "seed": settings.seed,
        "logging_steps": 1,
        "save_strategy": "steps" if settings.save_steps else "epoch",
        "report_to": "none",
    }
    if settings.max_steps:
        found["max_steps"] = settings.max_steps
    if settings.save_steps:
        found["save_steps"] = settings.save_steps
    if settings.lora:
        found |= {
            "lora_rank": settings.lora.rank,
            "lora_alpha": settings.lora.alpha,
            "lora_dropout": settings.lora.dropout,
            "lora_target": "all",
        }
    return found


def axolotl(settings: SftSettings, model: str) -> dict[str, Any]:
    """Settings for `axolotl train` on one device; with several, lower the accumulation."""
    found: dict[str, Any] = {
        "base_model": model,
        "datasets": [{"path": "axolotl.jsonl", "ds_type": "json", "type": "input_output"}],
        "train_on_inputs": False,
        "dataset_prepared_path": "axolotl-prepared",
        "output_dir": "axolotl",
        "sequence_len": settings.max_length,
        "excess_length_strategy": "raise",
        "sample_packing": settings.packing,
        "micro_batch_size": settings.device_batch,
        "gradient_accumulation_steps": settings.batch // settings.device_batch,
        "num_epochs": settings.epochs,
        "learning_rate": settings.lr,
        "lr_scheduler": _SCHEDULES.get(settings.schedule, settings.schedule),
        "warmup_ratio": settings.warmup,
        "weight_decay": settings.weight_decay,
        "optimizer": "adamw_torch",
        "bf16": settings.precision == "bf16",
        "gradient_checkpointing": settings.gradient_checkpointing,
        "seed": settings.seed,
        "logging_steps": 1,
        "save_strategy": "steps" if settings.save_steps else "epoch",
        "auto_resume_from_checkpoints": True,
    }
    if settings.max_steps:
        found["max_steps"] = settings.max_steps
    if settings.save_steps:
        found["save_steps"] = settings.save_steps
    if settings.lora:
        found |= {
            "adapter": "lora",
            "lora_r": settings.lora.rank,
            "lora_alpha": settings.lora.alpha,
            "lora_dropout": settings.lora.dropout,
            "lora_target_linear": True,
        }
    return found


def _turns(text: str, spans: tuple[tuple[int, int], ...]) -> list[dict[str, str]]:
    turns, end = [], 0
    for start, stop in spans:
        turns += [{"role": "user", "content": text[end:start]}, {"role": "assistant", "content": text[start:stop]}]
        end = stop
    return turns


def _segments(text: str, spans: tuple[tuple[int, int], ...]) -> list[dict[str, Any]]:
    return [{"label": turn["role"] == "assistant", "text": turn["content"]} for turn in _turns(text, spans)]


def _jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
