"""The training itself, in the student's own Python: TRL on texts with spans. Imports nothing of ours.

    python sft_worker.py SETTINGS.json

Writes JSON lines to standard output: the versions, what the loss sees, a line for each step, and the figures last.
Everything else that is printed goes to standard error.
"""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def main(settings: Row) -> None:
    """Train as the settings say and save the model.

    Settings: `examples` (JSON lines of `id`, `text`, `spans`), `model` (folder or hub name), `out` (folder for the
    model), `checkpoints` (folder), `end_of_turn` (text), `sft` (the fields of `SftSettings`).
    """
    if "WORLD_SIZE" not in os.environ:
        # Trainer would spread one process over all devices, which is slow and changes what a step is.
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    import datasets
    import torch  # type: ignore[import-not-found]
    import transformers
    import trl  # type: ignore[import-not-found]

    sft = settings["sft"]
    versions = {module.__name__: module.__version__ for module in (torch, transformers, trl, datasets)}
    if sft["lora"]:
        import peft  # type: ignore[import-not-found]

        versions["peft"] = peft.__version__
    say({"versions": {"python": sys.version.split()[0], **versions}})

    from transformers import AutoModelForCausalLM, AutoTokenizer

    transformers.set_seed(sft["seed"])
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    with Path(settings["examples"]).open(encoding="utf-8") as lines:
        rows = [labelled(tokenizer, json.loads(line)) for line in lines]
    refuse_endless(tokenizer, rows, settings["end_of_turn"])
    first = rows[0]
    say({"sample": decoded_spans(tokenizer, first), "example": first["id"]})
    data = datasets.Dataset.from_list([{name: row[name] for name in ("input_ids", "labels")} for row in rows])

    on_gpu = torch.cuda.is_available()
    bf16 = on_gpu and sft["precision"] == "bf16"
    # Full training keeps weights and moments in fp32 and computes in bf16; frozen weights need no such room.
    dtype = torch.bfloat16 if bf16 and sft["lora"] else torch.float32
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=dtype)
    model.config.use_cache = False
    refuse_too_long(model, rows)
    trainer = trl.SFTTrainer(
        model=model,
        args=config(settings, on_gpu, bf16),
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=adapter(sft),
        callbacks=[progress()],
    )
    checkpoint = last_checkpoint(settings["checkpoints"])
    began = time.monotonic()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    trainer.train(resume_from_checkpoint=checkpoint)
    seconds = time.monotonic() - began
    trainable = sum(each.numel() for each in trainer.model.parameters() if each.requires_grad)
    packed = len(trainer.train_dataset)
    save(trainer, tokenizer, settings, torch.bfloat16 if bf16 else dtype)

    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    say(
        {
            "figures": {
                "steps": trainer.state.global_step,
                "first_loss": losses[0] if losses else None,
                "last_loss": losses[-1] if losses else None,
                "seconds": round(seconds, 2),
                "resumed_from_step": int(checkpoint.rpartition("-")[2]) if checkpoint else 0,
                "sequences": packed,
                "trainable_parameters": trainable,
                "device": torch.cuda.get_device_name() if on_gpu else "cpu",
                "precision": "bf16" if bf16 else "fp32",
                "peak_gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
            }
        }
    )


def labelled(tokenizer: Any, example: Row) -> Row:
    """Token ids, and labels that are -100 outside the spans.

    Text is cut at the spans' ends and each piece tokenised apart, because that is how it is at inference: the prompt is
    tokens before the answer begins. Tokenizers that put a blank before every text cannot be cut so; there a token is
    learnt where it lies within a span.
    """
    ids: list[int] = []
    labels: list[int] = []
    text, end = example["text"], 0
    for start, stop in example["spans"]:
        for piece, learnt in ((text[end:start], False), (text[start:stop], True)):
            found = tokenizer(piece, add_special_tokens=False)["input_ids"] if piece else []
            ids += found
            labels += found if learnt else [-100] * len(found)
        end = stop
    rest = tokenizer(text[end:], add_special_tokens=False)["input_ids"] if text[end:] else []
    ids += rest
    labels += [-100] * len(rest)
    whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
    if tokenizer.is_fast and decoded(tokenizer, ids) != decoded(tokenizer, whole["input_ids"]):
        ids = whole["input_ids"]
        within = [any(a <= start and end <= b for a, b in example["spans"]) for start, end in whole["offset_mapping"]]
        labels = [token if inside else -100 for token, inside in zip(ids, within, strict=True)]
    return {"id": example["id"], "input_ids": ids, "labels": labels}


def decoded(tokenizer: Any, ids: list[int]) -> str:
    """Tokens as text, special ones included."""
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)  # type: ignore[no-any-return]


def decoded_spans(tokenizer: Any, row: Row) -> list[str]:
    """The stretches of tokens that the loss sees, as text. Spans that touch are one stretch."""
    stretches: list[str] = []
    current: list[int] = []
    for label in [*row["labels"], -100]:
        if label != -100:
            current.append(label)
        elif current:
            stretches.append(decoded(tokenizer, current))
            current = []
    return stretches


def refuse_endless(tokenizer: Any, rows: list[Row], end_of_turn: str) -> None:
    """Refuse rows in which a stretch that the loss sees does not end in the end-of-turn token."""
    for row in rows:
        for text in decoded_spans(tokenizer, row) or [""]:
            if not text.rstrip().endswith(end_of_turn):
                refuse(f"example {row['id']}: what the loss sees ends in {text[-20:]!r}, not in {end_of_turn}")


def refuse_too_long(model: Any, rows: list[Row]) -> None:
    """Refuse rows that the model has no positions for."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = max(len(row["input_ids"]) for row in rows)
    if limit is not None and longest > limit:
        refuse(
            f"the longest example has {longest} tokens, and the model has {limit} positions: give it as --max-length"
        )


def config(settings: Row, on_gpu: bool, bf16: bool) -> Any:
    """The trainer's settings."""
    import trl

    sft = settings["sft"]
    accumulation = sft["batch"] // sft["device_batch"]
    return trl.SFTConfig(
        output_dir=settings["checkpoints"],
        num_train_epochs=sft["epochs"],
        max_steps=sft["max_steps"] or -1,
        per_device_train_batch_size=sft["device_batch"],
        gradient_accumulation_steps=accumulation,
        learning_rate=sft["lr"],
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(sft["schedule"], sft["schedule"]),
        **warmup(sft),
        weight_decay=sft["weight_decay"],
        max_length=sft["max_length"],
        packing=sft["packing"],
        bf16=bf16,
        fp16=False,
        use_cpu=not on_gpu,
        gradient_checkpointing=sft["gradient_checkpointing"],
        seed=sft["seed"],
        data_seed=sft["seed"],
        save_strategy="steps" if sft["save_steps"] else "epoch",
        **({"save_steps": sft["save_steps"]} if sft["save_steps"] else {}),
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )


def warmup(sft: Row) -> Row:
    """The warm-up as this version of transformers takes it: a share of the steps."""
    import transformers

    if int(transformers.__version__.partition(".")[0]) < 5:
        return {"warmup_ratio": sft["warmup"]}
    return {"warmup_steps": sft["warmup"]}


def adapter(sft: Row) -> Any:
    """The LoRA settings, or None for the whole model."""
    if not sft["lora"]:
        return None
    import peft

    lora = sft["lora"]
    return peft.LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def progress() -> Any:
    """Says each step's loss."""
    from transformers import TrainerCallback

    began = time.monotonic()

    class Progress(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002
            logs = more.get("logs") or {}
            if "loss" in logs:
                if not math.isfinite(logs["loss"]):
                    refuse(f"the loss of step {state.global_step} is {logs['loss']}; a lower --lr may help")
                line = {"step": state.global_step, "of": state.max_steps, "loss": round(logs["loss"], 5)}
                say({**line, "lr": logs.get("learning_rate"), "seconds": round(time.monotonic() - began, 2)})

    return Progress()


def last_checkpoint(folder: str) -> str | None:
    """The newest checkpoint that is whole, or None. The trainer writes its state last."""
    whole = [path.parent for path in Path(folder).glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def save(trainer: Any, tokenizer: Any, settings: Row, dtype: Any) -> None:
    """Write a model that can be served as it is: adapters are also kept apart, and merged into the weights."""
    out, model = settings["out"], trainer.model
    if settings["sft"]["lora"]:
        model.save_pretrained(Path(out, "adapter"))
        model = model.merge_and_unload()
    model.config.use_cache = True
    ends = tokenizer.encode(settings["end_of_turn"], add_special_tokens=False)
    if len(ends) == 1:
        # A base model's own end is often another token; what it learnt to stop with has to stop it.
        before = model.generation_config.eos_token_id
        before = before if isinstance(before, list) else [] if before is None else [before]
        model.generation_config.eos_token_id = [*before, *(end for end in ends if end not in before)]
    model.to(dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)


def refuse(why: str) -> None:
    """Say why there will be no training, and end."""
    say({"refused": why})
    sys.exit(4)


def say(line: Row) -> None:
    """One line out."""
    OUT.write(json.dumps(line, ensure_ascii=False) + "\n")
    OUT.flush()


if __name__ == "__main__":
    OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is for the log
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
