"""A share of what the judges turn away is built all the same, chosen by the task alone."""

from instructor import AsyncInstructor

from judges.feasibility import JudgeSettings, audited, judge
from judges.rubric import Rubric
from judges.verdict import Judgement
from taxonomy.catalog import Catalog
from taxonomy.task import Rejection
from tests.judges.test_feasibility import said
from tests.taxonomy.scripted_server import ScriptedServer
from tests.taxonomy.tasks import DRAW, task


async def test_an_audited_task_goes_on_and_says_so(
    server: ScriptedServer, client: AsyncInstructor, rubric: Rubric, catalog: Catalog
) -> None:
    for share, kind in ((0.0, Rejection), (1.0, Judgement)):
        server.answer_chat(said("network", difficulty="impossible"))
        made = await judge(task(), [("judge", client)], rubric, JudgeSettings(audit=share), catalog)
        assert isinstance(made, kind)
    assert isinstance(made, Judgement)
    assert (made.audited, made.difficulty) == (True, "impossible")
    server.answer_chat(said())
    passed = await judge(task(), [("judge", client)], rubric, JudgeSettings(audit=1.0), catalog)
    assert isinstance(passed, Judgement)
    assert not passed.audited


async def test_an_invalid_answer_is_not_audited(
    server: ScriptedServer, client: AsyncInstructor, rubric: Rubric, catalog: Catalog
) -> None:
    server.answer_chat("no")
    made = await judge(task(), [("judge", client)], rubric, JudgeSettings(audit=1.0, reasks=0), catalog)
    assert isinstance(made, Rejection)
    assert made.reason == "invalid-answer"


def test_the_share_is_kept_and_grows_by_adding() -> None:
    tasks = [task(draw=DRAW.model_copy(update={"index": index})) for index in range(2000)]
    chosen = {share: {one.id for one in tasks if audited(one, share)} for share in (0.0, 0.1, 0.3, 1.0)}
    assert not chosen[0.0]
    assert 150 <= len(chosen[0.1]) <= 250
    assert chosen[0.1] < chosen[0.3] < chosen[1.0]
    assert len(chosen[1.0]) == 2000
