"""A student behind an endpoint: what is sent, what is kept, and what becomes of each way in which a server fails."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.trajectories.replay.openai_stub import Stub, completion, failure, served, serving
from trajectories.replay.ask import ACTION, replay
from trajectories.replay.endpoint import IN_A_ROW, EndpointDown, EndpointRefused, EndpointStudent
from trajectories.replay.result import ReplayResult
from trajectories.replay.step import Step, digest
from trajectories.template import CHATML, StudentTemplate, load_student_template

ANSWER = json.dumps({"analysis": "a", "plan": "p", "commands": [{"keystrokes": "ls\n"}], "task_complete": False})
THOUGHT = "<think>\nhm\n</think>\n\n"


def steps(tasks: int = 2) -> list[Step]:
    """Two steps a task; the first answer is thought about."""
    made = []
    for number in range(tasks):
        first = [{"role": "user", "content": f"task {number}"}]
        second = [*first, {"role": "assistant", "content": THOUGHT + ANSWER}, {"role": "user", "content": "screen"}]
        made += [
            Step(task_id=f"t{number}", step_idx=index, ref_raw=ANSWER, messages=messages)
            for index, messages in enumerate((first, second))
        ]
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> StudentTemplate:
    """ChatML with a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [ANSWER], trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML, "eos_token": "<|im_end|>"}))
    return load_student_template(str(folder))


def ask(stub: Stub, folder: Path, template: StudentTemplate | None = None, tasks: int = 2, **more: Any) -> ReplayResult:
    asked = steps(tasks)
    thinking = more.pop("thinking", "stripped")
    settings = {"max_tokens": 64, "retries": 0, "seconds": 5.0, **more}
    student = EndpointStudent(stub.url, "m", template, thinking, **settings)
    with serving(stub):
        student._url = stub.url
        return replay(asked, digest(asked), student, "m", folder)


def test_chat_completions_of_a_server_that_renders_unseen(tmp_path: Path) -> None:
    stub = Stub(lambda _: completion(ANSWER, cached=40))
    made = ask(stub, tmp_path / "out", key="secret-7", concurrency=1)
    assert (made.aggregate["score"], made.audit.source, made.rank_eligible) == (100.0, "server", False)
    assert (made.cache_hit_rate, made.load_seconds) == (0.4, None)
    assert [path for path, _ in stub.asked] == ["/v1/chat/completions"] * 4
    first, second = (body for _, body in stub.asked[:2])
    assert first == {
        "model": "m",
        "messages": [{"role": "user", "content": "task 0"}],
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 64,
    }, "nothing that only vLLM knows"
    assert second["messages"][1]["content"] == ANSWER, "thinking is stripped from the history"
    assert set(stub.keys) == {"Bearer secret-7"}
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"secret-7" not in written


def test_completions_get_the_ids_of_our_own_rendering(tmp_path: Path, template: StudentTemplate) -> None:
    stub = Stub(lambda _: completion(ANSWER), served("m", owned_by="vllm", max_model_len=4096))
    made = ask(stub, tmp_path, template, concurrency=1, structured=True)
    assert [path for path, _ in stub.asked] == ["/v1/completions"] * 4
    body = stub.asked[1][1]
    assert body["prompt"] == template.ids(template.prompt(steps()[1].messages))
    assert THOUGHT not in template.prompt(steps()[1].messages)
    assert body["stop_token_ids"] == template.ids("<|im_end|>")
    assert (body["add_special_tokens"], body["top_k"], body["repetition_penalty"]) == (False, -1, 1.0)
    assert body["response_format"]["json_schema"]["schema"] == ACTION
    assert made.audit == template.audit
    assert made.sampling["max_model_len"] == 4096
    assert made.rank_reasons == ["structured output"]


def test_thinking_kept_and_off_over_chat(tmp_path: Path) -> None:
    for thinking, second in (("kept", THOUGHT + ANSWER), ("off", ANSWER)):
        stub = Stub(lambda _: completion(ANSWER), served("m", owned_by="vllm"))
        ask(stub, tmp_path / thinking, thinking=thinking, concurrency=1)
        body = stub.asked[1][1]
        assert body["messages"][1]["content"] == second
        assert body.get("chat_template_kwargs", {}).get("enable_thinking") is (False if thinking == "off" else None)


def test_steps_of_a_trajectory_are_asked_one_after_another(tmp_path: Path) -> None:
    open_now: list[str] = []
    together: list[tuple[str, ...]] = []

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        task = body["messages"][0]["content"]
        open_now.append(task)
        together.append(tuple(open_now))
        time.sleep(0.05)
        open_now.remove(task)
        return completion(ANSWER)

    ask(Stub(answer), tmp_path, tasks=6, concurrency=3)
    assert all(len(set(tasks)) == len(tasks) for tasks in together), "never two of one trajectory"
    assert max(map(len, together)) == 3


def test_prompts_that_do_not_fit_are_set_aside_with_and_without_a_tokenizer(
    tmp_path: Path, template: StudentTemplate
) -> None:
    short, long = (len(template.ids(template.prompt(step.messages)) or []) for step in steps()[:2])
    stub = Stub(lambda _: completion(ANSWER), served("m", max_model_len=(short + long) // 2 + 64))
    made = ask(stub, tmp_path / "counted", template)
    assert (made.skipped, len(stub.asked)) == ({"too-long": 2}, 2)

    def refuse(body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["messages"]) > 1:
            return failure(400, "This model's maximum context length is 8 tokens. However, you requested 99.")
        return completion(ANSWER)

    made = ask(Stub(refuse), tmp_path / "told")
    assert (made.skipped, made.aggregate["score"]) == ({"too-long": 2}, 50.0)


@pytest.mark.parametrize(
    ("reply", "kind", "said_line"),
    [
        (failure(401, "Incorrect API key"), EndpointRefused, "does not take the key: Incorrect API key"),
        (failure(404, "The model `m` does not exist."), EndpointRefused, "The model `m` does not exist"),
        (failure(400, "response_format is unknown"), EndpointRefused, "refuses what it is asked: response_format"),
        (failure(500, "boom"), EndpointDown, f"{IN_A_ROW} steps failed in a row, the last: boom"),
        ((200, b'{"id": "x", "choi'), EndpointDown, "steps failed in a row"),
        ((200, {"choices": []}), EndpointDown, "has no choices"),
    ],
)
def test_a_server_that_fails_throughout_is_one_line(
    tmp_path: Path, reply: Any, kind: type[Exception], said_line: str
) -> None:
    stub = Stub(lambda _: reply)
    with pytest.raises(kind, match=r"^http://") as caught:
        ask(stub, tmp_path, tasks=10, concurrency=2)
    assert said_line in str(caught.value)
    assert len(stub.asked) <= IN_A_ROW + 1


def test_one_failure_is_asked_again_and_one_that_lasts_is_counted(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        task = json.dumps(body["messages"])
        seen[task] = seen.get(task, 0) + 1
        if body["messages"][0]["content"] == "task 0" and len(body["messages"]) == 1:
            return failure(500, "boom")
        return failure(503, "busy") if seen[task] == 1 else completion(ANSWER)

    made = ask(Stub(answer), tmp_path, retries=1, concurrency=1)
    assert made.skipped == {"failed": 1}
    assert made.rank_reasons[-1] == "1 steps were not answered"
    assert sorted(seen.values()) == [2, 2, 2, 2]


def test_a_slow_server_is_not_waited_for_without_end(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["messages"]) == 1:
            time.sleep(1.5)
        return completion(ANSWER, finish="length")

    made = ask(Stub(answer), tmp_path, seconds=0.5)
    assert (made.skipped, made.aggregate["missing"]) == ({"failed": 2}, 2)
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [row["finish_reason"] for row in rows] == ["length", "length"], "a cut-off answer is an answer"


@pytest.mark.parametrize(
    ("models_reply", "said_line"),
    [
        (served("a", "b", owned_by="vllm"), "serves a, b, not m"),
        (failure(401, "no"), "does not take the key: no"),
    ],
)
def test_the_model_is_looked_for_before_anything_is_asked(tmp_path: Path, models_reply: Any, said_line: str) -> None:
    stub = Stub(lambda _: completion(ANSWER), models_reply)
    with pytest.raises(EndpointRefused, match=said_line):
        ask(stub, tmp_path)
    assert stub.asked == []


def test_nobody_answers(tmp_path: Path, unused: Callable[[], int]) -> None:
    student = EndpointStudent(f"http://127.0.0.1:{unused()}/v1", "m", None, "stripped", max_tokens=9)
    with pytest.raises(EndpointDown, match="does not answer"):
        replay(steps(), "0" * 64, student, "m", tmp_path)


@pytest.fixture
def unused() -> Callable[[], int]:
    def port() -> int:
        with socket.create_server(("127.0.0.1", 0)) as free:
            return int(free.getsockname()[1])

    return port
