"""Gold tasks: task texts written by hand, each with what a good judge says of it, to hold judges against."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from judges.rubric import Difficulty, Rubric
from taxonomy.catalog import Catalog
from taxonomy.documents import DocumentError, read_document
from taxonomy.layout import parse
from taxonomy.task import Draw, Origin, Task, content_id

SHIPPED = Path(__file__).parent / "gold"
"""The gold set that comes with the package."""

Kind = Literal["clear", "borderline", "infeasible"]
"""Whether the answer is plain (`clear`: feasible, `infeasible`: not) or takes reading closely (`borderline`)."""

_Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=20, max_length=300, pattern=r"^[^\n]+$")]
_Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class GoldError(DocumentError):
    """A gold file that cannot be used; prints as `path: where: what`."""


class GoldEntry(BaseModel):
    """One gold task as its file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    kind: Kind
    feasible: bool
    fails: tuple[str, ...] = ()
    """Criteria of the rubric that an infeasible task does not meet."""
    difficulty: Difficulty
    because: _Sentence
    """Why, in one sentence."""
    text: str
    """The whole task, in the layout that the sampler writes."""

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> Self:
        if self.kind != "borderline" and self.feasible != (self.kind == "clear"):
            raise ValueError(f"a task of kind {self.kind} is {'not ' if self.feasible else ''}feasible")
        if self.feasible and (self.fails or self.difficulty == "impossible"):
            raise ValueError("a feasible task fails no criterion and is not impossible")
        if not self.feasible and not self.fails:
            raise ValueError("an infeasible task needs the criteria that it fails")
        return self


class GoldFile(BaseModel):
    """A YAML file of gold tasks of one domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    tasks: Annotated[dict[_Key, GoldEntry], Field(min_length=1)]


class Gold(NamedTuple):
    """A gold task, ready to be judged."""

    id: str
    label: GoldEntry
    task: Task


def load_gold(catalog: Catalog, rubric: Rubric, folder: Path | None = None) -> list[Gold]:
    """Read every `*.yaml` of a folder of gold tasks.

    Args:
        catalog: has the domains and topics that they are about.
        rubric: has the criteria that they may fail.
        folder: where the files lie; the shipped set when not given.

    Returns:
        The tasks in the order of the files' names and, in a file, as they stand.

    Raises:
        GoldError: there is none, or one is not fit: one line that says which file, which task and what.
    """
    folder = folder or SHIPPED
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise GoldError(folder, "", "holds no gold tasks (*.yaml)")
    found: dict[str, Gold] = {}
    for path in paths:
        file = read_document(path, GoldFile, GoldError)
        if file.domain not in catalog.domains:
            raise GoldError(path, "domain", f"{file.domain!r} is not a domain of the catalog")
        for key, entry in file.tasks.items():
            where = f"tasks.{key}"
            if key in found:
                raise GoldError(path, where, "another file has a task of this name")
            if entry.topic not in catalog.domains[file.domain].topics:
                raise GoldError(path, f"{where}.topic", f"{entry.topic!r} is not a topic of {file.domain}")
            if unknown := [name for name in entry.fails if name not in rubric.criteria]:
                raise GoldError(path, f"{where}.fails", f"{unknown[0]!r} is not a criterion of the rubric")
            task = _task(file.domain, key, entry)
            if isinstance(task, str):
                raise GoldError(path, f"{where}.text", task)
            found[key] = Gold(key, entry, task)
    return list(found.values())


def _task(domain: str, key: str, entry: GoldEntry) -> Task | str:
    """The record that a judge is given, or what is wrong with the text."""
    text = entry.text.strip()
    layout = parse(text)
    if isinstance(layout, str):
        return layout
    seed = int(content_id("gold", domain, key), 16) % 2**31
    draw = Draw(domain=domain, topic=entry.topic, axes={}, seed=seed, index=0)
    origin = Origin(model="by hand", mode="gold", template="none", prompt_sha256="0" * 64, parameters={})
    return Task(draw=draw, text=text, origin=origin, **layout.model_dump())

