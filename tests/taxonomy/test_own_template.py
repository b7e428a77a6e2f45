"""A model's own chat template is read from its tokenizer's files and rendered as transformers renders it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from taxonomy.chat_template import TokenizerUnusable
from taxonomy.own_template import OwnTemplate, load_template

MESSAGES = [{"role": "system", "content": "SYSTEM"}, {"role": "user", "content": "USER"}]
CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}
    {%- else %}
        {{- message.content + '<|im_end|>' }}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
TRIMS = (
    "{% for m in messages %}{{ (bos_token if loop.first else '') + '<|head|>' + m['role'] + '<|/head|>\\n\\n'"
    " + m['content'] | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\\n\\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no such turn') }}{% endif %}"
    "<turn>{{ m.role }}\n{{ m.content | trim }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
LOOPS = """\
{%- set found = namespace(system='') %}
{%- for m in messages %}
    {%- if m.role != 'system' %}{% continue %}{% endif %}
    {%- set found.system = m.content %}{% break %}
{%- endfor %}
{{- '<s>[SYS]' + found.system + {"a": "<ä>"} | tojson + strftime_now('%Y') + '[/SYS]' }}
{%- for m in messages if m.role == 'user' %}{{- '[INST]' + m.content + '[/INST]' }}{% endfor %}
"""


def folder(path: Path, template: str | None, *, tokenizer: bool = True, **config: Any) -> Path:
    """A tokenizer's files; its tokens are letters, and the special ones of the templates."""
    path.mkdir(exist_ok=True)
    if template is not None:
        config["chat_template"] = template
    (path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<bos>", "eos_token": None, **config}))
    if tokenizer:
        letters = {chr(code): code for code in range(32, 127)} | {"\n": 10, "<unk>": 0}
        made = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        made.add_special_tokens(["<bos>", "<|im_start|>", "<|im_end|>", "<|eot|>", "<end>", "[/INST]", "<|im"])
        made.save(str(path / "tokenizer.json"))
    return path


@pytest.mark.parametrize(
    ("template", "stop"), [(CHATML, "<|im_end|>"), (TRIMS, "<|eot|>"), (NO_SYSTEM, "<end>"), (LOOPS, "[/INST]")]
)
@pytest.mark.parametrize("tokenizer", [True, False])
def test_it_is_what_transformers_renders_up_to_the_users_words(
    tmp_path: Path, template: str, stop: str, tokenizer: bool
) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    own = load_template(str(folder(tmp_path, template, tokenizer=tokenizer)))
    folded = [{"role": "user", "content": "SYSTEM\n\nUSER"}]
    (whole,), _ = render_jinja_template(
        [folded if template == NO_SYSTEM else MESSAGES],
        chat_template=template,
        add_generation_prompt=True,
        bos_token="<bos>",
    )
    before, _, after = whole.partition("USER")
    assert own.prompt("SYSTEM") == before
    assert own.prompt("SYSTEM", bos=False) == before.removeprefix("<bos>")
    assert own.stop == stop
    assert after.lstrip().startswith(stop)


def test_tokens_are_the_tokenizers_without_any_it_would_add(tmp_path: Path) -> None:
    own = load_template(str(folder(tmp_path, CHATML)))
    ids = own.ids("<|im_start|>user\nhi")
    assert ids is not None
    assert list(ids)[1:] == [*map(ord, "user\nhi")]
    assert len(ids) == 1 + len("user\nhi")
    assert load_template(str(folder(tmp_path / "bare", CHATML, tokenizer=False))).ids("a") is None


def test_the_name_says_which_template_and_not_where_it_lies(tmp_path: Path) -> None:
    one, same, other = (
        load_template(str(folder(tmp_path / name, template)))
        for name, template in (("a", CHATML), ("b", CHATML), ("c", TRIMS))
    )
    assert one.name == same.name != other.name
    assert one.name.startswith("own-")
    assert str(tmp_path) not in one.name


def test_where_the_template_may_stand(tmp_path: Path) -> None:
    path = folder(
        tmp_path, None, chat_template=[{"name": "tools", "template": "x"}, {"name": "default", "template": TRIMS}]
    )
    assert load_template(str(path)).stop == "<|eot|>"
    (path / "chat_template.jinja").write_text(CHATML)
    assert load_template(str(path)).stop == "<|im_end|>"
    bos = {"content": "<|begin|>", "special": True}
    assert load_template(str(folder(tmp_path, TRIMS, bos_token=bos))).prompt("S").startswith("<|im_start|>")
    (path / "chat_template.jinja").unlink()
    assert load_template(str(path)).prompt("S").startswith("<|begin|><|head|>")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (None, "no chat template"),
        ("{% for %}", "no jinja2"),
        ("{{ raise_exception('never') }}", "does not render: never"),
        ("{{ messages[9].content }}", "does not render"),
        ("a constant", "the user's words once"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "the user's words once"),
        ("{{ messages[-1].content }}", "nothing behind the user's words"),
        ("{{ ''.__class__.__mro__ }}", "does not render"),
    ],
)
def test_a_template_that_does_not_serve_is_an_error_in_one_line(
    tmp_path: Path, template: str | None, says: str
) -> None:
    with pytest.raises(TokenizerUnusable, match=says) as raised:
        load_template(str(folder(tmp_path, template)))
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TokenizerUnusable, match=r"tokenizer_config\.json cannot be read"):
        load_template(str(tmp_path))
    path = folder(tmp_path, CHATML)
    (path / "tokenizer.json").write_text("{}")
    with pytest.raises(TokenizerUnusable, match=r"tokenizer\.json cannot be read"):
        load_template(str(path))
    (path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(TokenizerUnusable, match="no JSON object"):
        load_template(str(path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-model", "no/such/folder"):
        with pytest.raises(TokenizerUnusable, match="neither a folder nor a model"):
            load_template(name)


def test_a_stop_is_told_by_its_brackets_where_no_tokenizer_says() -> None:
    for behind, stop in (
        ("[e~[\n]~b]ai\n", "[e~["),
        ("<｜Assistant｜></think>", "<｜Assistant｜>"),
        ("\n### Answer", "### Answer"),
    ):
        assert (
            OwnTemplate("{% for m in messages %}{{ m.content }}|{% endfor %}".replace("|", behind), "", {}, None).stop
            == stop
        )
