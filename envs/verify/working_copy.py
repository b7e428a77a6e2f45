"""A task folder as the gates take it: a copy on the base images that are wanted, so that the folder stays untouched."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from envs.folder import EVIDENCE
from envs.verify.bases import Map, replaced
from envs.verify.dockerfile import rebased
from envs.verify.shape import Malformed, Shape

PYTEST = """\
#!/bin/bash
# The tests came without a test.sh: pytest runs them, and its exit code is the verdict.
export PYTHONSAFEPATH=1
run=(python3 -m pytest)
if ! python3 -c 'import pytest' 2>/dev/null; then
  command -v pytest >/dev/null || { echo "pytest is not in the image"; exit 1; }
  run=(pytest)
fi
"${run[@]}" -p no:cacheprovider -rA "--rootdir=/tests" "/tests/%s"
[ $? -eq 0 ] && reward=1 || reward=0
echo "$reward" >/logs/verifier/reward.txt
"""
"""A tests/test.sh for a pytest file."""

PLANTED = "planted-in-working-folder"
"""Name of the wrong solution that `PLANT` is."""

PLANT = """\
#!/bin/bash
# An agent that leaves, in the folder that it was given to work in, what ends a test run with success.
for name in conftest pytest unittest; do
  echo 'import os; os._exit(0)' >"$name.py"
done
"""

UPLOADED = """\
FROM {image}
COPY . {workdir}
"""
"""Harbor lays what is beside a named image into the working folder; here it is built in."""


@contextmanager
def working_copy(folder: Path, shape: Shape, maps: Sequence[Map]) -> Iterator[Path]:
    """A copy of a task folder in the form that the gates take, gone when the context ends.

    It has a tests/test.sh and a solution/solve.sh wherever there are tests and a solution, its Dockerfile names the
    images that `maps` ask for, and where it is not ours it has one wrong solution more, `PLANT`.

    Raises:
        Malformed: something in the folder cannot be copied.
    """
    with tempfile.TemporaryDirectory(prefix="synth-verify-") as place:
        copy = Path(place) / "task"
        try:
            # Links stay links: what they lead to outside the folder is not the task's to show.
            shutil.copytree(folder, copy, symlinks=True)
        except (OSError, shutil.Error) as error:
            raise Malformed(f"it cannot be copied: {' '.join(str(error).split())[:200]}") from None
        if shape.tests == "pytest":
            _script(copy / "tests" / "test.sh", PYTEST % shape.pytest)
        if shape.solution and shape.solution != "solution/solve.sh":
            _script(copy / "solution" / "solve.sh", (copy / shape.solution).read_text(errors="surrogateescape"))
        if not shape.ours:
            _script(copy / EVIDENCE / "wrong" / f"{PLANTED}.sh", PLANT)
        file = copy / "environment" / "Dockerfile"
        if shape.dockerfile:
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
            other = rebased(text, lambda image: replaced(image, maps))
            file.write_text(other, encoding="utf-8", errors="surrogateescape")
        elif laid_beside(copy):
            workdir = f"{shape.workdir.rstrip('/')}/" if shape.workdir else "./"
            (file.parent / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
            file.write_text(UPLOADED.format(image=replaced(shape.image, maps), workdir=workdir))
        yield copy


def laid_beside(folder: Path) -> bool:
    """Whether there are files beside an image that task.toml names."""
    environment = folder / "environment"
    return environment.is_dir() and any(environment.iterdir())


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    path.chmod(0o755)
