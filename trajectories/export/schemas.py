"""The columns of each row format as Arrow schemas; functions, because importing pyarrow takes a while."""

from typing import Any


def messages() -> Any:
    """Of `rows.messages_rows`."""
    import pyarrow as pa

    text, count, number, flag = pa.string(), pa.int64(), pa.float64(), pa.bool_()
    labels = pa.struct(
        {
            "ended": text,
            "reward": number,
            "turns": count,
            "loop": flag,
            "surrender": flag,
            "overclaimed": flag,
            "completed_unseen": flag,
            "parse_failures": count,
            "truncated": count,
            "reexecuted": flag,
        }
    )
    metadata = pa.struct(
        {
            "task_id": text,
            "domain": text,
            "topic": text,
            "teacher": text,
            "model": text,
            "scaffold": text,
            "seed": count,
            "reward": number,
            "checks": pa.list_(pa.struct({"name": text, "result": number})),
            "ended": text,
            "turns": count,
            "tokens": pa.struct({"prompt": count, "completion": count, "cached": count}),
            "cost_usd": number,
            "seconds": number,
            "labels": labels,
            "digests": pa.list_(pa.struct({"name": text, "digest": text})),
        }
    )
    return pa.schema({"id": text, "messages": _chat(), "tools": pa.list_(text), "metadata": metadata})


def sharegpt() -> Any:
    """Of `rows.sharegpt_rows`."""
    import pyarrow as pa

    turn = pa.struct({"from": pa.string(), "value": pa.string()})
    return pa.schema({"id": pa.string(), "conversations": pa.list_(turn)})


def completion() -> Any:
    """Of `rows.completion_rows`."""
    import pyarrow as pa

    further = {"turns": pa.int64(), "reward": pa.float64(), "parse_ok": pa.bool_(), "truncated": pa.bool_()}
    return pa.schema(
        {"id": pa.string(), "prompt": _chat(), "completion": _chat(), "metadata": _turn_of_trajectory(further)}
    )


def world() -> Any:
    """Of `rows.world_rows`."""
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        {
            "id": text,
            "screen": text,
            "commands": pa.list_(pa.struct({"keystrokes": text, "seconds": pa.float64()})),
            "next_screen": text,
            "prompt": _chat(),
            "completion": _chat(),
            "metadata": _turn_of_trajectory({}),
        }
    )


def preference() -> Any:
    """Of `pairs.pair_row`."""
    import pyarrow as pa

    text, count, number = pa.string(), pa.int64(), pa.float64()
    sides: dict[str, Any] = {}
    for side in ("chosen", "rejected"):
        sides[f"{side}_messages"] = _chat()
        sides[f"{side}_mask"] = pa.list_(count)
        sides[f"{side}_turns"] = count
        sides[f"{side}_reward"] = number
    metadata = pa.struct({**_where(), "chosen": text, "rejected": text, "rejected_ended": text})
    return pa.schema(
        {
            "id": text,
            "prompt": _chat(),
            "chosen": _chat(),
            "rejected": _chat(),
            "shared_turns": count,
            "shared_messages": count,
            **sides,
            "metadata": metadata,
        }
    )


def _chat() -> Any:
    import pyarrow as pa

    return pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))


def _where() -> dict[str, Any]:
    import pyarrow as pa

    return dict.fromkeys(("task_id", "domain", "topic", "teacher", "model", "scaffold"), pa.string())


def _turn_of_trajectory(further: dict[str, Any]) -> Any:
    import pyarrow as pa

    return pa.struct({**_where(), "trajectory": pa.string(), "turn": pa.int64(), **further})
