"""A model's chat template: read from its tokenizer's files, compiled and rendered as transformers does.

transformers itself is not needed: the template is a jinja2 text, and `tokenizers` reads the tokenizer.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONFIG, TEMPLATE, TOKENIZER = "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"
"""The files of a tokenizer that are read."""

_OPEN, _CLOSE = "\ue000\ue001", "\ue001\ue000"
"""Stand around what `{% generation %}` marks while marks are looked for; characters that no text has."""


class TokenizerUnusable(Exception):
    """A tokenizer that is asked for is not there, or has no chat template that can be used. The message is a line."""


@dataclass(frozen=True)
class TokenizerFiles:
    """What a tokenizer's files say, as far as rendering needs it."""

    folder: Path
    source: str | None
    """The chat template's jinja2 text; None where the tokenizer has none."""
    special: Mapping[str, str]
    """Special tokens by name, such as `bos_token`; those that are set."""
    sha256: str | None
    """Of `tokenizer.json`; None where there is none."""
    tokenizer: "Tokenizer | None"
    """None where there is no `tokenizer.json`."""


def load_files(where: str) -> TokenizerFiles:
    """Read a model's tokenizer.

    Args:
        where: a folder with `tokenizer_config.json` (and `chat_template.jinja`, `tokenizer.json`), or a model's name on
            the Hugging Face hub, of which these three files are fetched unless they are in its cache.

    Raises:
        TokenizerUnusable: it is not there or cannot be read.
    """
    folder = Path(where).expanduser()
    if not folder.is_dir():
        folder = _fetched(where)
    config = _json(folder / CONFIG, where)
    special = {name: text for name in config if name.endswith("_token") and (text := _token(config[name])) is not None}
    sha256, tokenizer = _tokenizer(folder, where)
    return TokenizerFiles(folder, _source(folder, config, where), special, sha256, tokenizer)


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, TEMPLATE, TOKENIZER]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TokenizerUnusable(f"{name}: neither a folder nor a model of the Hugging Face hub: {reason}") from error


def _json(path: Path, where: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TokenizerUnusable(f"{where}: {path.name} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise TokenizerUnusable(f"{where}: {path.name} is no JSON object")
    return content


def _source(folder: Path, config: Mapping[str, Any], where: str) -> str | None:
    """The template: a file of its own, or a text in the settings, or the one called default among several."""
    if (folder / TEMPLATE).exists():
        try:
            return (folder / TEMPLATE).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise TokenizerUnusable(f"{where}: {TEMPLATE} cannot be read: {' '.join(str(error).split())}") from error
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _token(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _tokenizer(folder: Path, where: str) -> "tuple[str | None, Tokenizer | None]":
    path = folder / TOKENIZER
    if not path.exists():
        return None, None
    from tokenizers import Tokenizer

    try:
        content = path.read_bytes()
        return hashlib.sha256(content).hexdigest(), Tokenizer.from_buffer(content)
    except Exception as error:
        raise TokenizerUnusable(f"{where}: {TOKENIZER} cannot be read: {' '.join(str(error).split())}") from error


class ChatTemplate:
    """A compiled chat template."""

    def __init__(self, source: str, special: Mapping[str, str]) -> None:
        """Compile it.

        Args:
            source: the jinja2 text.
            special: special tokens by name, such as `bos_token`; the template sees them under these names.

        Raises:
            TokenizerUnusable: it is no jinja2.
        """
        self.source = source
        self._special = {"bos_token": "", **special}
        self._template = _compiled(source, "", "")

    def render(self, messages: Sequence[Mapping[str, Any]], *, ask: bool, **variables: Any) -> str:
        """The text of a conversation.

        Args:
            messages: as the template wants them, `role` and `content` at least.
            ask: whether the text goes on to where the assistant begins to speak.
            variables: further ones that the template may look at, such as `enable_thinking`.

        Raises:
            TokenizerUnusable: the template does not take these messages.
        """
        return self._rendered(self._template, messages, ask, variables)

    def marked(self, messages: Sequence[Mapping[str, Any]], **variables: Any) -> list[str]:
        """The pieces of a conversation's text that the template itself marks as the assistant's, in order.

        Raises:
            TokenizerUnusable: the template does not take these messages.
        """
        text = self._rendered(_compiled(self.source, _OPEN, _CLOSE), messages, False, variables)
        return [piece.partition(_CLOSE)[0] for piece in text.split(_OPEN)[1:]]

    def _rendered(
        self, template: Template, messages: Sequence[Mapping[str, Any]], ask: bool, variables: Mapping[str, Any]
    ) -> str:
        try:
            return template.render(
                messages=[dict(message) for message in messages],
                tools=None,
                documents=None,
                add_generation_prompt=ask,
                **{**self._special, **variables},
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise TokenizerUnusable(f"the chat template does not render: {' '.join(str(error).split())}") from error


def first_token(after: str, tokenizer: "Tokenizer | None") -> str | None:
    """What closes a turn: the first special token of what stands behind its words, else the first line of that.

    Args:
        after: the text behind the turn's words.
        tokenizer: None where there is none; then a token is known by its brackets.

    Returns:
        None where nothing but blanks stands there.
    """
    if tokenizer is not None:
        tokens = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        begins = [token for token in tokens if token and after.lstrip().startswith(token)]
        if begins:
            return max(begins, key=len)
    first = next((line.strip() for line in after.splitlines() if line.strip()), "")
    end = min((place for sign in (">", "]") if (place := first.find(sign)) > 0), default=-1)
    return (first[: end + 1] if end > 0 else first) or None


class _Generation(Extension):
    """`{% generation %}...{% endgeneration %}`, the marks that trainers put around the assistant's words."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it as an instance's attribute

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return f"{self.environment.globals['_open']}{caller()}{self.environment.globals['_close']}"


def _compiled(source: str, before: str, after: str) -> Template:
    """With the same sandbox, block trimming, filters and functions that transformers has."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["_open"], environment.globals["_close"] = before, after
    environment.globals["raise_exception"] = _raise
    # The day where the template is used, as transformers has it.
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise TokenizerUnusable(f"the chat template is no jinja2: {error}") from error


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise TemplateError(message)
