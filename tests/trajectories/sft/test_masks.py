"""The worker's masks, with transformers' own tokenizers: the tokens that are learnt are the spans, and nothing else."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.trajectories.sft import small
from trajectories.sft.preparation import prepare
from trajectories.sft.settings import SftSettings
from trajectories.sft.sft_worker import decoded_spans, labelled, last_checkpoint, refuse_endless, refuse_too_long
from trajectories.template import load_student_template


def tokenizer(folder: Path) -> object:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_the_kept_labels_decode_to_the_spans(tmp_path: Path) -> None:
    folder = small.model(tmp_path / "model")
    examples, _ = prepare(
        small.write(tmp_path / "rows.jsonl", small.rows(8)), load_student_template(str(folder)), SftSettings()
    )
    theirs = tokenizer(folder)
    for example in examples:
        text, spans = example.rendered
        row = labelled(theirs, {"id": example.id, "text": text, "spans": spans})
        assert decoded_spans(theirs, row) == [text[start:end] for start, end in spans]
        assert len(row["input_ids"]) == len(row["labels"]) == example.tokens
        assert all(label in (-100, token) for label, token in zip(row["labels"], row["input_ids"], strict=True))
        assert theirs.decode(row["input_ids"]) == text  # type: ignore[attr-defined]


def test_a_prompts_tokens_are_those_that_it_has_when_asked(tmp_path: Path) -> None:
    folder = small.model(tmp_path / "model")
    theirs = tokenizer(folder)
    # The prompt's last token and the answer's first would be one token if the text were tokenised in one.
    path = folder / "tokenizer.json"
    made = json.loads(path.read_text())
    newline, token = made["model"]["vocab"]["Ċ"], "ĊĊ"
    made["model"]["vocab"][token] = max(made["model"]["vocab"].values()) + 1
    made["model"]["merges"].append(["Ċ", "Ċ"])
    path.write_text(json.dumps(made))
    theirs = tokenizer(folder)
    text = "<|im_start|>assistant\n\nyes<|im_end|>"
    begins = text.index("\n") + 1
    row = labelled(theirs, {"id": "one", "text": text, "spans": [(begins, len(text))]})
    assert row["input_ids"][: row["labels"].count(-100)] == theirs(text[:begins])["input_ids"]  # type: ignore[operator]
    assert row["labels"][row["labels"].count(-100)] == newline
    assert decoded_spans(theirs, row) == ["\nyes<|im_end|>"]


def test_a_tokenizer_that_begins_each_text_with_a_blank_is_masked_by_offsets(tmp_path: Path) -> None:
    folder = small.model(tmp_path / "model")
    letters = {letter: index for index, letter in enumerate("▁abcdefghijklmnopqrstuvwxyz<|_>:", start=3)}
    made = Tokenizer(models.BPE(vocab={"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2, **letters}, merges=[]))
    made.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.decoder = decoders.Metaspace(prepend_scheme="never")
    made.save(str(folder / "tokenizer.json"))
    theirs = tokenizer(folder)
    text = "user: go there:yes<|im_end|>"
    begins = text.index("yes")
    row = labelled(theirs, {"id": "one", "text": text, "spans": [(begins, len(text))]})
    assert decoded_spans(theirs, row) == ["yes<|im_end|>"]
    assert row["input_ids"] == theirs(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]


def test_labels_without_the_end_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trajectories.sft.sft_worker.OUT", sys.stdout, raising=False)
    theirs = tokenizer(small.model(tmp_path / "model"))
    text = "<|im_start|>assistant\nyes<|im_end|>"
    begins, ends = text.index("yes"), text.index("<|im_end|>")
    good = labelled(theirs, {"id": "good", "text": text, "spans": [(begins, len(text))]})
    cut = labelled(theirs, {"id": "cut", "text": text, "spans": [(begins, ends)]})
    empty = labelled(theirs, {"id": "empty", "text": text, "spans": []})
    refuse_endless(theirs, [good], "<|im_end|>")
    assert capsys.readouterr().out == ""
    for row in (cut, empty):
        with pytest.raises(SystemExit):
            refuse_endless(theirs, [good, row], "<|im_end|>")
        assert row["id"] in json.loads(capsys.readouterr().out)["refused"]


def test_what_a_model_has_no_positions_for_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen3Config

    monkeypatch.setattr("trajectories.sft.sft_worker.OUT", sys.stdout, raising=False)
    model = SimpleNamespace(config=Qwen3Config(max_position_embeddings=4))
    refuse_too_long(model, [{"input_ids": [1, 2, 3, 4]}])
    with pytest.raises(SystemExit):
        refuse_too_long(model, [{"input_ids": [1]}, {"input_ids": [1, 2, 3, 4, 5]}])
    assert "5 tokens, and the model has 4 positions" in json.loads(capsys.readouterr().out)["refused"]


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(str(tmp_path / "none")) is None
    for step in (2, 10, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step != 30:
            (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text("{}")
    assert last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-10")
