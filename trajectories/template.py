"""How a student's prompts and training texts read: its model's chat template, or a fallback where it has none.

The same code renders what is learnt from and what is asked, and an `Audit` says which tokenizer, which template and
which treatment of thinking a text was made with, so that the two can be held against each other.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict

from taxonomy.chat_template import ChatTemplate, TokenizerFiles, TokenizerUnusable, first_token, load_files

Thinking = Literal["kept", "stripped", "off"]
"""What becomes of the model's thinking: kept in the history; stripped from the history, where the last answer keeps its
own; or off altogether, in every answer and in what the model is asked for."""
Fallback = Literal["auto", "chatml", "gemma", "raw"]
"""The format for a model without a chat template. `auto` is Gemma's for a Gemma 4 and ChatML for all others."""
Source = Literal["own", "chatml", "gemma", "raw", "server"]

CHATML = """\
{%- for message in messages %}
{{- '<|im_start|>' + ('user' if message['role'] == 'tool' else message['role']) + '\\n' }}
{{- message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
GEMMA = """\
{{- '<bos>' }}
{%- for message in messages %}
{{- '<|turn>' + {'assistant': 'model', 'tool': 'user'}.get(message['role'], message['role']) + '\\n' }}
{{- message['content'] | trim + '<turn|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|turn>model\\n' }}
{%- endif %}
"""
GEMMA_EMPTY_THOUGHT = GEMMA.replace("'<|turn>model\\n' }}", "'<|turn>model\\n<|channel>thought\\n<channel|>' }}")
"""With the empty thought channel with which the larger Gemma 4 models are told not to think."""
RAW = """\
{{- bos_token }}
{%- for message in messages %}
{{- message['content'] + ('\\n' + (eos_token or '') if message['role'] == 'assistant' else '\\n\\n') }}
{%- endfor %}
"""
"""The contents alone. A model was never trained on this, so what it answers is not ranked."""
_FALLBACKS: Mapping[str, Source] = {CHATML: "chatml", GEMMA: "gemma", GEMMA_EMPTY_THOUGHT: "gemma", RAW: "raw"}

THINKING_OFF = {"enable_thinking": False, "thinking": False}
"""The names by which templates let thinking be turned off: Qwen 3, GLM, Gemma 4 and others; DeepSeek and Granite."""
_KEEPING: Sequence[Mapping[str, bool]] = (
    {},
    {"preserve_thinking": True},  # Qwen 3.6 and later
    {"clear_thinking": False},  # GLM 4.7 and later
    {"truncate_history_thinking": False},  # Nemotron 3
)
"""What makes a template leave thinking in the history; tried in this order."""

_THOUGHT = re.compile(r"\A(?:(?!\s*\{).*?</think>|\s*<\|channel>thought\n.*?<channel\|>)\s*", re.DOTALL)
"""Thinking at the head of an answer. Its opening may have stood in the prompt; what a JSON answer quotes is none."""
_APART = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message that hold thinking apart from the answer."""
_OPENED = re.compile(r"<think>\s*\Z")
_PROBE = "THE-ASSISTANT-SPEAKS-HERE"


class Mismatch(ValueError):
    """Training rows and replay (or export) were not made with the same tokenizer, template and thinking. One line."""


class Audit(BaseModel):
    """With which tokenizer, template and treatment of thinking texts were made; goes with all that is made of them."""

    model_config = ConfigDict(frozen=True)

    tokenizer: str | None
    """SHA-256 of `tokenizer.json`; None where there is none, or where a server has it unseen."""
    template: str | None
    """SHA-256 of the chat template's text, a fallback's too; None where a server has it unseen."""
    source: Source
    """Where the template comes from; "server" is a chat endpoint that renders by itself, unseen."""
    thinking: Thinking

    @property
    def rank_eligible(self) -> bool:
        """Whether a replay with it may be ranked: neither a raw prompt nor one that nobody has seen."""
        return self.source not in ("raw", "server")


def check_match(trained: Audit, asked: Audit) -> None:
    """Compare what is known on both sides.

    Raises:
        Mismatch: they differ; it names in what.
    """
    names = {"tokenizer": "tokenizer.json", "template": "chat template", "thinking": "treatment of thinking"}
    differ = []
    for name, words in names.items():
        before, now = getattr(trained, name), getattr(asked, name)
        if None not in (before, now) and before != now:
            differ.append(f"{words} ({before[:12]} then, {now[:12]} now)")
    if differ:
        raise Mismatch(f"the student was trained with another {' and another '.join(differ)}")


class Rendered(NamedTuple):
    """One text to learn from."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Characters, from and to, of what the loss sees: the assistant's words with their end-of-turn token."""


class StudentTemplate:
    """A chat template with a treatment of thinking."""

    def __init__(self, source: str, files: TokenizerFiles, thinking: Thinking) -> None:
        """Try a template out.

        Args:
            source: the jinja2 text: the model's own, or a fallback of this module.
            files: the tokenizer.
            thinking: what becomes of thinking.

        Raises:
            TokenizerUnusable: the template does not render a conversation, or drops thinking from the history that is
                to be kept.
        """
        self.source = source
        self._files = files
        self._thinking = thinking
        self._template = ChatTemplate(source, files.special)
        self._variables: Mapping[str, bool] = THINKING_OFF if thinking == "off" else {}
        self._folds = False
        try:
            self._render(_conversation("A", "B"), ask=True)
        except TokenizerUnusable:
            self._folds = True
            self._render(_conversation("A", "B"), ask=True)
        # Some templates take thinking from a field of its own alone, and show an empty block besides one in the words.
        thought = f"<think>\n{_PROBE}\n</think>\n\nA"
        self._apart = self._render(_conversation(thought), ask=False).count("</think>") > 1
        if thinking == "kept":
            self._variables = self._that_keeps()
        self.audit = Audit(
            tokenizer=files.sha256,
            template=hashlib.sha256(source.encode()).hexdigest(),
            source=_FALLBACKS.get(source, "own"),
            thinking=thinking,
        )

    @cached_property
    def end_of_turn(self) -> str:
        """The token that ends the assistant's turn, as text.

        Raises:
            TokenizerUnusable: the template does not show the assistant's words, or puts nothing behind them.
        """
        before, _, behind = self._render(_conversation(_PROBE), ask=False).rpartition(_PROBE)
        end = first_token(behind, self._files.tokenizer)
        if not before:
            raise TokenizerUnusable("the chat template does not show the assistant's words")
        if end is None:
            raise TokenizerUnusable(
                "the chat template puts no end-of-turn token behind the assistant's words, so a student never learns to"
                " stop"
            )
        return end

    @cached_property
    def marks_end(self) -> bool | None:
        """Whether the marks that a template puts around the assistant's words for trainers hold the end-of-turn token.

        None where there are no such marks.
        """
        if not re.search(r"\{%-?\s*generation\b", self.source):
            return None
        pieces = self._template.marked(self._folded(_conversation(_PROBE)), **self._variables)
        return any(_PROBE in piece and self.end_of_turn in piece.rpartition(_PROBE)[2] for piece in pieces)

    def prompt(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The text of a conversation, up to where the assistant begins to speak.

        Args:
            messages: `role` and `content`; the last one is not the assistant's.

        Raises:
            TokenizerUnusable: the template does not take these messages.
        """
        history = [self._in_history(message) for message in messages]
        text = self._render(history, ask=True)
        if self._thinking == "off" and _OPENED.search(text):
            return f"{text.rstrip()}\n\n</think>\n\n"
        return text

    def examples(self, messages: Sequence[Mapping[str, Any]]) -> list[Rendered]:
        """What is learnt from a conversation.

        Where every answer's prompt with the answer behind it is the beginning of the next one, it is one text with a
        span for each answer. Where it is not - the template, or the treatment of thinking, writes an answer otherwise
        once it is history - each answer is a text of its own, with what came before as it will be asked.

        Returns:
            Nothing where the assistant says nothing.

        Raises:
            TokenizerUnusable: the template does not take these messages, does not show an answer's words, or puts
                nothing behind them.
        """
        answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        singles = [self._single(messages[: place + 1]) for place in answers]
        if all(singles[-1].text.startswith(single.text) for single in singles[:-1]):
            return [Rendered(singles[-1].text, tuple(single.spans[0] for single in singles))] if singles else []
        return singles

    def count(self, text: str) -> int | None:
        """Tokens of a text as it stands, none added; None where there is no tokenizer at hand."""
        ids = self.ids(text)
        return None if ids is None else len(ids)

    def ids(self, text: str) -> list[int] | None:
        """Ids of a text's tokens as it stands, none added; None where there is no tokenizer at hand."""
        tokenizer = self._files.tokenizer
        return None if tokenizer is None else list(tokenizer.encode(text, add_special_tokens=False).ids)

    def decoded(self, text: str) -> str:
        """A text as its tokens say it, special ones included; as it stands where there is no tokenizer at hand."""
        ids = self.ids(text)
        tokenizer = self._files.tokenizer
        return text if ids is None or tokenizer is None else tokenizer.decode(ids, skip_special_tokens=False)

    def _single(self, messages: Sequence[Mapping[str, Any]]) -> Rendered:
        """One text that ends with the last message, an answer."""
        *before, last = messages
        answer = self._shown(without_thinking(last) if self._thinking == "off" else last)
        prompt = self.prompt(before)
        text = self._render([*map(self._in_history, before), answer], ask=False)
        end = text.rfind(self.end_of_turn)
        if text.startswith(prompt) and end >= len(prompt):
            text = text[: end + len(self.end_of_turn)]
        else:
            # What is asked for is not how the template shows an answer: the answer is put behind what is asked.
            text = prompt + _behind(prompt, answer) + self.end_of_turn
        words = str(without_thinking(answer).get("content") or "").strip()
        if words not in text[len(prompt) :]:
            raise TokenizerUnusable("the chat template does not show the assistant's words as they are")
        return Rendered(text, ((len(prompt), len(text)),))

    def _in_history(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if message["role"] != "assistant" or self._thinking == "kept":
            return self._shown(message)
        return without_thinking(message)

    def _shown(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """A message as the template takes it: thinking in a field of its own where it wants that."""
        content = message.get("content")
        found = _THOUGHT.match(content) if self._apart and isinstance(content, str) else None
        if content is None or found is None or message["role"] != "assistant":
            return message
        thought = re.sub(r"\A\s*<think>|</think>\s*\Z", "", found[0]).strip()
        return {**message, "content": content[found.end() :], "reasoning_content": thought}

    def _render(self, messages: Sequence[Mapping[str, Any]], *, ask: bool) -> str:
        return self._template.render(self._folded(messages), ask=ask, **self._variables)

    def _folded(self, messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """For a template without a system turn: the user's first turn begins with the system message."""
        if not self._folds or len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
            return messages
        joined = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
        return [joined, *messages[2:]]

    def _that_keeps(self) -> Mapping[str, bool]:
        """What the template wants to be told so that an earlier answer's thinking stays."""
        for variables in _KEEPING:
            text = self._template.render(
                self._folded(_conversation(f"<think>\n{_PROBE}\n</think>\n\nA", "B")), ask=True, **variables
            )
            if _PROBE in text:
                return variables
        raise TokenizerUnusable("the chat template drops thinking from the history, so it cannot be kept there")


def load_student_template(
    model: str, thinking: Thinking = "stripped", fallback: Fallback = "auto", empty_thought: bool | None = None
) -> StudentTemplate:
    """Read a student's chat template.

    Args:
        model: a folder with tokenizer files or a name on the Hugging Face hub; see `chat_template.load_files`.
        thinking: what becomes of thinking.
        fallback: the format where the tokenizer has no template of its own; where it has one this is not looked at.
        empty_thought: whether Gemma's format has the empty thought channel; by default for the models of 26B and 31B
            when thinking is off.

    Raises:
        TokenizerUnusable: it is not there, cannot be read, or its template cannot be used.
    """
    if fallback not in get_args(Fallback) or thinking not in get_args(Thinking):
        raise TokenizerUnusable(f"{fallback}, {thinking}: no fallback and no treatment of thinking is called so")
    files = load_files(model)
    source = files.source
    if source is None:
        source = _fallback_text(model, files, thinking, fallback, empty_thought)
    try:
        return StudentTemplate(source, files, thinking)
    except TokenizerUnusable as error:
        raise TokenizerUnusable(f"{model}: {error}") from error


def _fallback_text(
    model: str, files: TokenizerFiles, thinking: Thinking, fallback: Fallback, empty_thought: bool | None
) -> str:
    name = Path(model).name.lower()
    if fallback == "auto":
        turns = files.tokenizer is not None and files.tokenizer.token_to_id("<|turn>") is not None
        fallback = "gemma" if turns or "gemma-4" in name else "chatml"
    if empty_thought is None:
        empty_thought = thinking == "off" and any(size in name for size in ("26b", "31b"))
    texts = {"chatml": CHATML, "gemma": GEMMA_EMPTY_THOUGHT if empty_thought else GEMMA, "raw": RAW}
    return texts[fallback]


def _conversation(*answers: str) -> list[dict[str, str]]:
    """A conversation to try a template with; it ends with the user's turn where there are several answers."""
    messages = [{"role": "system", "content": "S"}]
    for answer in answers:
        messages += [{"role": "user", "content": "U"}, {"role": "assistant", "content": answer}]
    return messages if len(answers) == 1 else messages[:-1]


def without_thinking(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message without its thinking, whether it stands at the head of the answer or in a field of its own."""
    plain = {name: value for name, value in message.items() if name not in _APART}
    if isinstance(content := plain.get("content"), str):
        plain["content"] = _THOUGHT.sub("", content, count=1)
    return plain


def _behind(prompt: str, answer: Mapping[str, Any]) -> str:
    """An answer as the model would go on from the prompt: thinking that the prompt opens is not opened again."""
    content = str(answer.get("content") or "")
    apart = next((str(answer[name]) for name in _APART if answer.get(name)), None)
    if apart is not None:
        content = f"<think>\n{apart.strip()}\n</think>\n\n{content}"
    if not _OPENED.search(prompt):
        return content
    if "</think>" in content:
        return re.sub(r"\A\s*<think>\n?", "", content)
    return f"\n</think>\n\n{content}"
