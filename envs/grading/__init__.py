"""How an end state is graded: the files that ship in every task folder, and the run of them in a container.

The tests are uploaded only after whoever was to be graded is done, into a folder that it never saw. It may have been
root: before anything of the container is run, its first process, which is ours, ends every other one, clears the place
for the tests and looks whether what they rest on is still the image's. If it is not, the end state is graded in a fresh
container. Tests of other people, without our `grade.py`, are run where the state is and as it is, services included.
"""

import io
import json
import math
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envs.container import Container
from envs.container.packing import pack_files
from envs.container.protected import SYSTEM_PATH
from envs.errors import ToolFailed
from envs.grading.carry import NotCarried, carry

if TYPE_CHECKING:
    from envs.engine import Engine

SHIPPED = ("test.sh", "grade.py")
TESTS = "/tests"
LOGS = "/logs/verifier"
ROOM = ((TESTS, 0o755), (LOGS, 0o777))
VOID = "grading"
"""Name in `Grade.messages` of the reason why a verdict of 0 is not the checks' own."""


@dataclass(frozen=True)
class Grade:
    """A verdict."""

    reward: float | None
    """None when the tests left none."""
    checks: Mapping[str, float]
    """Verdict of each check by name."""
    messages: Mapping[str, str] = field(default_factory=dict)
    """Why a check did not pass, by name; `checks.py` for all of them, `grading` where the checks have no say."""
    output: str = ""
    """What the tests printed, at most 8 KiB."""
    seconds: float = 0.0
    read: tuple[str, ...] = ()
    """Files that the checks opened for reading, by absolute path, sorted; not those of programs that they started."""
    tampered: tuple[str, ...] = ()
    """What the verdict would have rested on and was changed by whoever is graded."""
    apart: bool = False
    """It was graded in a fresh container into which the changes were carried."""


def files() -> dict[str, str]:
    """Name and text of the files that every task folder's `tests/` has besides `checks.py`."""
    here = Path(__file__).parent
    return {name: (here / name).read_text() for name in SHIPPED}


def cheat() -> str:
    """A bash script of a hostile agent, which ends with 0: the tricks that would earn a reward without the work."""
    return (Path(__file__).parent / "cheat.sh").read_text()


def ours(names: Sequence[str]) -> bool:
    """Whether a `tests` folder with these names is one that `files` went into."""
    return {"grade.py", "checks.py", "test.sh"} <= set(names)


async def receive(container: Container, *, end: bool = True) -> tuple[str, ...]:
    """Make room for the tests, and tell what was changed that they rest on; see `envs.container.protected`.

    Nothing of the image is run for it, unless the image has no Python and so no first process of ours.

    Args:
        container: where the end state is.
        end: whether to end every process first.
    """
    if not container.guarded:
        folders = " ".join(path for path, _ in ROOM)
        await container.run(f"rm -rf {folders}; mkdir -p {folders}; chmod 777 {LOGS}", user="root", workdir="/")
        return ()
    try:
        return tuple(await container.guard(end=end, clear=ROOM))
    except ToolFailed as error:
        return (str(error),)


async def grade(
    container: Container,
    tests: bytes,
    seconds: float = 300.0,
    *,
    engine: "Engine | None" = None,
    shifted: bool = False,
    user: str | int | None = None,
) -> Grade:
    """Upload a `tests` folder, run its `test.sh`, and read the verdict as Harbor reads it.

    Args:
        container: where the end state is.
        tests: tar of the folder, names relative to it.
        seconds: time limit of `test.sh`.
        engine: makes the fresh container where whoever is graded changed what a verdict rests on. None: then it is 0.
        shifted: set the clock of the checks 400 days ahead, in another time zone and with other random numbers.
        user: who runs tests that are not ours; None is the image's own user. Ours are run as they ask to be.

    Raises:
        ContainerGone: the container ended meanwhile.
    """
    mine = ours(_names(tests))
    tampered = await receive(container, end=mine)
    if not (mine and tampered):
        run = await _run(container, tests, seconds, mine=mine, shifted=shifted, user=None if mine else user)
        return replace(run, tampered=tampered)
    if engine is None:
        return refused(f"what grades was changed: {listed(tampered)}", tampered)
    async with engine.like(container) as fresh:
        if why := await transfer(container, fresh):
            return replace(refused(why, tampered), apart=True)
        return replace(await _run(fresh, tests, seconds, mine=True, shifted=shifted), tampered=tampered, apart=True)


async def transfer(tampered: Container, fresh: Container) -> str | None:
    """Carry the end state of a container that cannot be trusted into a fresh one, and make room for the tests there.

    Returns:
        Why nothing can be graded there; None when it can.
    """
    try:
        await carry(tampered, fresh)
    except NotCarried as error:
        return f"what grades was changed, and the end state cannot be graded apart from it: {error}"
    if reached := await receive(fresh):
        return f"what grades was changed, and the end state changes it again: {listed(reached)}"
    return None


async def spoilt(container: Container, exit_code: int) -> str | None:
    """Why a verdict of our tests, whose `test.sh` has ended, is not theirs; None when it is. Every process is ended."""
    if exit_code != 0:
        return f"the grader was ended or could not do its work (exit code {exit_code})"
    try:
        if changed := await container.guard(end=True):
            return f"what grades was changed while the checks ran: {listed(changed)}"
    except ToolFailed as error:
        return str(error)
    return None


def refused(why: str, tampered: Sequence[str] = ()) -> Grade:
    """A verdict of 0 that no check has a say in."""
    return Grade(0.0, {}, {VOID: why}, tampered=tuple(tampered))


def listed(paths: Sequence[str]) -> str:
    """The first of some paths, for a message."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


async def _run(
    container: Container,
    tests: bytes,
    seconds: float,
    *,
    mine: bool,
    shifted: bool,
    user: str | int | None = None,
) -> Grade:
    await container.put(TESTS, tests)
    if user is not None:
        await container.run(f"chmod +x {TESTS}/test.sh", user="root", workdir="/")
    argument = ""
    if shifted and mine:
        shift = Path(__file__).with_name("shift.py").read_bytes()
        await container.put(TESTS, pack_files({"shift.py": (shift, 0o644)}))
        argument = f" {TESTS}/shift.py"
    ran = await container.run(
        f"chmod +x {TESTS}/test.sh; exec {TESTS}/test.sh{argument}",
        user=user,
        timeout=seconds,
        output_limit=8192,
        # The agent may have put programs into folders that are no part of the system.
        env={"PATH": SYSTEM_PATH} if mine else {},
    )
    if mine and container.guarded and (why := await spoilt(container, ran.exit_code)):
        return replace(refused(why), output=ran.output, seconds=ran.seconds)
    rewards = await _rewards(container)
    reward = rewards.pop("reward", None) if rewards else None
    if reward is None and rewards:
        reward = sum(rewards.values()) / len(rewards)
    messages, read = await _report(container)
    return Grade(reward, rewards, messages, ran.output, ran.seconds, read)


def _names(tests: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tests)) as tar:
        return [name.removeprefix("./") for name in tar.getnames()]


async def _rewards(container: Container) -> dict[str, float]:
    try:
        found = json.loads(await container.read(f"{LOGS}/reward.json"))
    except (FileNotFoundError, ValueError):
        found = None
    if found is None:
        try:
            found = float(await container.read(f"{LOGS}/reward.txt"))
        except (FileNotFoundError, ValueError):
            return {}
    if not isinstance(found, dict):
        found = {"reward": found}
    good = all(isinstance(value, int | float) and math.isfinite(value) for value in found.values())
    return {str(name): value for name, value in found.items()} if good else {}


async def _report(container: Container) -> tuple[dict[str, str], tuple[str, ...]]:
    """Messages by check, and the files that the checks opened."""
    try:
        found = json.loads(await container.read(f"{LOGS}/checks.json"))
        messages = {check["name"]: check["message"] for check in found["checks"] if not check["passed"]}
        read = sorted({path for check in found["checks"] for path in check.get("read", ())})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}, ()
    if found.get("problem"):
        messages["checks.py"] = found["problem"]
    return messages, tuple(read)
