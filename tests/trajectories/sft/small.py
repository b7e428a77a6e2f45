"""Small conversations in the shape of Terminus-2's, and a model's folder without weights for what needs none."""

import json
import random
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.tiny_model import SPECIAL, TEMPLATE

NAMES = ("alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "lambda")


def action(analysis: str, *keystrokes: str, complete: bool = False) -> str:
    """An answer as the scaffold wants it."""
    commands = [{"keystrokes": keys, "duration": 0.1} for keys in keystrokes]
    return json.dumps({"analysis": analysis, "plan": "go on", "commands": commands, "task_complete": complete})


def rows(count: int) -> list[dict[str, Any]]:
    """Rows of four answers each."""
    made = []
    for index in range(count):
        name = f"{random.Random(index).choice(NAMES)}-{index:02d}"
        turns = [
            (f"Make the folder {name} and list it.", action("start", f"mkdir {name}\n")),
            ("$ ", action("made", f"ls {name}\n")),
            (f"$ ls {name}\n$ ", action("seen", complete=True)),
            ("Are you sure?", action("yes", complete=True)),
        ]
        messages = [{"role": "system", "content": "You type into a terminal. Answer with JSON."}]
        for user, assistant in turns:
            messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
        made.append({"id": f"row-{index:02d}", "messages": messages, "tools": [], "metadata": {"task_id": name}})
    return made


def write(path: Path, given: list[dict[str, Any]]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return path


def corpus(given: list[dict[str, Any]]) -> str:
    """All that is said in rows."""
    return "\n".join(message["content"] for row in given for message in row["messages"])


def model(folder: Path, template: str | None = TEMPLATE, *, tokenizer: bool = True) -> Path:
    """A folder with a tokenizer and no weights."""
    folder.mkdir(parents=True)
    config = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    if tokenizer:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator([corpus(rows(4))], trainer)
        made.save(str(folder / "tokenizer.json"))
    return folder
