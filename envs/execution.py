"""What was written is executed: scripts in fresh containers of the environment's image, checks on what they leave.

The gates do the same and decide; here it is done for whoever wrote it, who is to see what came of it while there is
still something to be changed. A container is held for one script or one grading, and never while another is waited for.
"""

import shlex
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from envs import grading
from envs.builder_settings import BuilderSettings
from envs.container.packing import pack_files
from envs.engine import Container, Engine
from envs.errors import ContainerGone
from envs.folder import VERIFIER_SECONDS, Base, Environment, folder_digest, write_folder
from envs.grading import Grade
from envs.inventory import describe_state
from envs.state import StateError, StateLayer, capture
from taxonomy.task import Task

SOLUTION = "/solution"

_SYNTAX_FOLDER = "/tmp/synth-syntax"  # noqa: S108 - inside the container
_SYNTAX_COMMAND = f"""
cd {_SYNTAX_FOLDER} || exit 1
for script in *.sh; do [ -e "$script" ] && bash -n "$script" 2>&1 | head -n 5; done
for program in *.py; do
  [ -e "$program" ] || continue
  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$program" 2>&1 | tail -n 4
done
"""


@dataclass(frozen=True)
class Tried:
    """A script that was run on the initial state, and the end state that it left."""

    exit_code: int
    timed_out: bool
    output: str
    """The first and the last half, where it is long."""
    seconds: float
    end: str
    """The end state in words: what differs from the initial one."""
    layer: StateLayer | None
    """The same as a layer over the environment's image; None where it could not be captured."""


async def environment_image(engine: Engine, task: Task, base: Base, layer: StateLayer) -> tuple[str, bool]:
    """Build the image that the gates will build of this state, or find it; it is left in the engine.

    Returns:
        Its tag, and whether it was built now. Whoever is done with it calls `Engine.remove_image`.

    Raises:
        BuildFailed: the state does not go onto the base image.
    """
    bare = Environment(task=task, instruction="", solution="", checks="", wrong={}, partial={}, state=layer, base=base)
    with tempfile.TemporaryDirectory(prefix="synth-image-") as place:
        folder = Path(place) / "task"
        write_folder(bare, folder)
        tag = engine.tag(folder_digest(folder, "environment"))
        there = await engine.has_image(tag)
        if not there:
            await engine.build(folder / "environment", tag)
    return tag, not there


async def lay(container: Container, layer: StateLayer) -> None:
    """Put a state into a container of its base image, as building the environment's image does."""
    if layer.deletions:
        listed = " ".join(shlex.quote(path) for path in layer.deletions)
        await container.run(f"rm -rf -- {listed}", user="root", workdir="/")
    await container.put("/", layer.tar)


async def try_script(
    engine: Engine, image: str, script: str, seconds: float, settings: BuilderSettings
) -> Tried | str:
    """Run a script once, as the gates run it, and look at what it leaves.

    Args:
        engine: where.
        image: the environment's.
        script: bash.
        seconds: its time limit.
        settings: how much is kept of output and end state.

    Returns:
        What came of it; or what bash finds wrong with it, and then nothing was run.
    """
    async with engine.container(image) as container:
        if problem := await syntax_errors(container, {"script.sh": script}):
            return problem
        return await _tried(container, script, seconds, settings)


async def _tried(container: Container, script: str, seconds: float, settings: BuilderSettings) -> Tried:
    try:
        await container.put_files({f"{SOLUTION}/solve.sh": (script.encode(errors="replace"), 0o755)})
        ran = await container.run(
            f"{SOLUTION}/solve.sh", timeout=seconds, output_limit=min(settings.output_limit, 16_000)
        )
        # What it left running is no part of the end state, and would go on writing while that is read.
        await container.run(f"rm -rf {SOLUTION}; kill -KILL -1", user="root", workdir="/")
    except ContainerGone as gone:  # out of memory, or its first process ended
        return Tried(137, False, f"the container did not survive: {gone}", 0.0, "not known", None)
    layer: StateLayer | None = None
    try:
        layer = await capture(container)
        end = await describe_state(layer, container, settings.listing_limit)
    except StateError as error:
        end = f"cannot be told: {error}"
    return Tried(ran.exit_code, ran.timed_out, ran.output, ran.seconds, end, layer)


async def grade_initial(engine: Engine, image: str, checks: str, scripts: dict[str, str]) -> Grade | str:
    """Grade the initial state, once bash and Python have parsed the checks and the scripts that go with them.

    Args:
        engine: where.
        image: the environment's.
        checks: Python source.
        scripts: bash, by file name.

    Returns:
        The verdict, or what is no program.
    """
    async with engine.container(image) as container:
        if problem := await syntax_errors(container, {"checks.py": checks, **scripts}):
            return problem
        return await grading.grade(container, packed(checks), VERIFIER_SECONDS, engine=engine)


async def grade_end(engine: Engine, image: str, solution: str, checks: str, seconds: float) -> Grade:
    """Grade the end state that a solution leaves."""
    async with engine.container(image) as container:
        await container.put_files({f"{SOLUTION}/solve.sh": (solution.encode(errors="replace"), 0o755)})
        await container.run(f"{SOLUTION}/solve.sh", timeout=seconds)
        await container.run(f"rm -rf {SOLUTION}", user="root", workdir="/")
        return await grading.grade(container, packed(checks), VERIFIER_SECONDS, engine=engine)


def packed(checks: str) -> bytes:
    """The tests folder with these checks, as the graders take it."""
    files = {name: (text.encode(), 0o755) for name, text in grading.files().items()}
    return pack_files({**files, "checks.py": (checks.encode(errors="replace"), 0o644)})


def graded_inputs(read: Iterable[str], state: StateLayer, end: StateLayer | None) -> tuple[str, ...]:
    """Files that the checks read and a right solution leaves as they were: what they are is not for the agent to say.

    Args:
        read: absolute paths that the checks opened on the reference's end state.
        state: the initial state.
        end: what the reference changed; where that is not known nothing is an input.

    Returns:
        Those of the paths that are regular files of the state, with the content that they had there; sorted.
    """
    if end is None:
        return ()
    wanted = set(read)
    before = _contents(state, wanted)
    after = _contents(end, before.keys())
    gone = tuple(f"{path}/" for path in end.deletions)
    changed = {path for path, content in after.items() if before[path] != content}
    # A path that is something else by now (a link, a folder) is in the end state's layer without a content.
    changed |= {path for path in before if f"{path}/".startswith(gone)} if gone else set()
    changed |= {f"/{member.name}" for member in end.members() if not (member.isreg() or member.islnk())}
    return tuple(sorted(before.keys() - changed))


def _contents(layer: StateLayer, paths: Iterable[str]) -> dict[str, bytes]:
    wanted = set(paths)
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(layer.tar), mode="r:", errors="surrogateescape") as tar:
        for member in tar.getmembers():
            path = f"/{member.name}"
            if path in wanted and (member.isreg() or member.islnk()) and (file := tar.extractfile(member)):
                found[path] = file.read()
    return found


async def syntax_errors(container: Container, texts: dict[str, str]) -> str:
    """Have programs parsed, not run, by bash and Python of the container.

    Args:
        container: where.
        texts: programs by file name; `.sh` is bash, `.py` is Python.

    Returns:
        What the parsers complain of; empty when nothing.
    """
    files = {f"{_SYNTAX_FOLDER}/{name}": (text.encode(errors="replace"), 0o600) for name, text in texts.items()}
    await container.put_files(files)
    ran = await container.run(_SYNTAX_COMMAND, timeout=60)
    await container.run(f"rm -rf {shlex.quote(_SYNTAX_FOLDER)}", timeout=60)
    return ran.output.strip()
