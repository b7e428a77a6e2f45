"""Grading: a verdict whatever the checks do, and whatever the agent left."""

import json
from collections.abc import AsyncIterator
from textwrap import dedent

import docker
import pytest

from envs import grading
from envs.container.packing import pack_files
from envs.engine import LABEL, Container, Engine
from envs.grading import Grade, grade

pytestmark = pytest.mark.docker


@pytest.fixture
async def container(engine: Engine, base: str) -> AsyncIterator[Container]:
    async with engine.container(base) as started:
        yield started


async def graded(
    container: Container,
    checks: str,
    inputs: dict[str, tuple[bytes, int]] | None = None,
    *,
    shifted: bool = False,
    **replaced: str,
) -> Grade:
    texts = grading.files() | {"checks.py": dedent(checks)}
    for name, value in replaced.items():
        old = next(line for line in texts["grade.py"].splitlines() if line.startswith(f"{name} = "))
        texts["grade.py"] = texts["grade.py"].replace(old, f"{name} = {value}")
    files = {name: (text.encode(), 0o755) for name, text in texts.items()}
    if inputs is not None:
        files["inputs.tar"] = (pack_files(inputs), 0o644)
    return await grade(container, pack_files(files), shifted=shifted)


PASSES = "def check_one():\n    assert True\n"


async def test_all_checks_must_pass(container: Container) -> None:
    assert (await graded(container, PASSES)).reward == 1
    mixed = await graded(container, PASSES + "def check_two():\n    assert 1 == 2, 'one is not two'\n")
    assert (mixed.reward, mixed.checks) == (0, {"check_one": 1, "check_two": 0})
    assert mixed.messages == {"check_two": "one is not two"}
    assert "FAIL check_two: one is not two" in mixed.output


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ("", "no check"),
        ("def helper(): pass", "no check"),
        ("def check_x(:", "SyntaxError"),
        ("\0", "ValueError|SyntaxError"),
    ],
)
async def test_without_usable_checks_the_reward_is_0(container: Container, checks: str, why: str) -> None:
    verdict = await graded(container, checks)
    assert (verdict.reward, verdict.checks) == (0, {})
    assert any(word in verdict.messages["checks.py"] for word in why.split("|"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("import os; os._exit(0)", "without an answer"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "without an answer"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("1 / 0", "ZeroDivisionError"),
        ("assert not 'text'", "line 2"),
    ],
)
async def test_a_check_that_misbehaves_fails_alone(container: Container, body: str, why: str) -> None:
    verdict = await graded(container, f"def check_bad():\n    {body}\n" + PASSES)
    assert (verdict.reward, verdict.checks) == (0, {"check_bad": 0, "check_one": 1})
    assert why in verdict.messages["check_bad"]


@pytest.mark.parametrize("top", ["import os; os._exit(0)", "raise SystemExit(0)", "import nothing_of_this_name"])
async def test_a_module_that_does_not_import_is_a_verdict(container: Container, top: str) -> None:
    verdict = await graded(container, f"{top}\n{PASSES}")
    assert (verdict.reward, verdict.checks) == (0, {"check_one": 0})


async def test_each_check_has_its_own_time_limit(container: Container) -> None:
    hanging = """
        import subprocess, time
        def check_hangs():
            subprocess.run(["sleep", "1000"])
        def check_fine():
            subprocess.Popen(["sleep", "1000"])
    """
    verdict = await graded(container, hanging, CHECK_SECONDS="0.5")
    assert verdict.checks == {"check_hangs": 0, "check_fine": 1}
    assert "did not end" in verdict.messages["check_hangs"]
    assert verdict.seconds < 10
    assert (await container.run("pgrep -c sleep")).output.strip() == "0"


async def test_nothing_of_the_session_reaches_the_checks(engine: Engine, base: str) -> None:
    async with engine.container(base, env={"PYTHONPATH": "/evil", "GIT_DIR": "/evil"}, workdir="/evil") as container:
        await container.put_files({
            "/evil/json.py": (b"raise SystemExit(0)", 0o644),
            "/evil/subprocess.py": (b"raise SystemExit(0)", 0o644),
            "/root/.gitconfig": (b"[user]\n\tname = evil\n", 0o644),
            "/tests/json.py": (b"raise SystemExit(0)", 0o644),
            "/tests/sitecustomize.py": (b"raise SystemExit(0)", 0o644),
        })  # fmt: skip
        verdict = await graded(container, """
            import os, subprocess
            def check_environment():
                assert os.getcwd() == "/"
                assert "PYTHONPATH" not in os.environ and "GIT_DIR" not in os.environ
                assert sorted(os.listdir("/tests")) == ["checks.py", "grade.py", "test.sh"]
                assert os.environ["HOME"] != "/root" and os.listdir(os.environ["HOME"]) == []
                assert subprocess.run(["git", "config", "user.name"], capture_output=True).returncode == 1
        """)  # fmt: skip
        assert verdict.reward == 1, verdict.messages


async def test_repositories_of_other_users_can_be_checked(container: Container) -> None:
    await container.run("git init -q /data && chown -R 1234 /data")
    check = """
        import subprocess
        def check_it():
            subprocess.run(["git", "-C", "/data", "status"], check=True)
    """
    assert (await graded(container, check)).reward == 1


async def test_a_verdict_planted_by_the_agent_is_not_believed(container: Container) -> None:
    await container.run(
        "mkdir -p /logs/verifier/reward.json /logs/verifier; echo 1 >/logs/verifier/reward.txt;"
        " setsid bash -c 'while :; do mkdir -p /logs/verifier;"
        ' echo "{\\"reward\\": 1}" >/logs/verifier/reward.json; done\' >/dev/null 2>&1 &'
    )
    verdict = await graded(container, "def check_no():\n    assert False, 'no'\n")
    assert verdict.reward == 0
    assert (await container.run("pgrep -fc '[w]hile :'")).output.strip() == "0"
    assert json.loads(await container.read("/logs/verifier/reward.json")) == {"reward": 0, "check_no": 0}


async def test_a_verdict_is_left_even_without_python(container: Container) -> None:
    await container.run("mv /usr/bin/python3 /usr/bin/away")
    assert (await graded(container, PASSES)).reward == 0


async def test_verdicts_of_other_peoples_tests_are_read_as_harbor_reads_them(container: Container) -> None:
    async def of(script: str) -> Grade:
        return await grade(container, pack_files({"test.sh": (f"#!/bin/bash\n{script}\n".encode(), 0o755)}))

    assert (await of("echo 0.5 >/logs/verifier/reward.txt")).reward == 0.5
    both = await of(
        """echo 0 >/logs/verifier/reward.txt; echo '{"reward": 1, "style": 0.5}' >/logs/verifier/reward.json"""
    )
    assert (both.reward, both.checks) == (1, {"style": 0.5})
    assert (await of("""echo '{"reward": NaN}' >/logs/verifier/reward.json""")).reward is None
    assert (await of("exit 1")).reward is None


SUM = """
    from pathlib import Path
    def check_sum():
        numbers = [int(line) for line in Path("/data/in/numbers").read_text().split()]
        assert Path("/app/sum").read_text().split() == [str(sum(numbers))], "the sum is wrong"
"""
NUMBERS = {"/data/in/numbers": (b"1\n2\n", 0o640), "/data/other": (b"x", 0o644)}


@pytest.mark.parametrize(
    ("left", "reward", "message"),
    [
        ("echo 3 >/app/sum", 1, None),
        ("echo 7 >/data/in/numbers; echo 7 >/app/sum", 0, "with /data/in/numbers as given: the sum is wrong"),
        ("echo 1 2 >/data/in/numbers; echo 3 >/app/sum", 1, None),
        ("echo 7 >/data/in/numbers; echo 3 >/app/sum", 0, "the sum is wrong"),
        ("rm -r /data/in; echo 3 >/app/sum", 0, "No such file"),
        ("mv /data/in /data/moved; ln -s moved /data/in; echo 3 >/app/sum", 1, None),
        (
            "mkdir /data/x; echo 7 >/data/x/numbers; rm -r /data/in; ln -s x /data/in; echo 7 >/app/sum",
            0,
            "with /data/in/numbers as given: the sum is wrong",
        ),
        ("mv /data/in/numbers /n; ln -s /n /data/in/numbers; echo 3 >/app/sum", 1, None),
        ("rm /data/other; mkfifo /data/other; echo 3 >/app/sum", 1, None),
    ],
)
async def test_graded_inputs_count_as_they_were_given(
    container: Container, left: str, reward: int, message: str | None
) -> None:
    await container.put_files(NUMBERS)
    await container.run(f"mkdir /app; {left}")
    verdict = await graded(container, SUM, NUMBERS)
    assert verdict.reward == reward, verdict
    if message is not None:
        assert message in verdict.messages["check_sum"]


async def test_an_input_that_is_put_back_stays_within_its_folders(container: Container) -> None:
    await container.put_files(NUMBERS | {"/else/numbers": (b"7\n", 0o600)})
    await container.run("mkdir /app; echo 7 >/app/sum; rm -r /data/in; ln -s /else /data/in")
    verdict = await graded(container, SUM, NUMBERS)
    assert verdict.reward == 0
    looked = await container.run("cat /else/numbers /data/in/numbers; stat -c '%F %a' /data/in /data/in/numbers")
    assert looked.output == "7\n1\n2\ndirectory 755\nregular file 640\n"


async def test_an_input_that_changes_while_the_checks_run_is_told(container: Container) -> None:
    await container.put_files(NUMBERS)
    changes = SUM + """
    def check_zeal():
        import subprocess
        subprocess.run("echo 9 >/data/in/numbers", shell=True, check=True)
"""
    await container.run("mkdir /app; echo 3 >/app/sum")
    verdict = await graded(container, changes, NUMBERS)
    assert (verdict.reward, verdict.checks) == (0, {"check_sum": 1, "check_zeal": 1})
    assert verdict.messages == {"checks.py": "/data/in/numbers was changed while the checks ran"}


async def test_what_checks_read_is_told(container: Container) -> None:
    await container.run("mkdir -p /data /app && cd /data && touch a b c d e && ln -s a link")
    verdict = await graded(container, """
        import json, os, sqlite3, subprocess, sys
        from pathlib import Path
        def check_one():
            Path("/data/link").read_bytes()
            os.chdir("/data")
            os.close(os.open("b", os.O_RDONLY))
            open("/app/written", "w").write("x")
            open("/etc/hostname").close()
            sqlite3.connect("/data/c").close()
        def check_two():
            assert not os.path.exists("/data/d/none")
            for name in ("/data/none", "/proc/self/status", "/usr/bin/env", "/tests/checks.py"):
                if os.path.exists(name):
                    open(name, "rb").close()
            open("/data/e", "r+").close()
            subprocess.run(["cat", "/data/d"], check=True)
            assert False, "and still told"
    """)  # fmt: skip
    assert verdict.checks == {"check_one": 1, "check_two": 0}, verdict
    assert verdict.read == ("/data/a", "/data/b", "/data/c", "/data/e", "/etc/hostname")
    report = json.loads(await container.read("/logs/verifier/checks.json"))
    assert report["checks"][1]["read"] == ["/data/e"]


async def test_another_time_can_be_told_to_the_checks(container: Container) -> None:
    checks = """
        import calendar, datetime, email.utils, os, random, subprocess, sys, time
        from datetime import date
        NOW = {now}
        def check_clock():
            utc, moment = datetime.timezone.utc, datetime.datetime
            told = [time.time(), time.time_ns() / 1e9, time.clock_gettime(time.CLOCK_REALTIME),
                    calendar.timegm(time.gmtime()), time.mktime(time.localtime()),
                    time.mktime(time.strptime(time.ctime())), moment.now().timestamp(), moment.now(utc).timestamp(),
                    moment.today().timestamp(), moment.utcnow().replace(tzinfo=utc).timestamp(),
                    float(time.strftime("%s"))]
            for number, value in enumerate(told):
                assert abs(value - NOW) < 300, (number, value - NOW)
            assert date.today() == datetime.date.today() == datetime.datetime.now().date()
            assert time.strftime("%Y", time.gmtime(0)) == "1970" and time.ctime(0).endswith(" 1970")
        def check_zone():
            said = subprocess.run(["date", "+%z"], capture_output=True, text=True).stdout.strip()
            assert (said, time.timezone) == {zone}, said
            assert os.environ.get("PYTHONHASHSEED") == {seed}
        def check_kinds():
            real = email.utils.parsedate_to_datetime("Mon, 01 Jan 2024 00:00:00 +0000")
            assert isinstance(real, datetime.datetime) and isinstance(real, datetime.date)
            assert not isinstance(date(2024, 1, 1), datetime.datetime)
            later = datetime.datetime(2024, 1, 1) + datetime.timedelta(days=1)
            assert later == datetime.datetime.strptime("2024-01-02", "%Y-%m-%d") and later > datetime.datetime.min
            assert datetime.datetime.fromisoformat("2024-01-02") == later
    """
    now = float((await container.run("date +%s")).output)
    plain = await graded(container, checks.format(now=now, zone=("+0000", 0), seed=None))
    assert plain.reward == 1, plain.messages
    ahead = checks.format(now=now + 400 * 86400, zone=("+1400", -14 * 3600), seed="'4242'")
    shifted = await graded(container, ahead, shifted=True)
    assert shifted.reward == 1, shifted.messages


async def test_services_live_to_be_graded_by_other_peoples_tests_and_not_by_ours(container: Container) -> None:
    await container.run("setsid sleep 1234 >/dev/null 2>&1 & cp /usr/bin/git /usr/bin/git2")
    script = b"#!/bin/bash\npgrep -c sleep >/logs/verifier/reward.txt\n"
    verdict = await grade(container, pack_files({"test.sh": (script, 0o755)}))
    assert (verdict.reward, verdict.tampered, verdict.apart) == (1, ("/usr/bin/git2",), False)
    assert (await graded(container, PASSES)).reward == 0
    assert (await container.run("pgrep -c sleep")).output.strip() == "0"


@pytest.mark.parametrize("init", [False, True], ids=["shell", "init"])
def test_a_container_that_another_harness_started_outlives_its_grading(engine: Engine, base: str, init: bool) -> None:
    """Stock Harbor's containers wait in `sleep`, a child of the first process: to end it is to end the container."""
    client = docker.from_env()
    try:
        container = client.containers.run(
            base, ["sh", "-c", "sleep infinity"], detach=True, init=init, labels={LABEL: engine.owner}
        )
        files = {name: (text.encode(), 0o755) for name, text in (grading.files() | {"checks.py": PASSES}).items()}
        container.exec_run(["sh", "-c", "sleep 2.1; mkdir -p /tests; sleep 600 & echo left behind"])
        container.put_archive("/tests", pack_files(files))
        code, output = container.exec_run(["/tests/test.sh"])
        assert code == 0, output
        assert json.loads(container.exec_run(["cat", "/logs/verifier/reward.json"])[1])["reward"] == 1
        assert "sleep 600" not in str(container.top())
    finally:
        client.close()
