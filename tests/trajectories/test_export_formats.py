"""What each format's rows say, held against the records that they come from."""

import json
from pathlib import Path

import pytest

from tests.trajectories.export_case import INSTRUCTIONS, declared, lost, save, task_folder, trial, typed
from trajectories.export.atif import atif
from trajectories.export.card import About
from trajectories.export.instruction import instruction_of, screen_of
from trajectories.export.order import FOLDERS, ROWS, Order, parse_formats
from trajectories.export.pairs import diverging_turn, pair_row, pairs
from trajectories.export.rows import completion_rows, world_rows
from trajectories.export.write import Written, write_rows
from trajectories.policy import load_policy
from trajectories.record import Command, Trajectory, Turn

EVERY = (*ROWS, *FOLDERS)


def write(tmp_path: Path, kept: list[Trajectory], others: list[Trajectory] | None = None, **order: object) -> Written:
    """Everything there is, of these records."""
    tasks = {each.task_id: task_folder(tmp_path / "tasks" / each.task_id, each.topic) for each in kept}
    asked = Order(
        **{"formats": EVERY, "others": save(others or [], tmp_path / "trials"), "tasks": tasks, **order}  # type: ignore[arg-type]
    )
    about = About(name="demo", policy=load_policy("verified"), lock='{"python": "3.13"}')
    return write_rows(save(kept, tmp_path / "trials"), tmp_path / "out", about, asked)


def lines(written: Written, name: str) -> list[dict]:
    """The rows of a file."""
    return [json.loads(line) for line in written.files[f"{name}.jsonl"].read_text().splitlines()]


def test_instruction_and_screen_are_taken_out_of_the_prompt() -> None:
    prompt = trial("hooks").messages[0].content
    assert instruction_of(prompt) == INSTRUCTIONS["hooks"]
    assert screen_of(trial("hooks", system="Be brief.").messages) == "Current Terminal Screen:\nroot@3f1c:/app#\n"
    # Another scaffold's prompt is the instruction and the screen, as far as anybody can tell.
    assert instruction_of("  Do this. \n") == "Do this."


def test_a_completion_row_is_an_answer_under_all_that_came_before() -> None:
    made = trial(
        turns=[
            typed("ls\n", screen="a"),
            Turn(emitted="no JSON", parse_ok=False),
            Turn(emitted='{"ana', parse_ok=False, truncated=True),
            declared(),
        ],
        system="Be brief.",
    )
    rows = list(completion_rows(made))
    assert [row["id"] for row in rows] == [f"{made.id}-{turn}" for turn in range(4)]
    told = [message.model_dump() for message in made.messages]
    for turn, row in enumerate(rows):
        assert row["prompt"] + row["completion"] == told[: 1 + 2 * (turn + 1)]
        assert row["completion"] == [{"role": "assistant", "content": made.turns[turn].emitted}]
    assert [(row["metadata"]["parse_ok"], row["metadata"]["truncated"]) for row in rows] == [
        (True, False),
        (False, False),
        (False, True),
        (True, False),
    ]


def test_a_world_row_goes_from_screen_and_commands_to_the_next_screen() -> None:
    waits = Turn(emitted="wait", screen="still")
    cut_off = Turn(emitted="last", commands=(Command(keystrokes="x\n", seconds=1.0),))
    made = trial(turns=[typed("ls\n", "pwd\n", screen="first"), waits, typed("id\n", screen="second"), cut_off])
    rows = list(world_rows(made))
    # A turn that typed nothing is no row, and neither is one whose screen nobody saw.
    assert [(row["metadata"]["turn"], row["screen"], row["next_screen"]) for row in rows] == [
        (0, "Current Terminal Screen:\nroot@3f1c:/app#\n", "first"),
        (2, "still", "second"),
    ]
    assert rows[0]["commands"] == [{"keystrokes": "ls\n", "seconds": 0.1}, {"keystrokes": "pwd\n", "seconds": 0.1}]
    assert rows[0]["completion"] == [{"role": "assistant", "content": "first"}]
    said = rows[0]["prompt"][0]["content"]
    assert rows[0]["screen"] in said
    assert json.dumps({"keystrokes": "pwd\n", "seconds": 0.1}) in said


def test_a_pair_parts_where_other_keys_are_typed_not_other_words() -> None:
    chosen, rejected = trial(), lost()
    assert chosen.turns[0].emitted != rejected.turns[0].emitted
    assert diverging_turn(chosen, rejected) == 1
    row = pair_row(chosen, rejected)
    told = [message.model_dump() for message in chosen.messages]
    assert row["prompt"] == told[:3]
    assert row["chosen"] == told[3:4]
    assert row["rejected"] == [rejected.messages[3].model_dump()]
    assert (row["shared_turns"], row["shared_messages"]) == (1, 3)
    assert row["chosen_messages"] == told
    assert row["rejected_messages"] == [message.model_dump() for message in rejected.messages]
    assert row["chosen_mask"] == row["rejected_mask"] == [0, 0, 0, 1, 0, 1]
    assert (row["chosen_reward"], row["rejected_reward"]) == (1.0, 0.0)
    assert row["metadata"]["rejected"] == rejected.id


def test_what_is_no_pair() -> None:
    chosen = trial()
    same = trial(seed=9, reward=0.0)
    assert diverging_turn(chosen, same) is None
    with pytest.raises(ValueError, match="never part"):
        pair_row(chosen, same)
    other_scaffold = lost().model_copy(update={"scaffold": chosen.scaffold.model_copy(update={"name": "openhands"})})
    for other in (same, lost(reward=1.0), lost(reward=None), other_scaffold):
        assert list(pairs([chosen], [other])) == []
    assert list(pairs([], [lost()])) == []


def test_each_lost_trial_stands_in_one_pair_and_the_kept_take_turns() -> None:
    kept = sorted([trial(seed=1), trial(seed=2)], key=lambda each: each.id)
    others = sorted([lost(seed=number) for number in (3, 4, 5)], key=lambda each: each.id)
    made = [(one.id, other.id) for one, other in pairs(kept, others)]
    assert made == [(kept[0].id, others[0].id), (kept[1].id, others[1].id), (kept[0].id, others[2].id)]


def test_atif_has_the_whole_conversation_and_harbor_takes_it(tmp_path: Path) -> None:
    from harbor.models.trajectories import Trajectory as Atif

    unread = Turn(emitted="no JSON", parse_ok=False, remark="no JSON", reasoning="Let me think.")
    made = trial(turns=[typed("ls\n", "pwd\n", screen="a"), unread, declared("the end")], system="Be brief.")
    document = atif(made)
    read = Atif.model_validate(json.loads(json.dumps(document)))
    assert [step.source for step in read.steps] == ["system", "user", "agent", "agent", "agent"]
    flat = [made.messages[0].content, made.messages[1].content]
    for step in read.steps[2:]:
        flat += [step.message, step.observation.results[0].content]
    assert flat[:-1] == [message.content for message in made.messages]
    assert flat[-1] == "the end"
    assert [(call.function_name, call.arguments) for call in read.steps[2].tool_calls] == [
        ("bash_command", {"keystrokes": "ls\n", "duration": 0.1}),
        ("bash_command", {"keystrokes": "pwd\n", "duration": 0.1}),
    ]
    assert read.steps[3].tool_calls is None
    assert read.steps[3].reasoning_content == "Let me think."
    assert [call.function_name for call in read.steps[4].tool_calls] == ["mark_task_complete"]
    assert read.extra["reward"] == 1.0
    written = write(tmp_path, [made])
    again = Atif.model_validate_json((written.files["atif/"] / f"{made.id}.json").read_text())
    assert again == read


async def test_harbor_loads_the_dataset_folder(tmp_path: Path) -> None:
    from harbor.models.dataset.manifest import DatasetManifest
    from harbor.models.job.config import DatasetConfig
    from harbor.models.task.task import Task
    from harbor.publisher.packager import Packager

    written = write(tmp_path, [trial("hooks"), trial("bisect")])
    folder = written.files["harbor/"]
    configs = await DatasetConfig(path=folder).get_task_configs()
    assert [config.path.name for config in configs] == ["version_control-bisect", "version_control-hooks"]
    for config in configs:
        task = Task(config.path)
        assert task.name == f"synth/{config.path.name}"
        assert task.instruction.strip() == INSTRUCTIONS[config.path.name.removeprefix("version_control-")]
        original = tmp_path / "tasks" / config.path.name
        assert {each.relative_to(config.path) for each in config.path.rglob("*")} == {
            each.relative_to(original) for each in original.rglob("*")
        }
        assert (config.path / "certificate.json").read_bytes() == (original / "certificate.json").read_bytes()
    manifest = DatasetManifest.from_toml_file(folder / "dataset.toml")
    assert manifest.dataset.name == "synth/demo-train"
    assert {task.name: task.digest for task in manifest.tasks} == {
        f"synth/{config.path.name}": f"sha256:{Packager.compute_content_hash(config.path)[0]}" for config in configs
    }


def test_datasets_loads_every_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config
    from datasets import load_dataset

    for name, value in {
        "HF_DATASETS_OFFLINE": True,
        "HF_HUB_OFFLINE": True,
        "HF_DATASETS_CACHE": tmp_path / "c",
    }.items():
        monkeypatch.setattr(datasets.config, name, value)
    kept = [trial("hooks"), trial("bisect"), trial("submodules"), trial("worktrees")]
    written = write(tmp_path, kept, [lost("hooks"), lost("bisect"), lost("worktrees")], held_out=0.5)
    folder = str(written.files["README.md"].parent)
    for name in ROWS:
        loaded = load_dataset(folder, name)
        assert {side: len(rows) for side, rows in loaded.items()} == {
            side: number for side, number in written.counts[name].items() if number
        }
        for side, rows in loaded.items():
            assert list(rows) == lines(written, name if side == "train" else f"{name}.{side}")


def test_the_same_records_give_the_same_bytes_and_nothing_old_stays(tmp_path: Path) -> None:
    def content(written: Written) -> dict[str, bytes]:
        folder = written.files["README.md"].parent
        return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}

    kept = [trial("hooks"), trial("bisect"), trial("submodules"), trial("worktrees")]
    first = content(write(tmp_path, kept, [lost("hooks")], held_out=0.5))
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert {**first, "notes.txt": b"mine"} == content(write(tmp_path, kept, [lost("hooks")], held_out=0.5))
    # What the next export does not write again would be taken for a part of it.
    write(tmp_path, kept, formats=("sharegpt",))
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "README.md",
        "dataset_info.json",
        "export.json",
        "lock.json",
        "notes.txt",
        "sharegpt.jsonl",
        "sharegpt.parquet",
    ]


def test_a_manifest_cannot_have_things_outside_removed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("x")
    (tmp_path / "out" / "export.json").write_text(json.dumps({"files": ["../precious", "..", "", 3]}))
    write(tmp_path, [trial()], formats=("messages",))
    assert (tmp_path / "precious").read_text() == "x"


def test_formats_are_named_once_with_commas_or_all() -> None:
    assert parse_formats([]) == ("messages", "sharegpt")
    assert parse_formats(["atif,messages", "atif"]) == ("messages", "atif")
    assert parse_formats(["all"]) == EVERY
