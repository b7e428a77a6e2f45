"""Train and held-out by family, and what sets have in common."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trajectories.export_case import INSTRUCTIONS, lost, save, task_folder, trial
from trajectories.export.card import About
from trajectories.export.members import Member, read_set
from trajectories.export.order import ROWS, ExportError, Order
from trajectories.export.overlap import overlap, report
from trajectories.export.split import lot, split
from trajectories.export.write import Written, write_rows
from trajectories.policy import load_policy

TOPICS = list(INSTRUCTIONS)


def member(task: str, topic: str, text: str | None = None) -> Member:
    """A task of version_control."""
    return Member(task, f"version_control/{topic}", text if text is not None else f"{topic} {task} asks for {task}")


def share_for(*topics: str) -> float:
    """A share that holds out the families of these topics that come first, and not the last of them."""
    lots = sorted(lot(f"version_control/{topic}") for topic in topics)
    return (lots[-2] + lots[-1]) / 2


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 4), min_size=2), st.floats(0.05, 0.95))
def test_a_family_goes_whole_and_stays_where_it_is_when_rows_are_added(sizes: dict[str, int], share: float) -> None:
    members = [member(f"{topic}-{number}", topic) for topic, size in sizes.items() for number in range(size)]
    try:
        placed = split(members, share)
    except ExportError:
        assert len({lot(f"version_control/{topic}") < share for topic in sizes}) == 1
        return
    for topic, size in sizes.items():
        sides = {placed.side(f"{topic}-{number}") for number in range(size)}
        assert sides == {"held_out" if lot(f"version_control/{topic}") < share else "train"}
    more = split([*members, member("new-1", "a further topic")], share)
    assert {task: more.side(task) for task in placed.sides} == dict(placed.sides)
    larger = min(0.99, share + 0.2)
    if any(lot(f"version_control/{topic}") >= larger for topic in sizes):
        kept = split(members, larger)
        assert {task for task in placed.sides if placed.side(task) == "held_out"} <= {
            task for task in kept.sides if kept.side(task) == "held_out"
        }


def test_a_task_that_is_nearly_a_held_out_one_is_on_neither_side() -> None:
    first, second, *_ = sorted(TOPICS, key=lambda topic: lot(f"version_control/{topic}"))
    share = share_for(first, second)
    text = (
        "Find out which of the nine branches was merged twice, undo the second merge and keep the notes of the first."
    )
    others = [member("far", second, "Something that has not one word in common")]
    near = member("near", second, text.replace("nine", "seven"))
    same = member("same", second, text.upper())
    placed = split([member("out", first, text), near, same, *others], share)
    assert placed.side("out") == "held_out"
    assert placed.side("far") == "train"
    assert dict(placed.withheld) == {"near": "out", "same": "out"}
    assert placed.side("near") is None


def test_no_share_holds_nothing_out_and_one_that_cannot_says_which_could() -> None:
    members = [member("a", "hooks"), member("b", "bisect")]
    assert set(split(members, 0).sides.values()) == {"train"}
    lots = sorted(lot(f"version_control/{topic}") for topic in ("hooks", "bisect"))
    with pytest.raises(ExportError, match=f"nothing held out.*shares above {lots[0]:.4f}"):
        split(members, lots[0] / 2)
    with pytest.raises(ExportError, match="nothing to train on"):
        split(members, (lots[1] + 1) / 2)
    with pytest.raises(ExportError, match=r"there is but one"):
        split(members[:1], 0.5)
    for wrong in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ExportError, match="--held-out"):
            Order(held_out=wrong)


@pytest.fixture
def halves(tmp_path: Path) -> Written:
    """Every format of four tasks in four families, with a family held out at the least."""
    kept = [trial(topic) for topic in TOPICS]
    tasks = {each.task_id: task_folder(tmp_path / "tasks" / each.task_id, each.topic) for each in kept}
    others = save([lost(topic) for topic in TOPICS], tmp_path / "trials")
    order = Order((*ROWS, "harbor", "atif"), others, tasks, share_for(*TOPICS))
    return write_rows(save(kept, tmp_path / "trials"), tmp_path / "out", About("demo", load_policy("verified")), order)


def test_every_format_is_split_alike_and_the_sides_share_nothing(halves: Written) -> None:
    folder = halves.files["README.md"].parent
    manifest = json.loads((folder / "export.json").read_text())
    families = manifest["split"]["families"]
    assert sorted(families["train"] + families["held_out"]) == [f"version_control/{topic}" for topic in sorted(TOPICS)]
    for side, suffix in (("train", ""), ("held_out", ".held_out")):
        assert families[side]
        for name in set(ROWS) - {"sharegpt"}:
            rows = [json.loads(line) for line in (folder / f"{name}{suffix}.jsonl").read_text().splitlines()]
            assert sorted({f"version_control/{row['metadata']['topic']}" for row in rows}) == families[side]
        tasks = sorted(each.name for each in (folder / f"harbor{suffix}").iterdir() if each.is_dir())
        assert tasks == sorted(family.replace("/", "-") for family in families[side])
        assert len(list((folder / f"atif{suffix}").iterdir())) == len(families[side])
    found = json.loads((folder / "overlap.json").read_text())
    (pair,) = found["pairs"]
    assert (pair["one"], pair["other"]) == ("train", "held_out")
    assert [pair[what] for what in ("task_ids", "families", "texts", "near")] == [[], [], [], []]
    assert "split by family" in (folder / "README.md").read_text()


def test_an_overlap_of_the_sides_is_a_bug_and_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trajectories.export import write

    monkeypatch.setattr(write, "split", lambda members, share: _torn(list(members), share))
    with pytest.raises(AssertionError, match="overlap"):
        write_rows(
            save([trial("hooks"), trial("hooks", task_id="version_control-twin")], tmp_path / "trials"),
            tmp_path / "out",
            About("demo", load_policy("verified")),
            Order(held_out=0.5),
        )


def _torn(members: list[Member], share: float) -> object:
    """A split by task, which a family does not survive."""
    from trajectories.export.split import Split

    return Split(share, {members[0].name: "train", members[1].name: "held_out"})


def test_sets_are_compared_by_id_family_text_and_nearness(halves: Written, tmp_path: Path) -> None:
    folder = halves.files["README.md"].parent
    steps = tmp_path / "steps.jsonl"
    prompt = trial("hooks").messages[0].content
    rows = [
        # The hooks task under another id; the bisect task in other words here and there; one that nobody has seen.
        {"task_id": "x1", "step_idx": 0, "ref_raw": "{}", "messages": [{"role": "user", "content": prompt}]},
        {"task_id": "x1", "step_idx": 1, "ref_raw": "{}", "messages": [{"role": "user", "content": prompt}]},
        {"task_id": "x2", "step_idx": 0, "ref_raw": "{}", "domain": "version_control", "topic": "bisect",
         "messages": [{"role": "user", "content": INSTRUCTIONS["bisect"].replace("/tmp/culprit", "/tmp/id")}]},
        {"task_id": "x3", "step_idx": 0, "ref_raw": "{}", "messages": [{"role": "user", "content": "A new one."}]},
    ]  # fmt: skip
    steps.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ours = read_set(folder)
    assert sorted(ours) == [f"version_control-{topic}" for topic in sorted(TOPICS)]
    found = overlap("ours", ours, "steps", read_set(steps))
    assert found.task_ids == []
    assert found.families == ["version_control/bisect"]
    assert found.texts == [ours["version_control-hooks"].text_hash]
    assert [(near.one, near.other) for near in found.near] == [("version_control-bisect", "x2")]
    assert 0.7 <= found.near[0].similarity < 1
    assert found.tasks == 2
    # LiteCoder's rows name no task; texts are all that can be compared.
    shared = read_set(folder / "sharegpt.jsonl")
    assert {each.task_id for each in shared.values()} == {None}
    texts = overlap("ours", ours, "sharegpt", shared).texts
    assert len(texts) == len(shared) == halves.counts["sharegpt"]["train"]
    whole = report({"ours": ours, "steps": read_set(steps), "harbor": read_set(folder / "harbor")})
    assert [(pair.one, pair.other) for pair in whole.pairs] == [
        ("ours", "steps"),
        ("ours", "harbor"),
        ("steps", "harbor"),
    ]
    assert whole.sets["harbor"]["tasks"] == halves.counts["harbor"]["train"]
    # Rows of screens say whose they are and not what was asked.
    world = read_set(folder / "world-model.jsonl")
    assert overlap("ours", ours, "world", world).texts == []
    assert overlap("ours", ours, "world", world).task_ids == sorted(world)


def test_an_export_names_what_it_shares_with_the_sets_given(tmp_path: Path) -> None:
    other = task_folder(tmp_path / "bench" / "somebodys-task", "hooks")
    order = Order(against=(tmp_path / "bench",))
    files = save([trial("hooks"), trial("bisect")], tmp_path / "trials")
    written = write_rows(files, tmp_path / "out", About("demo", load_policy("verified")), order)
    assert written.overlap is not None
    (pair,) = written.overlap.pairs
    assert (pair.one, pair.other, len(pair.texts)) == ("train", str(tmp_path / "bench"), 1)
    assert pair.families == ["version_control/hooks"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| train | {tmp_path / 'bench'} | 0 | 1 | 0 | 1 |" in card
    (other / "task.toml").write_text("no TOML =")
    with pytest.raises(ExportError, match="no Harbor task that can be read"):
        read_set(other)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}\n", "holds no rows"),
        ("", "holds no rows"),
        ('{"messages": []}\nnope\n', "line 2: not JSON"),
        (None, "no such"),
    ],
)
def test_a_set_that_is_none_is_one_clear_line(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ExportError, match=said) as caught:
        read_set(path)
    assert "\n" not in str(caught.value)


def test_exports_of_one_run_hold_out_the_same_whatever_their_formats(tmp_path: Path) -> None:
    first, second, *_ = sorted(TOPICS, key=lambda topic: lot(f"version_control/{topic}"))
    # Nobody solved the held-out task; a task for training says nearly the same.
    text = (
        "Find out which of the nine branches was merged twice, undo the second merge and keep the notes of the first."
    )
    kept = [
        trial(second, instruction=text.replace("nine", "seven"), task_id="near"),
        trial(second, task_id="far", seed=1),
        trial(first, task_id="out", seed=2),
    ]
    tasks = {"unsolved": task_folder(tmp_path / "tasks" / "unsolved", first, text)}
    files = save(kept, tmp_path / "trials")
    about = About("demo", load_policy("verified"))
    share = share_for(first, second)
    rows = write_rows(files, tmp_path / "sft", about, Order(("messages",), tasks=tasks, held_out=share))
    whole = write_rows(files, tmp_path / "all", about, Order(("messages", "harbor"), tasks=tasks, held_out=share))
    assert dict(rows.split.withheld) == dict(whole.split.withheld) == {"near": "unsolved"}
    assert rows.counts == {"messages": {"train": 1, "held_out": 1}}
    assert whole.counts["harbor"] == {"train": 0, "held_out": 1}
    with pytest.raises(ExportError, match="no accepted trajectory falls on the side held_out"):
        solved = {ident: path for ident, path in files.items() if ident != kept[2].id}
        write_rows(solved, tmp_path / "none", about, Order(("messages",), tasks=tasks, held_out=share))
