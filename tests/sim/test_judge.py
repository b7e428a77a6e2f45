"""The judge decides from the task's text, whatever its prompt says around it."""

import json
from typing import Any

import pytest

from synth.sim.judge import CRITERIA
from synth.sim.misbehave import Misbehaviour
from synth.sim.model import Sim
from tests.sim import requests

GOOD = """**Task Title:** Tidy the branches of a repository

**Objective:** Merge what is finished in /app/shop and delete what is dead.

**Scenario:**
The repository in /app/shop has seven branches, of which three have been merged and two are abandoned; the others are
in use. The branch main has to contain all finished work and nothing else, and each commit keeps its id and its author.

**Todo Checklist:**
- [ ] List the branches
- [ ] Merge feature/cart into main
- [ ] Delete the merged branches
- [ ] Delete the abandoned branches
- [ ] Check the log of main
- [ ] Leave a clean tree
"""


async def judged(task: str) -> Any:
    return json.loads(requests.text_of(await Sim().chat(requests.verdict(task))))


async def test_a_good_task_passes_though_the_rubric_speaks_of_gpus() -> None:
    verdict = await judged(GOOD)
    assert [finding["criterion"] for finding in verdict["criteria"]] == list(CRITERIA)
    assert all(finding["passed"] and finding["reason"] for finding in verdict["criteria"])
    assert verdict["difficulty"] in ("easy", "medium", "hard")


@pytest.mark.parametrize(
    ("change", "criterion"),
    [
        (("seven branches", "seven branches on a cluster of 8 A100 GPUs"), "resources"),
        (("seven branches", "seven branches in the company's AWS account"), "resources"),
        (("seven branches", "seven branches that have to be downloaded from the internet"), "network"),
        (("List the branches", "pip install the branch tool"), "network"),
        (("List the branches", "Write an exploit for the server"), "safety"),
        (("List the branches", "Rewrite the kernel around it"), "complexity"),
    ],
)
async def test_what_a_container_cannot_give_fails_its_criterion(change: tuple[str, str], criterion: str) -> None:
    verdict = await judged(GOOD.replace(*change))
    failed = [finding for finding in verdict["criteria"] if not finding["passed"]]
    assert [finding["criterion"] for finding in failed] == [criterion]
    assert verdict["difficulty"] == "impossible"
    assert verdict["reason"] == failed[0]["reason"]


async def test_a_vague_task_fails_clarity() -> None:
    verdict = await judged("**Task Title:** Make git better\n\n**Todo Checklist:**\n- [ ] Improve things")
    assert "clarity" in [finding["criterion"] for finding in verdict["criteria"] if not finding["passed"]]


async def test_another_domain_fails_domain_fit() -> None:
    cooking = (
        GOOD.replace("branch", "pan").replace("epository", "estaurant").replace("commit", "dish").replace("erge", "ix")
    )
    verdict = await judged(cooking.replace("log", "list"))
    assert [f["criterion"] for f in verdict["criteria"] if not f["passed"]] == ["domain_fit"]


async def test_a_domain_is_known_by_the_words_that_the_prompt_has_of_it() -> None:
    rules = GOOD.replace("branch", "rule").replace("epository", "ule set").replace("erge", "oin")
    rules = rules.replace("commit", "line").replace("log", "list")
    head = "Domain: Networking (networking)\nTopic: Rule sets of packet filters (firewall-rules)\n"
    about = "- such as: finished rules are joined, abandoned rules are dead\nSoftware: nftables\n"
    for prompt, passes in ((head + about, True), (head, False)):
        request = requests.structured("Verdict", f"{prompt}\nBEGIN TASK t-1\n{rules}\nEND TASK t-1")
        verdict = json.loads(requests.text_of(await Sim().chat(request)))
        assert (verdict["criteria"][-1]["criterion"], verdict["criteria"][-1]["passed"]) == ("domain_fit", passes)


async def test_infeasible_tasks_are_sampled_at_their_rate_and_rejected() -> None:
    sim = Sim(misbehaviour=Misbehaviour(infeasible_tasks=0.3))
    rejected = 0
    texts = set()
    for seed in range(200):
        task = (await sim.complete(requests.completion("version_control", "remote-push", seed)))["choices"][0]["text"]
        texts.add(task)
        verdict = json.loads(requests.text_of(await sim.chat(requests.verdict(task))))
        passed = all(finding["passed"] for finding in verdict["criteria"])
        assert passed == ("OPS-" in task), verdict
        rejected += not passed
    assert 35 <= rejected <= 85
    assert len(texts) == 200
