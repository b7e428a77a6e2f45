"""Settings: the published recipes, and what goes over what."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from trajectories.sft.settings import Lora, SftError, SftSettings, load_settings, preset_names


def test_litecoders_recipe_is_what_it_published() -> None:
    found = load_settings("litecoder", None, {})
    assert (found.epochs, found.lr, found.schedule, found.warmup) == (3, 5e-6, "cosine", 0.04)
    assert (found.batch, found.precision, found.max_length) == (32, "bf16", 65536)
    assert found.lora is None
    assert found.target == "text"


def test_the_terminal_sft_recipes_are_what_their_configurations_say() -> None:
    gemma = load_settings("terminal-gemma", None, {})
    assert (gemma.epochs, gemma.lr, gemma.warmup, gemma.batch, gemma.max_length) == (2, 1e-5, 0.03, 16, 8192)
    assert (gemma.thinking, gemma.fallback, gemma.target) == ("off", "gemma", "json")
    qwen = load_settings("terminal-qwen", None, {})
    assert (qwen.epochs, qwen.lr, qwen.batch, qwen.max_length, qwen.packing) == (2, 2e-5, 8, 1024, True)
    lora = load_settings("terminal-lora", None, {})
    assert lora.lora == Lora(rank=16, alpha=16)
    assert (lora.batch, lora.max_length) == (64, 2048)


def test_every_preset_loads_and_the_defaults_are_whole() -> None:
    assert preset_names() == ["litecoder", "terminal-gemma", "terminal-lora", "terminal-qwen"]
    for name in preset_names():
        assert load_settings(name, None, {}) != SftSettings() or name == "litecoder"
    assert load_settings(None, None, {}) == SftSettings()


def test_flags_go_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("lr: 1.0e-4\nepochs: 5\nlora: {rank: 4}\n")
    found = load_settings("litecoder", file, {"epochs": 7})
    assert (found.epochs, found.lr, found.warmup, found.lora) == (7, 1e-4, 0.04, Lora(rank=4))
    assert load_settings(None, file, {"lora": None}).lora is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lerning_rate: 1", "lerning_rate: Extra inputs"),
        ("lr: fast", "lr: Input should be a valid number"),
        ("batch: 6\ndevice_batch: 4", "batch 6 is no multiple of device_batch 4"),
        ("lora: {rank: 0}", r"lora\.rank: "),
        ("- lr", "no mapping of settings"),
        ("{", "cannot be read"),
        ("thinking: sometimes", "thinking: "),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(SftError, match=says) as raised:
        load_settings(None, tmp_path / "wrong.yaml", {})
    assert "\n" not in str(raised.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SftError, match="no preset is called litecode; there are litecoder, "):
        load_settings("litecode", None, {})
    with pytest.raises(SftError, match=r"none\.yaml: cannot be read: No such file"):
        load_settings(None, tmp_path / "none.yaml", {})
    with pytest.raises(ValidationError):
        SftSettings(epochs=0)
