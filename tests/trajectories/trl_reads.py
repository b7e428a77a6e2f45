"""Has TRL's own trainers read an export's files; run by the student's Python, which has TRL.

    .venv-student/bin/python tests/trajectories/trl_reads.py MODEL ROWS

MODEL is a folder of `tests/tiny_model.py`, ROWS an export's folder. Prints one JSON object: the versions, and for each
file what the loss would see of each row, as text. TRL does not know the roles of `sharegpt`: that is left out.
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


def main(model: str, folder: Path) -> None:
    """Read every file and print what was understood."""
    import torch
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(model)
    scratch = tempfile.mkdtemp()
    common = {"output_dir": scratch, "use_cpu": True, "report_to": [], "max_length": None, "bf16": False}

    def rows(name: str):
        # Without the other splits and without the cache of an earlier call.
        return load_dataset("json", data_files=str(folder / f"{name}.jsonl"), split="train", cache_dir=scratch)

    def sft(name: str, **options: object) -> list:
        config = SFTConfig(**common, **options)
        made = SFTTrainer(model=model, args=config, train_dataset=rows(name), processing_class=tokenizer)
        found = []
        for example in made.train_dataset:
            batch = made.data_collator([example])
            labels = batch["labels"][0]
            spans = [[]]
            for place, label in enumerate(labels.tolist()):
                if label != -100:
                    spans[-1].append(int(batch["input_ids"][0][place]))
                elif spans[-1]:
                    spans.append([])
            found.append([tokenizer.decode(span) for span in spans if span])
        return found

    def dpo(name: str) -> list:
        made = DPOTrainer(model=model, args=DPOConfig(**common), train_dataset=rows(name), processing_class=tokenizer)
        return [
            {part: tokenizer.decode(example[f"{part}_ids"]) for part in ("prompt", "chosen", "rejected")}
            for example in made.train_dataset
        ]

    torch.manual_seed(0)
    read = {
        "versions": {name: version(name) for name in ("trl", "transformers", "datasets")},
        "messages": sft("messages", assistant_only_loss=True),
        "prompt-completion": sft("prompt-completion"),
        "world-model": sft("world-model"),
        "preference": dpo("preference"),
    }
    print(json.dumps(read))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
