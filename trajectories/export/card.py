"""The dataset card: what the rows are, counted from the rows themselves, and where they come from."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from trajectories.export.order import ROWS, ExportError
from trajectories.export.overlap import Report
from trajectories.export.split import Side, Split
from trajectories.policy import Policy
from trajectories.record import Trajectory
from trajectories.template import StudentTemplate

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

COLUMNS: Mapping[str, str] = {
    "messages": "`id`; `messages` (role, content) exactly as sent and received; `tools` (empty: the scaffold has the "
    "model write its commands as JSON text); `metadata` (task, teacher, seed, reward, every check, ending, labels, "
    "tokens, digests).",
    "sharegpt": "`id` and `conversations` (from, value) in LiteCoder's shape; the same rows under the same ids.",
    "prompt-completion": "a row for each answer: `prompt` (all messages before it), `completion` (the answer), "
    "`metadata`.",
    "preference": "`prompt`, `chosen`, `rejected`: two single answers under one conversation, at the turn at which an "
    "accepted and a not accepted trial of a task first typed different things; `chosen_messages`, `rejected_messages` "
    "(both whole trials), `chosen_mask`, `rejected_mask` (1 for each answer from there on), turns and rewards of both.",
    "world-model": "`screen`, `commands` (keystrokes, seconds), `next_screen`; the same as a chat in `prompt` and "
    "`completion`; `metadata`.",
    "harbor": "a folder for each proven task, with its `certificate.json`, and `dataset.toml`.",
    "atif": "a document of Harbor's trajectory format for each trajectory.",
}
"""What each format holds, in one sentence."""


@dataclass(frozen=True)
class About:
    """What a card tells that the rows do not."""

    name: str
    """Of the dataset; the run's name."""
    policy: Policy
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the programs that made it, by name, such as synth, harbor, docker."""
    funnel: Sequence[tuple[str, int, int]] = ()
    """Stage, items that passed it, items that it turned away; in the order of the flow."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Candidates that became no row, by `stage: reason`."""
    license: str | None = None
    """An identifier that the Hugging Face hub knows; None leaves it out."""
    notes: Sequence[str] = ()
    """Further paragraphs, such as that the teacher was the built-in model."""
    lock: str | None = None
    """The run's `lock.json`, as text."""
    template: StudentTemplate | None = None
    """The student's template, when the rows are meant for one."""

    def __post_init__(self) -> None:
        if self.lock is not None:
            try:
                known = json.loads(self.lock)
            except ValueError:
                known = None
            if not isinstance(known, dict):
                raise ExportError("lock.json of the run: is damaged, no JSON object; restore it or remove it")

    @property
    def lock_sha256(self) -> str | None:
        """Digest of the lock."""
        return None if self.lock is None else hashlib.sha256(self.lock.encode()).hexdigest()


@dataclass
class Mix:
    """Counts over the trajectories of an export."""

    template: StudentTemplate | None = None
    """Counts tokens, where it can."""
    rows: int = 0
    turns: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    """None as soon as one row's cost is unknown."""
    by: dict[str, Counter[str]] = field(default_factory=dict)
    """Rows by value, by what is counted."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each trajectory's longest text under the template; empty without one."""

    def add(self, trajectory: Trajectory) -> None:
        """Count one row.

        Raises:
            TokenizerUnusable: the template does not take its messages.
        """
        self.rows += 1
        self.turns += len(trajectory.turns)
        self.prompt_tokens += trajectory.tokens.prompt
        self.completion_tokens += trajectory.tokens.completion
        known = self.cost_usd is not None and trajectory.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (trajectory.cost_usd or 0.0) if known else None
        for what, value in (
            ("domain", trajectory.domain),
            ("topic", trajectory.topic),
            ("teacher", f"{trajectory.teacher} ({trajectory.model or 'unnamed'})"),
            ("scaffold", f"{trajectory.scaffold.name} {trajectory.scaffold.version}"),
            ("reward", "none" if trajectory.reward is None else f"{trajectory.reward:g}"),
            ("ended", trajectory.ended),
        ):
            self.by.setdefault(what, Counter())[value] += 1
        if self.template is not None:
            texts = self.template.examples([message.model_dump() for message in trajectory.messages])
            counted = [tokens for each in texts if (tokens := self.template.count(each.text)) is not None]
            self.lengths += [max(counted)] if counted else []


@dataclass(frozen=True)
class Made:
    """What was written, for the card to tell."""

    counts: Mapping[str, Mapping[Side, int]]
    """Rows, documents or tasks by format and side."""
    digests: Mapping[str, str]
    """SHA-256 of the Parquet files, by name."""
    split: Split
    overlap: Report | None


def card(about: About, mix: Mix, made: Made) -> str:
    """The text of README.md: the YAML head that `datasets` reads, and the page for people.

    A configuration for each format that has rows; the first is the default. The files' digests go into its description,
    because `datasets` caches a local folder by its name and the card's head alone: without them the rows of one run are
    given out for another's.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    head = DatasetCardData(
        pretty_name=about.name,
        license=about.license,
        language=["en"],
        task_categories=["text-generation"],
        tags=["agent", "terminal", "harbor", "sft", "synthetic"],
        size_categories=[next((name for limit, name in _SIZES if mix.rows < limit), "n>1M")],
        configs=_configurations(made),
    )
    text = f"---\n{head.to_yaml()}\n---\n\n{_page(about, mix, made)}"
    return str(DatasetCard(text))


def _configurations(made: Made) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name in (name for name in made.counts if name in ROWS):
        paths = {
            side: f"{name}.parquet" if side == "train" else f"{name}.{side}.parquet"
            for side, number in made.counts[name].items()
            if number
        }
        if paths:
            found.append(
                {
                    "config_name": name,
                    "data_files": [{"split": side, "path": path} for side, path in paths.items()],
                    "description": " ".join(f"sha256:{made.digests[path]}" for path in paths.values()),
                    **({} if found else {"default": True}),
                }
            )
    return found


def _page(about: About, mix: Mix, made: Made) -> str:
    cost = "unknown" if mix.cost_usd is None else f"{mix.cost_usd:.2f} USD"
    sides = list(next(iter(made.counts.values()), {}))
    parts = [
        f"# {about.name}",
        _lead(mix, made),
        *about.notes,
        "## What is here",
        _table(["format", *sides], ([name, *(str(of[side]) for side in sides)] for name, of in made.counts.items())),
        *_split(made),
        "## What was kept",
        f"Policy `{about.policy.name}`: {about.policy.about}",
        *([_table(["stage", "passed", "turned away"], about.funnel)] if about.funnel else []),
    ]
    if about.rejected:
        reasons = sorted(about.rejected.items(), key=lambda item: (-item[1], item[0]))
        parts += ["## What became no row", _table(["stage: reason", "candidates"], reasons)]
    parts += [
        "## Mix",
        *(_table([what, "rows"], counts.most_common()) for what, counts in mix.by.items()),
        f"Tokens: {mix.prompt_tokens} read, {mix.completion_tokens} written by the teachers. Cost: {cost}.",
        "## Template",
        *_template(about, mix),
        "## Columns",
        "\n".join(f"- `{name}`: {COLUMNS[name]}" for name in made.counts),
        "## Licences",
        *_licences(about, made),
        "## Made with",
        *_lock(about),
    ]
    return "\n\n".join(parts) + "\n"


def _lead(mix: Mix, made: Made) -> str:
    if set(made.counts) == {"harbor"}:
        number = sum(made.counts["harbor"].values())
        return (
            f"{number} tasks for agents at work in a terminal, each with the executed proof that its tests tell a "
            "solution from anything else. The mix below is that of the accepted trials in them."
        )
    per_row = f"{mix.turns / mix.rows:.1f}" if mix.rows else "0"
    return (
        f"{mix.rows} trajectories of agents at work in a terminal, {per_row} answers each on average. Every task ran "
        "in a container, and every reward was earned there: the tests ran on the end state that the agent left."
    )


def _split(made: Made) -> list[str]:
    parts = []
    if made.split.share:
        parts.append(
            f"Train and held-out are split by family (domain and topic), never by row: {made.split.share:g} of the "
            "families, by the hash of their names, are held out whole. The two share no task, no family and no text."
        )
        if made.split.withheld:
            parts.append(
                f"{len(made.split.withheld)} tasks of other families are nearly a held-out one and are on neither "
                "side; `export.json` names them."
            )
    if made.overlap is not None:
        rows = [
            (pair.one, pair.other, len(pair.task_ids), len(pair.texts), len(pair.near), len(pair.families))
            for pair in made.overlap.pairs
        ]
        parts += [
            "## Overlap",
            f"Near is a Jaccard similarity of word 3-shingles from {made.overlap.threshold:g} on; `overlap.json` has "
            "every case.",
            _table(["one", "other", "same tasks", "same texts", "near", "same families"], rows),
        ]
    return parts


def _template(about: About, mix: Mix) -> list[str]:
    if about.template is None:
        return ["The rows are text; no tokenizer and no template was fixed when they were written."]
    audit = about.template.audit
    rows = [
        ("tokenizer.json (SHA-256)", audit.tokenizer or "none"),
        ("chat template (SHA-256)", audit.template or "none"),
        ("template is", audit.source),
        ("thinking in the history", audit.thinking),
    ]
    parts = [_table(["what", "value"], rows)]
    if mix.lengths:
        parts.append(
            f"Under it the longest text of a trajectory has {max(mix.lengths)} tokens, the median one "
            f"{median(mix.lengths):.0f}."
        )
    return parts


def _licences(about: About, made: Made) -> list[str]:
    parts = [
        f"The rows: {about.license or 'none is stated'}.",
        "The answers were written by the models named here; what they may be used for is also a matter of the terms of "
        "whoever serves those models.",
    ]
    if "harbor" in made.counts:
        parts.append(
            "The task folders hold what was written for them and no packages. The base images that they name are "
            "Debian packages under their own licences, in each image under `/usr/share/doc/*/copyright`."
        )
    return parts


def _lock(about: About) -> list[str]:
    parts = [_table(["program", "version"], about.versions.items())] if about.versions else []
    if about.lock is not None:
        known = json.loads(about.lock)
        if models := known.get("models"):
            parts.append(_table(["role", "model"], models.items()))
        if images := known.get("base_images"):
            parts.append(_table(["domain", "base image"], [(name, each["reference"]) for name, each in images.items()]))
        parts.append(f"`lock.json` has all versions, digests and prompts; its SHA-256 is `{about.lock_sha256}`.")
    return parts or ["Not recorded."]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)
