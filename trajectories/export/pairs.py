"""Preference pairs: of one task, a trial that was kept and one that was not, from where they typed different things.

`prompt`, `chosen` and `rejected` are a pair of single answers under one conversation, as DPO takes it: no word of a
screen is in what the loss sees. The turn-level columns hold both whole trials for losses over turns, such as DMPO (Shi
et al. 2024, arXiv 2406.14868).
"""

from collections.abc import Iterator, Sequence

from trajectories.export.rows import Row, answers, chat, scaffold, where
from trajectories.record import Trajectory, Turn


def pairs(kept: Sequence[Trajectory], others: Sequence[Trajectory]) -> Iterator[tuple[Trajectory, Trajectory]]:
    """Which trials of one task stand against each other.

    Each trial that was not kept stands in one pair, the kept ones taking turns. A pair has one scaffold, the kept trial
    the higher reward, and a turn at which they typed different things.

    Args:
        kept: trials of the task that the policy keeps.
        others: graded trials of the same task that it does not keep.
    """
    kept = sorted(kept, key=lambda each: each.id)
    for number, other in enumerate(sorted(others, key=lambda each: each.id)):
        turned = kept[number % len(kept) :] + kept[: number % len(kept)] if kept else []
        for one in turned:
            if _comparable(one, other) and diverging_turn(one, other) is not None:
                yield one, other
                break


def _comparable(one: Trajectory, other: Trajectory) -> bool:
    graded = one.reward is not None and other.reward is not None and one.reward > other.reward
    return graded and scaffold(one) == scaffold(other)


def diverging_turn(one: Trajectory, other: Trajectory) -> int | None:
    """The first turn, from 0, at which two trials did different things; None where one does what the other began.

    Words do not count, deeds do: two answers that type the same keystrokes leave the same terminal behind. Nor do
    screens count, which show clocks and host names of their own.
    """
    for number, (mine, theirs) in enumerate(zip(one.turns, other.turns, strict=False)):
        if _deed(mine) != _deed(theirs):
            return number
    return None


def _deed(turn: Turn) -> tuple[bool, bool, tuple[str, ...]]:
    return turn.parse_ok, turn.declared, tuple(command.keystrokes for command in turn.commands)


def pair_row(chosen: Trajectory, rejected: Trajectory) -> Row:
    """One pair as a row.

    - `prompt`: the chosen trial up to where they part; `chosen`, `rejected`: the one answer of each there.
    - `shared_turns`, `shared_messages`: how many answers and messages come before they part.
    - `chosen_messages`, `rejected_messages`: each whole trial in its own words.
    - `chosen_mask`, `rejected_mask`: for each of those messages 1 where it is an answer from where they part on, which
      is what a loss over turns sees, else 0.
    - `chosen_turns`, `rejected_turns`, `chosen_reward`, `rejected_reward`: number of answers, and the reward.

    Raises:
        ValueError: they never part.
    """
    turn = diverging_turn(chosen, rejected)
    if turn is None:
        raise ValueError(f"{chosen.id} and {rejected.id} never part")
    place, other = answers(chosen)[turn], answers(rejected)[turn]
    row: Row = {
        "id": f"{chosen.id}-{rejected.id}",
        "prompt": chat(chosen.messages[:place]),
        "chosen": chat(chosen.messages[place : place + 1]),
        "rejected": chat(rejected.messages[other : other + 1]),
        "shared_turns": turn,
        "shared_messages": place,
    }
    for side, trial, start in (("chosen", chosen, place), ("rejected", rejected, other)):
        row[f"{side}_messages"] = chat(trial.messages)
        row[f"{side}_mask"] = [
            int(number >= start and message.role == "assistant") for number, message in enumerate(trial.messages)
        ]
        row[f"{side}_turns"] = len(trial.turns)
        row[f"{side}_reward"] = trial.reward
    metadata = {"chosen": chosen.id, "rejected": rejected.id, "rejected_ended": rejected.ended}
    row["metadata"] = {**where(chosen), **metadata}
    return row
