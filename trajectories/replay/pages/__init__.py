"""The pages of a comparison: a leaderboard as Markdown and as one HTML file, and a model card for each student.

The page needs nothing from anywhere: no script, no font, no style sheet. Names and commands were written by models and
strangers; everything is escaped for where it stands.
"""

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from trajectories.record import write_text
from trajectories.replay.comparison import Comparison, Contender, Standing
from trajectories.replay.result import ReplayResult

if TYPE_CHECKING:
    from jinja2 import Environment

COMPARISON, BOARD, PAGE, CARDS = "comparison.json", "leaderboard.md", "leaderboard.html", "cards"

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#])")
_FILE = re.compile(r"[^\w.+-]+")


def write_pages(comparison: Comparison, compared: list[Contender], folder: Path) -> list[Path]:
    """Write everything that a comparison leaves into a folder, which is made; returns the files."""
    (folder / CARDS).mkdir(parents=True, exist_ok=True)
    pages = {
        folder / COMPARISON: json.dumps(comparison.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n",
        folder / BOARD: leaderboard(comparison),
        folder / PAGE: page(comparison),
    }
    for one in compared:
        if one.result is not None:
            place = folder / CARDS / f"{_FILE.sub('-', one.name).strip('-.') or 'student'}.md"
            pages[place] = model_card(comparison, one)
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def leaderboard(comparison: Comparison) -> str:
    """The leaderboard as Markdown."""
    return _render(_environment(html=False), "leaderboard.md.j2", comparison=comparison)


def page(comparison: Comparison) -> str:
    """The leaderboard as one HTML file."""
    return _render(_environment(html=True), "leaderboard.html.j2", comparison=comparison)


def model_card(comparison: Comparison, one: Contender) -> str:
    """A student's model card: what it scored, under which conditions, and how to get the same again.

    Its head is what the Hugging Face hub reads; the figures stand there as evaluation results.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    if one.result is None:
        raise ValueError(f"{one.name} is no student")
    standing = next(standing for standing in comparison.standings if standing.name == one.name)
    ranked = sum(other.rank is not None for other in comparison.standings)
    trained = one.result.training
    base = str(trained["base"]) if trained.get("base") else None
    # A path of this machine is nothing that a hub or a reader could look up; neither is a name without an owner.
    local = base is not None and (base.startswith(("/", ".", "~")) or Path(base).exists())
    head = ModelCardData(
        language=["en"],
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["agent", "terminal", "sft", "vllm"],
        base_model=base if base is not None and "/" in base and not local else None,
        model_name=one.name,
        eval_results=[
            EvalResult(
                task_type="text-generation",
                task_name="next action in a terminal",
                dataset_type="replay",
                dataset_name=f"replay steps {one.result.steps_sha256[:12]}",
                metric_type=kind,
                metric_name=name,
                metric_value=value,
            )
            for kind, name, value in _metrics(standing)
        ],
    )
    text = _render(
        _environment(html=False),
        "card.md.j2",
        name=one.name,
        standing=standing,
        ranked=ranked,
        result=one.result,
        trained=trained,
        base=Path(base).name if base is not None and local else base,
        command=_command(one.result),
        aggregate=one.result.aggregate,
        equivalence=one.equivalence,
        live=one.live,
        pairs=[pair for pair in comparison.pairs if one.name in (pair.a, pair.b)],
    )
    return str(ModelCard(f"---\n{head.to_yaml()}\n---\n\n{text}"))


def _metrics(standing: Standing) -> list[tuple[str, str, float]]:
    found = [
        ("command_f1", "command F1", standing.f1),
        ("command_precision", "command precision", standing.precision),
        ("command_recall", "command recall", standing.recall),
        ("first_command_exact", "first command exact, %", standing.first_exact_pct),
        ("valid_json", "valid JSON, %", standing.valid_json_pct),
    ]
    if standing.equivalent_pct is not None:
        found.append(("state_equivalence", "same end state, %", standing.equivalent_pct))
    if standing.pass_at_1 is not None:
        found.append(("pass@1", "executed pass@1", round(standing.pass_at_1, 4)))
    return found


def _command(result: ReplayResult) -> str:
    """The command that asks the same student in the same way; STEPS, URL and OUT are the user's."""
    asked = result.sampling
    words = ["synth replay run --steps STEPS.jsonl --model", shlex.quote(result.student), "--out OUT"]
    if result.backend == "endpoint":
        words.append("--endpoint URL")
    words.append(f"--thinking {result.audit.thinking}")
    if result.audit.source in ("chatml", "gemma", "raw"):
        words.append(f"--fallback {result.audit.source}")
    for name in ("max_tokens", "max_model_len", *(("dtype", "tp") if result.backend == "vllm" else ())):
        if asked.get(name) is not None:
            words.append(f"--{name.replace('_', '-')} {asked[name]}")
    return " ".join([*words, *(["--structured"] if asked.get("structured") else [])])


def _environment(*, html: bool) -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(__package__ or "", "."),
        autoescape=html,  # noqa: S701 - the other pages are Markdown, and are escaped as such
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"md": _md, "clean": clean, "fence": _fence, "pct": _pct, "signed": _signed, "or_dash": _or_dash}
    return made


def _render(environment: "Environment", template: str, /, **values: object) -> str:
    return environment.get_template(template).render(**values)


def clean(text: str) -> str:
    """A text on one line whose control characters can do nothing to a terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split()))


def _md(text: object) -> str:
    return _MARKDOWN.sub(r"\\\1", clean(str(text)))


def _fence(lines: list[str]) -> str:
    """A fenced block that nothing within can close."""
    body = "\n".join(map(clean, lines)) or "(nothing)"
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", body)), default=0))
    return f"{ticks}text\n{body}\n{ticks}"


def _pct(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
