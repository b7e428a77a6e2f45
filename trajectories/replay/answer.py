"""Reading what a student wrote: its commands, whether it said it is done, and whether it kept to the form.

The rules are the published ones (see `trajectories.replay.commands`): JSON in a fence or between the first and the last
brace; where that gives no commands, keystrokes are recovered by pattern from whatever was written.
"""

import codecs
import json
import re
from typing import Any, NamedTuple

from trajectories.replay.commands import lines_of, units_of

_FENCED = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)
_KEYSTROKES = re.compile(r'"keystrokes"\s*:\s*"((?:[^"\\]|\\.)*)"')


class Answer(NamedTuple):
    """What a text says as a step's answer."""

    valid_json: bool
    has_analysis: bool
    has_plan: bool
    task_complete: bool | None
    """None where it does not say, or says something else than true or false."""
    units: list[str]
    """Units of its commands, in order."""


def read_answer(text: str) -> Answer:
    """Read a student's text, whatever it is."""
    payload = payload_of(text)
    commands = payload.get("commands", []) if payload is not None else []
    keystrokes = [
        str(command.get("keystrokes", ""))
        for command in (commands if isinstance(commands, list) else [])
        if isinstance(command, dict)
    ]
    complete = payload.get("task_complete") if payload is not None else None
    return Answer(
        valid_json=payload is not None,
        has_analysis=bool(payload and payload.get("analysis")),
        has_plan=bool(payload and payload.get("plan")),
        task_complete=complete if isinstance(complete, bool) else None,
        units=units_of(keystrokes) or _recovered(text),
    )


def payload_of(text: str) -> dict[str, Any] | None:
    """The JSON object of an answer; None where there is none."""
    text = text.strip()
    fenced = _FENCED.search(text)
    if fenced:
        text = fenced[1]
    else:
        start, end = text.find("{"), text.rfind("}")
        if 0 <= start < end:
            text = text[start : end + 1]
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return None
    # A bare value has no brace to be cut at, and is no answer though it is JSON.
    return payload if isinstance(payload, dict) else None


def _recovered(text: str) -> list[str]:
    units: list[str] = []
    for quoted in _KEYSTROKES.findall(text):
        try:
            typed = codecs.decode(quoted.encode(), "unicode_escape")
        except UnicodeDecodeError:
            typed = quoted
        units += lines_of(typed)
    return units
