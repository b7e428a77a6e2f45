"""Records, task folders and a whole run for the tests of exports, as a run would have left them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from synth.ledger import Ledger, StageRow
from synth.run_folder import RunFolder
from trajectories import record
from trajectories.labels import label
from trajectories.loops import LoopRule
from trajectories.record import Command, Message, Scaffold, Tokens, Trajectory, Turn

INSTRUCTIONS = {
    "hooks": "Write a pre-commit hook in /srv/app that refuses files above one megabyte and says which file it was.",
    "submodules": "The submodule vendor/parser points at a commit that is gone; make it point at the tag v2.1 again.",
    "bisect": "Find the commit since release-4 that broke the rounding of invoices and write its id to /tmp/culprit.",
    "worktrees": "Move the three stale worktrees below /opt/scratch to /opt/trees and prune what is left of them.",
}
"""By topic; no two are alike."""


def said(*keystrokes: str, done: bool = False, words: str = "I look.") -> str:
    """An answer of Terminus-2."""
    body = {"analysis": words, "plan": "Next.", "commands": [{"keystrokes": k, "duration": 0.1} for k in keystrokes]}
    return json.dumps({**body, "task_complete": True} if done else body)


def typed(*keystrokes: str, screen: str, words: str = "I look.") -> Turn:
    """An answer that typed something, and what the screen then showed."""
    commands = tuple(Command(keystrokes=keys, seconds=0.1) for keys in keystrokes)
    return Turn(emitted=said(*keystrokes, words=words), commands=commands, screen=screen)


def declared(screen: str = "New Terminal Output:\n$", words: str = "Done.") -> Turn:
    """An answer that says that the task is complete."""
    return Turn(emitted=said(done=True, words=words), declared=True, screen=screen)


def trial(
    topic: str = "hooks",
    turns: Sequence[Turn] | None = None,
    *,
    instruction: str | None = None,
    seed: int = 7,
    reward: float | None = 1.0,
    host: str = "3f1c",
    task_id: str | None = None,
    system: str | None = None,
) -> Trajectory:
    """A labelled trajectory of three answers in Terminus-2's words, but for what is said otherwise."""
    turns = turns or [
        typed("ls -la\n", screen=f"New Terminal Output:\nroot@{host}:/app# ls -la\ntotal 0 ✓\nroot@{host}:/app#"),
        typed("make\n", "make check\n", screen=f"New Terminal Output:\nroot@{host}:/app# make\nok\nroot@{host}:/app#"),
        declared(),
    ]
    prompt = (
        f"You are an assistant.\n\nTask Description:\n{instruction or INSTRUCTIONS[topic]}\n\n\n"
        f"Current terminal state:\nCurrent Terminal Screen:\nroot@{host}:/app#\n"
    )
    messages = [Message(role="system", content=system)] if system else []
    for number, turn in enumerate(turns):
        shown = prompt if number == 0 else turns[number - 1].screen or "ERROR: no JSON was found"
        messages += [Message(role="user", content=shown), Message(role="assistant", content=turn.emitted)]
    made = Trajectory(
        task_id=task_id or f"version_control-{topic}",
        domain="version_control",
        topic=topic,
        teacher="teacher",
        model="stub-model-1",
        scaffold=Scaffold(name="terminus-2", version="2.0.0"),
        seed=seed,
        messages=tuple(messages),
        turns=tuple(turns),
        ended="complete",
        reward=reward,
        checks={"check_a": reward or 0.0},
        tokens=Tokens(prompt=30, completion=3),
        cost_usd=0.01,
        seconds=1.5,
        digests={"folder": "sha256:00"},
    )
    return label(made, LoopRule(), reexecuted=bool(reward))


def lost(topic: str = "hooks", **fields: object) -> Trajectory:
    """A trial of the same task that begins alike in other words, then goes wrong and gets nothing."""
    turns = [
        typed("ls -la\n", screen="New Terminal Output:\nroot@9d2e:/app# ls -la\ntotal 0\nroot@9d2e:/app#", words="Hm."),
        typed("rm -rf .\n", screen="New Terminal Output:\nroot@9d2e:/app# rm -rf .\nroot@9d2e:/app#", words="Away."),
        declared(words="I give up."),
    ]
    return trial(topic, turns, **{"reward": 0.0, "host": "9d2e", "seed": 8, **fields})  # type: ignore[arg-type]


def save(trajectories: Iterable[Trajectory], folder: Path) -> dict[str, Path]:
    """Write records; their files by id."""
    files = {}
    for each in trajectories:
        place = folder / each.id
        place.mkdir(parents=True, exist_ok=True)
        files[each.id] = record.save(each, place)
    return files


def task_folder(folder: Path, topic: str, instruction: str | None = None) -> Path:
    """A Harbor task folder with a certificate."""
    for name in ("environment", "tests", "solution"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "task.toml").write_text(
        f'schema_version = "1.4"\n[task]\nname = "synth/{folder.name}"\ndescription = "x"\n'
        f'[metadata]\ntask_id = "{folder.name}"\ndomain = "version_control"\ntopic = "{topic}"\n'
        "[agent]\ntimeout_sec = 60.0\n[verifier]\ntimeout_sec = 60.0\n[environment]\n"
    )
    (folder / "instruction.md").write_text((instruction or INSTRUCTIONS[topic]) + "\n")
    (folder / "environment" / "Dockerfile").write_text("FROM synth-base/version_control:0123\nADD state.tar /\n")
    (folder / "environment" / "state.tar").write_bytes(b"\0" * 1024)
    (folder / "environment" / "data.jsonl").write_text("no JSON, and no set of rows\n")
    (folder / "tests" / "test.sh").write_text("#!/bin/sh\nexit 0\n")
    (folder / "solution" / "solve.sh").write_text("#!/bin/sh\n")
    (folder / "certificate.json").write_text('{"version": 1}\n')
    return folder


def run_folder(path: Path, trajectories: Sequence[Trajectory]) -> RunFolder:
    """A finished run: ledger, lock, a proven task folder for each task, and the trials."""
    folder = RunFolder(path)
    for place in (path, folder.tasks, folder.trials, folder.rows):
        place.mkdir(parents=True, exist_ok=True)
    lock = {"models": {"teacher": "sim:sim"}, "base_images": {"version_control": {"reference": "synth-base/x:1"}}}
    folder.lock_file.write_text(json.dumps(lock))
    with Ledger.open(folder.ledger_file) as ledger:
        for topic, task in sorted({(each.topic, each.task_id) for each in trajectories}):
            task_folder(folder.tasks / task, topic)
            ledger.record(StageRow(item=task, stage="gates", status="done", data={"folder": "sha256:00"}))
        for each in trajectories:
            name = f"{each.task_id}-{each.seed}"
            (folder.trials / name).mkdir()
            record.save(each, folder.trials / name)
            ledger.record(StageRow(item=name, stage="rollout", status="done", data={"trajectory": each.id}))
            done = each.reward == 1
            ledger.record(
                StageRow(
                    item=name,
                    stage="policy",
                    status="done" if done else "rejected",
                    reason=None if done else "reward",
                    data={"trajectory": each.id},
                )
            )
    return folder


def student_folder(folder: Path) -> Path:
    """A student's tokenizer, of bytes, with a chat template that leaves thinking where it is."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, "eos_token": "<|im_end|>"}))
    return folder
