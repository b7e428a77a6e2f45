"""The contract of a scenario: which check stands for which statement of its instruction, told by the words they share.

A scenario's checks and its instruction are written for each other by hand, so the words that they share are enough to
find out which belong together. Words that few checks have count for more (inverse document frequency). Prompts number
the statements of whatever instruction there is; the scenario's own is cut here in the same way, to know what it lacks.
"""

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log

_WORD = re.compile(r"[a-z][a-z0-9]{2,}|\d{2,}")
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d+[.)])[ \t]+", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'`*(/\[]?[A-Z0-9`/])")
_BINDING = re.compile(
    r"\b(?:must|shall|has to|have to|should|exactly|only|never|do not|don't|no other|nothing else|stays?|unchanged|"
    r"remains?|keeps?|leave|required)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^(\d+)\. (.+)$")

TELLS = "It tells the situation or what the work is for; nothing about the end state follows from it alone."
UNKNOWN = "None of the checks looks at this."


def statements(instruction: str) -> list[str]:
    """What an instruction states, as prompts number it: list items whole, paragraphs by sentence, each on one line."""
    found: list[str] = []
    for block in re.split(r"\n[ \t]*\n", _FENCE.sub("", instruction)):
        starts = [match.start() for match in _ITEM.finditer(block)]
        lead = block[: starts[0]] if starts else block
        plain = [line for line in lead.splitlines() if not re.match(r"\s*(?:#|\|)", line)]
        found += _SENTENCE_END.split(" ".join(" ".join(plain).split()))
        for start, end in zip(starts, [*starts[1:], len(block)], strict=False):
            found.append(_ITEM.sub("", " ".join(block[start:end].split()), count=1))
    return list(dict.fromkeys(one for one in (each.strip() for each in found) if re.search(r"\w", one)))


def check_names(checks: str) -> list[str]:
    """Names of the check functions of a source, in its order."""
    nodes = ast.parse(checks).body
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")]


def contract(instruction: str, checks: str) -> dict[str, list[str]]:
    """Names of checks by statement.

    Every statement that binds by its wording has the check that is nearest to it, and every check is named by the
    statement that is nearest to it.

    Args:
        instruction: the text.
        checks: Python source of functions `check_*()`, each with a sentence.
    """
    words = _words_of_checks(checks)
    rarity = Counter(word for those in words.values() for word in those)
    weight = {word: log(1 + len(words) / count) for word, count in rarity.items()}

    def nearness(statement: str, name: str) -> float:
        return sum(weight[word] for word in _words(statement) & words[name])

    wanted = statements(instruction)
    found: dict[str, list[str]] = {text: [] for text in wanted}
    for text in wanted:
        if _BINDING.search(text):
            found[text].append(max(words, key=lambda name: nearness(text, name)))
    for name in words:
        # Where two are equally near, one that binds is what a check is written for.
        nearest = max(wanted, key=lambda text: (nearness(text, name), _BINDING.search(text) is not None))
        if name not in found[nearest]:
            found[nearest].append(name)
    return found


def answered(prompt: str, instruction: str, checks: str, kept: Sequence[str]) -> list[dict[str, object]]:
    """The contract as a writer answers it, for the statements that are numbered in a prompt.

    Args:
        prompt: with a heading `# Statements` and one numbered line for each statement.
        instruction: the scenario's own; of a statement that it does not have nothing is known.
        checks: the scenario's own.
        kept: names of the checks that the answer really has.
    """
    known = contract(instruction, checks)
    answer: list[dict[str, object]] = []
    for number, text in numbered(prompt).items():
        names = [name for name in known.get(text, ()) if name in kept]
        why = "" if names else TELLS if text in known else UNKNOWN
        answer.append({"statement": number, "checks": names, "why": why})
    return answer


def numbered(prompt: str) -> Mapping[int, str]:
    """The statements of a prompt by their numbers."""
    found: dict[int, str] = {}
    _, heading, rest = prompt.rpartition("# Statements\n")
    for line in rest.splitlines() if heading else ():
        if match := _NUMBERED.match(line):
            found[int(match[1])] = match[2]
        elif line.startswith("# "):
            break
    return found


def _words_of_checks(checks: str) -> dict[str, set[str]]:
    """Words of each check: of its name, its sentence, the names and texts in its source, and the constants it names."""
    tree = ast.parse(checks)
    constants = {
        target.id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_"):
            source = ast.unparse(node)
            named = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            texts = [source, *(constants[name] for name in named if name in constants)]
            found[node.name] = _words("\n".join(texts).replace("_", " "))
    return found


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in _WORD.findall(text.lower())}
