"""What a student is asked and learns from, held against transformers' own rendering and against written-out texts."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from taxonomy.chat_template import TokenizerUnusable
from tests.vllm_server import STUDENT
from trajectories.template import (
    CHATML,
    GEMMA,
    GEMMA_EMPTY_THOUGHT,
    RAW,
    Audit,
    Fallback,
    Mismatch,
    Rendered,
    StudentTemplate,
    Thinking,
    check_match,
    load_student_template,
)

MARKED = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}
{%- else %}{{- message['content'] + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
UNMARKED_END = MARKED.replace(
    "{%- generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}",
    "{%- generation %}{{ message['content'] }}{% endgeneration %}{{- '<|im_end|>' }}",
)
SWITCHED = """\
{%- for message in messages %}
{%- set words = message.content.split('</think>')[-1].lstrip('\\n') if not loop.last else message.content %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' and loop.last and '</think>' not in words %}
{{- '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}
{{- words + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""
"""As Qwen 3's: the history has no thinking, the last answer has at least an empty block, and there is a switch."""
OPENS = """\
{%- for message in messages %}
{%- if message.role == 'assistant' %}{{- '<A>' + message.content.split('</think>')[-1].strip() + '<end>' }}
{%- else %}{{- '<U>' + message.content }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<A><think>\\n' }}{%- endif %}
"""
"""As R1's: the prompt opens the thinking, and no answer shows it."""
APART = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{{- '<think>\\n' + (message.reasoning_content or '') + '\\n</think>\\n\\n' }}
{%- endif %}
{{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}
"""
"""As Qwen 3.8's: thinking is a field of its own."""
NO_SYSTEM = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}
{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}
{{- message.content | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}
"""
SWITCHABLE = """\
{%- for message in messages %}
{{- '<|' + message.role + '|>' }}
{{- message.content if loop.last or preserve_thinking else message.content.split('</think>')[-1] }}
{{- '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}
"""

SYSTEM = {"role": "system", "content": "Answer with JSON."}
THOUGHT = "<think>\nA folder.\n</think>\n\n"
FIRST, SECOND = '{"commands": [{"keystrokes": "ls\\n"}]}', '{"task_complete": true}'
PLAIN = [
    SYSTEM,
    {"role": "user", "content": "List it."},
    {"role": "assistant", "content": FIRST},
    {"role": "user", "content": "$ ls\nä b"},
    {"role": "assistant", "content": SECOND},
]
THINKING = [
    {**message, "content": THOUGHT + message["content"]} if message["role"] == "assistant" else message
    for message in PLAIN
]


def folder(path: Path, source: str | None, **settings: Any) -> Path:
    """A model's folder with a small tokenizer."""
    path.mkdir(parents=True, exist_ok=True)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", "<end>", "<end_of_turn>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([], trainer)
    made.save(str(path / "tokenizer.json"))
    config = {"bos_token": "<bos>", "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast", **settings}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    if source is not None:
        (path / "chat_template.jinja").write_text(source)
    return path


def loaded(
    path: Path, source: str | None, thinking: Thinking = "stripped", fallback: Fallback = "auto"
) -> StudentTemplate:
    return load_student_template(str(folder(path, source)), thinking, fallback)


def learnt(examples: list[Rendered]) -> list[list[str]]:
    return [[each.text[start:end] for start, end in each.spans] for each in examples]


# Fallbacks: the texts as the published cards of Terminal-SFT models write them.


def test_chatml_is_the_published_fallback(tmp_path: Path) -> None:
    template = loaded(tmp_path, None)
    messages = [*PLAIN[:3], {"role": "tool", "content": "b"}]
    assert template.prompt(messages) == (
        "<|im_start|>system\nAnswer with JSON.<|im_end|>\n<|im_start|>user\nList it.<|im_end|>\n"
        f"<|im_start|>assistant\n{FIRST}<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n"
    )
    assert template.audit.source == "chatml"
    assert template.audit.rank_eligible
    assert template.audit.template == hashlib.sha256(CHATML.encode()).hexdigest()
    assert template.end_of_turn == "<|im_end|>"
    assert learnt(template.examples(PLAIN)) == [[f"{FIRST}<|im_end|>", f"{SECOND}<|im_end|>"]]


def test_gemmas_turns_are_the_published_fallback(tmp_path: Path) -> None:
    small = load_student_template(str(folder(tmp_path / "gemma-4-E4B", None)), "off", "gemma")
    turns = (
        "<bos><|turn>system\nAnswer with JSON.<turn|>\n<|turn>user\nList it.<turn|>\n"
        f"<|turn>model\n{FIRST}<turn|>\n<|turn>user\nb<turn|>\n<|turn>model\n"
    )
    messages = [*PLAIN[:3], {"role": "tool", "content": " b \n"}]
    assert small.prompt(messages) == turns
    assert small.audit.source == "gemma"
    assert small.audit.template == hashlib.sha256(GEMMA.encode()).hexdigest()
    assert learnt(small.examples(PLAIN)) == [[f"{FIRST}<turn|>", f"{SECOND}<turn|>"]]

    large = load_student_template(str(folder(tmp_path / "gemma-4-31B", None)), "off")
    assert large.prompt(messages) == turns + "<|channel>thought\n<channel|>"
    assert large.audit.template == hashlib.sha256(GEMMA_EMPTY_THOUGHT.encode()).hexdigest()
    one, two = large.examples(PLAIN)
    assert one.text == large.prompt(PLAIN[:2]) + f"{FIRST}<turn|>"
    assert two.text == large.prompt(PLAIN[:4]) + f"{SECOND}<turn|>"
    assert learnt([one, two]) == [[f"{FIRST}<turn|>"], [f"{SECOND}<turn|>"]]
    # Thinking models have no empty thought, and it can be asked for or kept away whatever the name.
    assert load_student_template(str(tmp_path / "gemma-4-31B"), "stripped").prompt(messages) == turns
    assert load_student_template(str(tmp_path / "gemma-4-31B"), "off", empty_thought=False).prompt(messages) == turns


def test_raw_is_given_only_when_asked_for_and_never_ranked(tmp_path: Path) -> None:
    raw = loaded(tmp_path, None, fallback="raw")
    assert raw.prompt(PLAIN[:2]) == "<bos>Answer with JSON.\n\nList it.\n\n"
    assert raw.audit.source == "raw"
    assert not raw.audit.rank_eligible
    assert raw.audit.template == hashlib.sha256(RAW.encode()).hexdigest()
    assert not Audit(tokenizer=None, template=None, source="server", thinking="off").rank_eligible
    fallbacks: tuple[Fallback, ...] = ("auto", "chatml", "gemma")
    assert all(loaded(tmp_path, None, fallback=each).audit.source != "raw" for each in fallbacks)
    assert loaded(tmp_path, MARKED, fallback="raw").audit.source == "own"


def test_a_fallback_that_a_trained_model_carries_as_its_own_is_known_again(tmp_path: Path) -> None:
    before = loaded(tmp_path / "base", None)
    after = loaded(tmp_path / "trained", CHATML)
    assert before.audit == after.audit
    check_match(before.audit, after.audit)
    assert not loaded(tmp_path / "raw", RAW).audit.rank_eligible


# Own templates.


@pytest.mark.parametrize("source", [MARKED, SWITCHED, OPENS, NO_SYSTEM, SWITCHABLE])
def test_a_prompt_is_what_transformers_renders(tmp_path: Path, source: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    messages: list[dict[str, str]] = PLAIN[:4]
    if source == NO_SYSTEM:
        messages = [{"role": "user", "content": f"{SYSTEM['content']}\n\n{PLAIN[1]['content']}"}, *PLAIN[2:4]]
    (whole,), _ = render_jinja_template(
        [messages], chat_template=source, add_generation_prompt=True, bos_token="<bos>", eos_token="<|im_end|>"
    )
    assert loaded(tmp_path, source).prompt(PLAIN[:4]) == whole


@pytest.mark.parametrize("source", [MARKED, SWITCHED, NO_SYSTEM, SWITCHABLE])
def test_a_conversation_without_thinking_ends_as_transformers_renders_it(tmp_path: Path, source: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    folded = [{"role": "user", "content": f"{SYSTEM['content']}\n\n{PLAIN[1]['content']}"}, *PLAIN[2:]]
    (whole,), _ = render_jinja_template(
        [folded if source == NO_SYSTEM else PLAIN], chat_template=source, bos_token="<bos>", eos_token="<|im_end|>"
    )
    last = loaded(tmp_path, source).examples(PLAIN)[-1]
    assert whole.removesuffix("\n") == last.text


def test_one_text_where_what_is_asked_is_the_beginning_of_what_comes(tmp_path: Path) -> None:
    template = loaded(tmp_path, MARKED)
    (one,) = template.examples(PLAIN)
    assert learnt([one]) == [[f"{FIRST}<|im_end|>", f"{SECOND}<|im_end|>"]]
    for place, (start, _) in zip((2, 4), one.spans, strict=True):
        assert one.text[:start] == template.prompt(PLAIN[:place])
    assert template.examples(PLAIN[:2]) == []
    assert template.marks_end is True
    assert loaded(tmp_path, SWITCHED).marks_end is None


def test_thinking_stripped_stays_in_the_answer_and_leaves_the_history(tmp_path: Path) -> None:
    template = loaded(tmp_path, MARKED, "stripped")
    one, two = template.examples(THINKING)
    assert learnt([one, two]) == [[f"{THOUGHT}{FIRST}<|im_end|>"], [f"{THOUGHT}{SECOND}<|im_end|>"]]
    assert two.text.startswith(template.prompt(THINKING[:4]))
    assert "A folder" not in template.prompt(THINKING[:4])
    apart = [{**message, "reasoning_content": "A folder."} for message in PLAIN]
    assert template.prompt(apart[:4]) == template.prompt(PLAIN[:4])


def test_thinking_kept_stays_everywhere(tmp_path: Path) -> None:
    (one,) = loaded(tmp_path, MARKED, "kept").examples(THINKING)
    assert learnt([one]) == [[f"{THOUGHT}{FIRST}<|im_end|>", f"{THOUGHT}{SECOND}<|im_end|>"]]
    (one,) = loaded(tmp_path, SWITCHABLE, "kept").examples(THINKING)
    assert learnt([one]) == [[f"{THOUGHT}{FIRST}<|end|>", f"{THOUGHT}{SECOND}<|end|>"]]
    with pytest.raises(TokenizerUnusable, match="drops thinking from the history"):
        loaded(tmp_path, SWITCHED, "kept")


@pytest.mark.parametrize("source", [MARKED, SWITCHED, SWITCHABLE, APART, OPENS])
def test_thinking_off_is_nowhere(tmp_path: Path, source: str) -> None:
    template = loaded(tmp_path, source, "off")
    examples = template.examples(THINKING)
    end = template.end_of_turn
    assert [text for one in learnt(examples) for text in one] == [f"{FIRST}{end}", f"{SECOND}{end}"]
    assert not any("A folder" in each.text for each in examples)
    assert examples[-1].text.startswith(template.prompt(PLAIN[:4]))


def test_a_switch_is_turned_and_an_empty_block_is_what_is_asked_with(tmp_path: Path) -> None:
    off = loaded(tmp_path, SWITCHED, "off")
    assert off.prompt(PLAIN[:2]).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert learnt(off.examples(PLAIN)) == [[f"{FIRST}<|im_end|>"], [f"{SECOND}<|im_end|>"]]
    on = loaded(tmp_path, SWITCHED, "stripped")
    assert on.prompt(PLAIN[:2]).endswith("<|im_start|>assistant\n")
    # The student begins with the block, so the block is learnt.
    empty = "<think>\n\n</think>\n\n"
    assert learnt(on.examples(PLAIN)) == [[f"{empty}{FIRST}<|im_end|>"], [f"{empty}{SECOND}<|im_end|>"]]
    assert learnt(on.examples(THINKING))[1] == [f"{THOUGHT}{SECOND}<|im_end|>"]


def test_a_prompt_that_opens_thinking_is_gone_on_from_where_it_ends(tmp_path: Path) -> None:
    template = loaded(tmp_path, OPENS, "stripped")
    assert learnt(template.examples(THINKING)) == [
        [f"A folder.\n</think>\n\n{FIRST}<end>"],
        [f"A folder.\n</think>\n\n{SECOND}<end>"],
    ]
    assert learnt(template.examples(PLAIN))[0] == [f"\n</think>\n\n{FIRST}<end>"]
    off = loaded(tmp_path, OPENS, "off")
    assert off.prompt(PLAIN[:2]) == "<U>Answer with JSON.<U>List it.<A><think>\n\n</think>\n\n"


def test_thinking_goes_into_the_field_that_a_template_has_for_it(tmp_path: Path) -> None:
    template = loaded(tmp_path, APART, "kept")
    (one,) = template.examples(THINKING)
    assert learnt([one])[0][0] == f"A folder.\n</think>\n\n{FIRST}<|im_end|>"
    assert one.text.count("<think>") == 2


def test_a_jsons_own_words_are_no_thinking(tmp_path: Path) -> None:
    quoting = '{"analysis": "it prints </think> at the end"}'
    messages = [SYSTEM, PLAIN[1], {"role": "assistant", "content": quoting}]
    assert learnt(loaded(tmp_path, MARKED, "off").examples(messages)) == [[f"{quoting}<|im_end|>"]]


def test_an_answer_that_quotes_the_end_of_turn_keeps_its_own(tmp_path: Path) -> None:
    quoting = 'It printed "<|im_end|>" and stopped.'
    messages = [SYSTEM, PLAIN[1], {"role": "assistant", "content": quoting}, *PLAIN[3:]]
    assert learnt(loaded(tmp_path, MARKED).examples(messages)) == [[f"{quoting}<|im_end|>", f"{SECOND}<|im_end|>"]]


# What cannot be used.


def test_templates_without_an_end_or_without_the_words(tmp_path: Path) -> None:
    endless = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    template = loaded(tmp_path, endless)
    assert template.prompt(PLAIN[:2]) == "<|system|>Answer with JSON.<|user|>List it."
    with pytest.raises(TokenizerUnusable, match="no end-of-turn token"):
        template.examples(PLAIN)
    silent = "{% for m in messages %}{{ m.content if m.role != 'assistant' else '...' }}<|end|>{% endfor %}"
    with pytest.raises(TokenizerUnusable, match="does not show the assistant's words"):
        loaded(tmp_path, silent).examples(PLAIN)
    shouting = MARKED.replace(
        "message['content'] + '<|im_end|>' }}{% end", "message['content'] | upper + '<|im_end|>' }}{% end"
    )
    with pytest.raises(TokenizerUnusable, match="as they are"):
        loaded(tmp_path, shouting).examples([SYSTEM, PLAIN[1], {"role": "assistant", "content": "quiet"}])
    assert loaded(tmp_path, UNMARKED_END).marks_end is False


@pytest.mark.parametrize(("source", "says"), [("{% for %}", "no jinja2"), ("{{ raise_exception('never') }}", "never")])
def test_a_template_that_does_not_render(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(TokenizerUnusable, match=says) as raised:
        loaded(tmp_path, source)
    assert str(tmp_path) in str(raised.value)


def test_names_that_are_none(tmp_path: Path) -> None:
    path = str(folder(tmp_path, None))
    with pytest.raises(TokenizerUnusable, match="alpaca"):
        load_student_template(path, "off", "alpaca")  # type: ignore[arg-type]
    with pytest.raises(TokenizerUnusable, match="sometimes"):
        load_student_template(path, "sometimes")  # type: ignore[arg-type]
    with pytest.raises(TokenizerUnusable, match="cannot be read"):
        load_student_template(str(tmp_path.parent), "off")


# The audit.


def test_the_audit_says_what_texts_were_made_with(tmp_path: Path) -> None:
    template = loaded(tmp_path, MARKED, "kept")
    assert template.audit == Audit(
        tokenizer=hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest(),
        template=hashlib.sha256(MARKED.encode()).hexdigest(),
        source="own",
        thinking="kept",
    )
    assert template.count("<|im_start|>abc<|im_end|>") == 5
    (tmp_path / "tokenizer.json").unlink()
    bare = load_student_template(str(tmp_path), "kept")
    assert bare.audit.tokenizer is None
    assert bare.count("abc") is None


def test_a_mismatch_names_what_differs(tmp_path: Path) -> None:
    trained = Audit(tokenizer="a" * 64, template="b" * 64, source="own", thinking="stripped")
    check_match(trained, trained)
    unseen = Audit(tokenizer=None, template=None, source="server", thinking="stripped")
    check_match(trained, unseen)
    for change, words in (
        ({"tokenizer": "c" * 64}, r"another tokenizer\.json \(aaaaaaaaaaaa then, cccccccccccc now\)$"),
        ({"template": "c" * 64}, "another chat template"),
        ({"thinking": "off"}, r"another treatment of thinking \(stripped then, off now\)$"),
        ({"tokenizer": "c" * 64, "thinking": "kept"}, r"tokenizer\.json .* and another treatment"),
    ):
        with pytest.raises(Mismatch, match=words):
            check_match(trained, trained.model_copy(update=change))


# The templates that publishers ship, where TRL's copies of them are at hand.

PUBLISHED = STUDENT / "lib/python3.11/site-packages/trl/chat_templates"
FAMILIES = {
    "qwen2_5": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "qwen3_instruct_2507": "<|im_end|>",
    "qwen3_5_nothink": "<|im_end|>",
    "qwen3_6": "<|im_end|>",
    "qwen3_8": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "llama3_1": "<|eot_id|>",
    "gemma": "<end_of_turn>",
    "gemma3": "<end_of_turn>",
    "gemma4_v5": "<turn|>",
    "deepseek_r1_distill": "<｜end▁of▁sentence｜>",
    "phi3_5": "<|end|>",
    "lfm2": "<|im_end|>",
    "nemotron_3_nano": "<|im_end|>",
    "gptoss": "<|return|>",
    "cohere2": "<|END_RESPONSE|>",
}
"""The end of an assistant's turn by template."""


@pytest.mark.parametrize("name", FAMILIES)
def test_published_templates(tmp_path: Path, name: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    if not (PUBLISHED / f"{name}.jinja").exists():
        pytest.skip("TRL's copies of published templates are not there; `make student` brings them")
    source = (PUBLISHED / f"{name}.jinja").read_text(encoding="utf-8")
    folds = name == "gemma"
    conversation = PLAIN
    if folds:
        conversation = [{"role": "user", "content": f"{SYSTEM['content']}\n\n{PLAIN[1]['content']}"}, *PLAIN[2:]]
    upto = len(conversation) - 1

    def theirs(ask: bool, **switches: bool) -> str:
        (text,), _ = render_jinja_template(
            [conversation[:upto] if ask else conversation],
            chat_template=source,
            add_generation_prompt=ask,
            bos_token="<bos>",
            eos_token="<|im_end|>",
            **switches,
        )
        return text

    template = loaded(tmp_path, source, "stripped")
    assert template.end_of_turn == FAMILIES[name]
    assert template.prompt(PLAIN[:4]) == theirs(True)
    last = template.examples(PLAIN)[-1]
    assert last.text[: last.spans[-1][0]] == theirs(True)
    if theirs(False).startswith(theirs(True)):
        assert theirs(False).startswith(last.text)
        # Behind the token that ends the turn, two of them write another one when the text is over.
        assert theirs(False).removeprefix(last.text).strip() == {
            "phi3_5": "<|im_end|>",  # the tokenizer's eos_token
            "cohere2": "<|END_OF_TURN_TOKEN|>",
        }.get(name, "")
    spoken = last.text[slice(*last.spans[-1])]
    assert spoken.endswith(f"{SECOND}{template.end_of_turn}")

    off = loaded(tmp_path, source, "off")
    asked = theirs(True, enable_thinking=False, thinking=False)
    assert off.prompt(PLAIN[:4]).startswith(asked.rstrip())
    assert not off.prompt(PLAIN[:4]).rstrip().endswith("<think>")
    ends = [text for each in learnt(off.examples(THINKING)) for text in each]
    assert [text[-len(SECOND + off.end_of_turn) :] for text in ends[1:]] == [SECOND + off.end_of_turn]
    assert not any("A folder" in text for text in ends)
