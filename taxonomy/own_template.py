"""A model's own chat template as a pre-query: it is rendered up to the point where the user begins to speak."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from taxonomy.chat_template import ChatTemplate, TokenizerUnusable, first_token, load_files

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_USER = "THE-USER-SPEAKS-HERE"
"""Stands for the user's words while the template is rendered; no blanks around it, as some templates trim."""


class OwnTemplate:
    """A `templates.PreQuery` of a model's own chat template."""

    def __init__(self, source: str, bos: str, variables: Mapping[str, str], tokenizer: "Tokenizer | None") -> None:
        """Take a template apart.

        Args:
            source: the jinja2 text.
            bos: the token that begins every text; may be empty.
            variables: further special tokens by name, such as `eos_token`.
            tokenizer: None where there is none that `tokenizers` reads; then `ids` gives None.

        Raises:
            TokenizerUnusable: the template does not render, or the user's words do not stand in it once.
        """
        self.name = f"own-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
        """Named by its text, so that no path gets into a row."""
        self._bos = bos
        self._tokenizer = tokenizer
        self._template = ChatTemplate(source, {"bos_token": bos, **variables})
        self._folded = False
        try:
            probe = self._rendered("A")
        except TokenizerUnusable:
            self._folded = True
            probe = self._rendered("A")
        stop = first_token(probe.partition(_USER)[2], tokenizer)
        if stop is None:
            raise TokenizerUnusable("the chat template puts nothing behind the user's words, so their end is not known")
        self.stop = stop

    def prompt(self, system: str, *, bos: bool = True) -> str:
        """See `templates.PreQuery`.

        Raises:
            TokenizerUnusable: the template does not take this system message.
        """
        text = self._rendered(system).partition(_USER)[0]
        return text if bos else text.removeprefix(self._bos)

    def ids(self, text: str) -> Sequence[int] | None:
        """See `templates.PreQuery`."""
        return None if self._tokenizer is None else self._tokenizer.encode(text, add_special_tokens=False).ids

    def _rendered(self, system: str) -> str:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": _USER}]
        if self._folded:
            # No system turn: what such models were trained with is a user's turn that begins with the system message.
            messages = [{"role": "user", "content": f"{system}\n\n{_USER}"}]
        text = self._template.render(messages, ask=True)
        if text.count(_USER) != 1 or system not in text.partition(_USER)[0]:
            raise TokenizerUnusable("the chat template does not show the system message and then the user's words once")
        return text


def load_template(where: str) -> OwnTemplate:
    """Read a model's own chat template.

    Args:
        where: a folder or a model's name; see `chat_template.load_files`.

    Raises:
        TokenizerUnusable: it is not there, cannot be read, or has no usable chat template.
    """
    files = load_files(where)
    if files.source is None:
        raise TokenizerUnusable(f"{where}: the tokenizer has no chat template")
    special = dict(files.special)
    try:
        return OwnTemplate(files.source, special.pop("bos_token", ""), special, files.tokenizer)
    except TokenizerUnusable as error:
        raise TokenizerUnusable(f"{where}: {error}") from error
