"""The feasibility judge: simple rules on the task's text, one criterion at a time."""

import re
from collections.abc import Mapping
from typing import Any

CRITERIA = ("complexity", "clarity", "resources", "network", "safety", "domain_fit")

# The first pattern that a text matches fails its criterion; the match is quoted in the reason.
_FAULTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "resources": (
        (r"\b(?:GPUs?|TPUs?|CUDA|A100|H100)\b", "needs accelerators"),
        (r"\b(?:AWS|Azure|GCP|S3 bucket|cloud account|paid (?:seats|licen[cs]es?)|subscription)\b", "needs an account"),
        (r"\b(?:API (?:key|token)|hardware (?:token|key|signing)|USB|FPGA|oscilloscope)\b", "needs a device"),
        (r"\b\d{3,} ?(?:GB|TB)\b|\b\d+ ?(?:TB|PB)\b", "needs more disk than a container has"),
        (r"\b(?:Kubernetes|GPU|training) cluster\b|\bcluster of \d+", "needs more than one machine"),
    ),
    "network": (
        (r"\b(?:from|over|on|via) the (?:public )?internet\b", "needs the internet"),
        (r"\b(?:github|gitlab|bitbucket)\.com\b|https?://(?!localhost|127\.)", "needs an outside server"),
        (r"\b(?:pip|npm|apt|apt-get|cargo) install\b|\b[Dd]ownload(?:s|ed|ing)?\b", "needs a download"),
    ),
    "safety": (
        (r"\b(?:exploit|malware|ransomware|keylogger|botnet|phishing)\b", "asks for something harmful"),
        (r"\b(?:production (?:credentials|passwords)|someone else's account)\b", "asks for others' secrets"),
    ),
    "complexity": (
        (r"\b(?:rewrite|reimplement) (?:the )?(?:kernel|git itself|a compiler)\b", "is more than an hour's work"),
        (r"\b(?:months|weeks) of work\b", "is more than an hour's work"),
    ),
}  # fmt: skip
_PATH = re.compile(r"(?<![\w/])/(?:[\w.-]+/)*[\w.-]+|\b[\w-]+/[\w./-]+\b|\b[\w-]+\.\w{1,5}\b")
_ITEM = re.compile(r"^\s*(?:[-*]\s+|\d+[.)]\s+)", re.MULTILINE)
_BLOCK = re.compile(r"^BEGIN TASK[^\n]*\n(?P<task>.*?)\n?^END TASK", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^\W*Task Title\W", re.MULTILINE)


def task_in(text: str) -> str:
    """The task's own text within a judge's prompt: between the BEGIN and END lines, else from its title on."""
    if block := _BLOCK.search(text):
        return block["task"]
    title = _TITLE.search(text)
    return text[title.start() :] if title else text


def verdict(prompt: str, serves: bool) -> dict[str, Any]:
    """A verdict on the task in `prompt`.

    Args:
        prompt: the judge's user message.
        serves: whether the task is known to be about the domain that it was drawn for; else its words decide.

    Returns:
        `criteria` (criterion, reason, passed), `difficulty` and `reason`.
    """
    task = task_in(prompt)
    findings = []
    for criterion in CRITERIA:
        fault = next(
            (
                f"{why}: {match[0]!r}"
                for pattern, why in _FAULTS.get(criterion, ())
                if (match := re.search(pattern, task, re.IGNORECASE))
            ),
            None,
        )
        if criterion == "clarity":
            fault = _unclear(task)
        if criterion == "domain_fit" and not serves and not _names_the_domain(prompt, task):
            fault = "does not name anything of the domain"
        reason = f"The task {fault}." if fault else _PRAISE[criterion]
        findings.append({"criterion": criterion, "reason": reason, "passed": fault is None})
    failed = [finding for finding in findings if not finding["passed"]]
    steps = len(_ITEM.findall(task))
    difficulty = "impossible" if failed else "medium" if steps <= 7 else "hard"
    reason = str(failed[0]["reason"]) if failed else f"Feasible in one offline container; {steps} steps to go through."
    return {"criteria": findings, "difficulty": difficulty, "reason": reason}


_PRAISE: Mapping[str, str] = {
    "complexity": "The steps are few and each is a matter of minutes.",
    "clarity": "It names what has to be there in the end.",
    "resources": "One container with a CPU is enough.",
    "network": "Everything it needs can be made locally.",
    "safety": "It changes only the files it is about.",
    "domain_fit": "It is work on the domain's own objects.",
}


_ABOUT = re.compile(r"^(?:Domain|Topic|Software|- such as): (?P<words>.*)$", re.MULTILINE)
_WORD = re.compile(r"[a-z][a-z0-9+-]{3,}")
_FEW = 4
"""Words of its domain and topic from which on a task is taken to be about them."""


def _names_the_domain(prompt: str, task: str) -> bool:
    """Whether a task uses some of the words that the prompt has about its domain and topic."""
    head = prompt.partition("BEGIN TASK")[0]
    about = set(_WORD.findall(" ".join(match["words"] for match in _ABOUT.finditer(head)).casefold()))
    return len(about & set(_WORD.findall(task.casefold()))) >= _FEW


def _unclear(task: str) -> str | None:
    if len(task.split()) < 40:
        return f"is too short to have success criteria ({len(task.split())} words)"
    if len(_ITEM.findall(task)) < 3:
        return "has no checklist to measure success by"
    if not _PATH.search(task):
        return "names no file, folder or branch to look at afterwards"
    return None
