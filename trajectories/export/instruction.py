"""What a conversation begins with: the task's instruction and the first screen, taken out of the scaffold's prompt."""

import re
from collections.abc import Sequence

from trajectories.record import Message

_SCREEN = "Current terminal state:\n"
_ASKED = re.compile(r"^Task Description:\n(.*?)\s*^" + _SCREEN, re.DOTALL | re.MULTILINE)
"""How Terminus-2, in each of its formats, says what is to be done and what the terminal shows."""


def instruction_of(prompt: str) -> str:
    """The task's instruction in a first message; the whole message where the scaffold does not set it apart."""
    found = _ASKED.search(prompt)
    return (found.group(1) if found else prompt).strip()


def screen_of(messages: Sequence[Message]) -> str:
    """What the terminal showed before the first answer; the whole first prompt where it is not set apart."""
    prompt = first_prompt(messages)
    _, marked, screen = prompt.rpartition(_SCREEN)
    return screen if marked else prompt


def first_prompt(messages: Sequence[Message]) -> str:
    """The text of the first user message; empty where there is none."""
    return next((message.content for message in messages if message.role == "user"), "")
