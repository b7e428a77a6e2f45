"""Looks at trained models with code of its own; run by the student's Python.

    .venv-student/bin/python tests/trajectories/sft/student_checks.py losses EXAMPLES MODEL [MODEL ...]
    .venv-student/bin/python tests/trajectories/sft/student_checks.py packing EXAMPLES MODEL WORKER SETTINGS

`losses` prints each model's mean loss over the tokens of the spans. `packing` has TRL pack the examples as the
worker's settings say, and prints what the loss sees of each sequence as text, with the loss of a packed batch and the
loss of its examples one by one, which are the same where no example sees another.
"""

import importlib.util
import itertools
import json
import sys
from pathlib import Path


def losses(examples: list[dict], *folders: str) -> None:
    """Mean loss of each model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = []
    for folder in folders:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        total, tokens = 0.0, 0
        for example in examples:
            for start, end in example["spans"]:
                before = tokenizer(example["text"][:start], add_special_tokens=False)["input_ids"]
                answer = tokenizer(example["text"][start:end], add_special_tokens=False)["input_ids"]
                with torch.no_grad():
                    scores = model(torch.tensor([before + answer])).logits[0].float().log_softmax(-1)
                rows = scores[len(before) - 1 : -1]
                total -= rows.gather(1, torch.tensor(answer)[:, None]).sum().item()
                tokens += len(answer)
        found.append(total / tokens)
    print(json.dumps({"losses": found}))


def packing(examples: list[dict], model: str, worker: str, settings: str) -> None:
    """Packed against one by one."""
    import torch
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = importlib.util.spec_from_file_location("sft_worker", worker)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = [module.labelled(tokenizer, example) for example in examples]
    given = json.loads(Path(settings).read_text())
    trainer = trl.SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=module.config(given, False, False),
        train_dataset=Dataset.from_list([{name: row[name] for name in ("input_ids", "labels")} for row in rows]),
        processing_class=tokenizer,
    )
    batch = trainer.data_collator([trainer.train_dataset[0]])
    seen = [module.decoded_spans(tokenizer, {"labels": row["labels"]}) for row in trainer.train_dataset]
    student = trainer.model.eval()
    with torch.no_grad():
        together = student(**batch).loss.item()
        cuts = [*(batch["position_ids"][0] == 0).nonzero().flatten().tolist(), batch["input_ids"].shape[1]]
        total, tokens = 0.0, 0
        for start, end in itertools.pairwise(cuts):
            labels = batch["labels"][:, start:end]
            learnt = int((labels[:, 1:] != -100).sum())
            total += student(input_ids=batch["input_ids"][:, start:end], labels=labels).loss.item() * learnt
            tokens += learnt
    print(json.dumps({"seen": seen, "sequences": len(cuts) - 1, "packed": together, "apart": total / tokens}))


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text().splitlines()
    {"losses": losses, "packing": packing}[sys.argv[1]]([json.loads(line) for line in lines], *sys.argv[3:])
