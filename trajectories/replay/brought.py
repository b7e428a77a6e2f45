"""A container brought to a step: the recorded keystrokes before it, typed again in a fresh one.

Apart from `trajectories.replay.equivalence` because importing it imports Harbor. Harbor's own trial makes the
environment, so that it is the one that the teacher had; it is started here and nothing is graded.
"""

import asyncio
import shlex
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from harbor.models.trial.config import AgentConfig, EnvironmentConfig, TaskConfig, TrialConfig
from harbor.models.trial.paths import EnvironmentPaths
from harbor.trial.trial import Trial

from envs.container import Container
from envs.harbor_environment import SdkEnvironment
from trajectories.carried import CarriedIds
from trajectories.record import Command
from trajectories.reexecution import Typed
from trajectories.replay.end_state import EndState, Shell, entries, variables
from trajectories.terminal import Terminal
from trajectories.trial import ENVIRONMENT

GIT_DATES = {"GIT_AUTHOR_DATE": "2038-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2038-01-01T00:00:00Z"}
"""In every container alike, so that the same commit has the same id in all of them. Later than any image's commits."""

_ASKED = "/tmp/.synth-shell"  # noqa: S108 - in a container that nobody else has
_LOOK = r"""
set -- $(tmux -u display -p -t "$pane" '#{pane_pid}' 2>/dev/null)
[ $# = 1 ] || exit 3
shell=$1 own=" " parent=$$
while [ "$parent" -gt 0 ]; do
  own="$own$parent "
  read -r line 2>/dev/null < "/proc/$parent/stat" || break
  set -- ${line##*) }
  parent=$2
done
read -r line < "/proc/$shell/stat" || exit 3
set -- ${line##*) }
front=
[ "$3" = "$6" ] || read -r front 2>/dev/null < "/proc/$6/comm"
printf '%s\036%s' "$(readlink "/proc/$shell/cwd")" "$front"
for folder in /proc/[0-9]*; do
  case "$known$own" in *" ${folder#/proc/} "*) continue;; esac
  line=$(tr '\0' ' ' 2>/dev/null < "$folder/cmdline")
  [ -n "$line" ] && printf '\036%s' "$line"
done
exit 0
"""
_SESSION_GONE = 3


class NotBrought(Exception):
    """A container cannot be brought to a step; one line."""


class Brought:
    """A container at a step, with its terminal. Made by `bring`."""

    def __init__(self, container: Container, terminal: Terminal, ids: CarriedIds) -> None:
        """Take over a container whose earlier keystrokes were typed."""
        self.container = container
        self._terminal = terminal
        self._ids = ids

    async def act(self, commands: Sequence[Command]) -> None:
        """Type an action; ids that are others here than in the recorded trial are replaced first.

        Raises:
            TerminalError: tmux or the container failed.
        """
        carried = [one.model_copy(update={"keystrokes": self._ids.carry(one.keystrokes)}) for one in commands]
        await self._terminal.act(carried, hurry=True)

    async def look(self) -> Shell:
        """The terminal's side of the state, without the exported variables; nothing in the container is changed."""
        setting = f"pane={shlex.quote(self._terminal.session)}\nknown={shlex.quote(self._terminal.known)}\n"
        ran = await self._terminal.environment.exec(setting + _LOOK, timeout_sec=30)
        if ran.return_code != 0:
            return Shell(alive=False)
        cwd, front, *processes = ran.stdout.split("\x1e")
        return Shell(True, cwd, front, None, tuple(sorted(line.strip() for line in processes)))

    async def end_state(self, paths: Sequence[str], shell: Shell) -> EndState:
        """The state as it is now: some paths, and the shell as it was looked at, asked for its variables.

        The container is of no further use: the shell was typed into.
        """
        files = await entries(self.container, paths)
        if not shell.alive or shell.front:
            return EndState(files, shell)
        ask = Command(keystrokes=f" declare -px >| {_ASKED} 2>/dev/null\n", seconds=0.5)
        await self._terminal.act([ask], hurry=True)
        try:
            told = await self.container.read(_ASKED)
        except FileNotFoundError:  # within an open quote, say, the shell takes it for something else
            return EndState(files, shell)
        declared = variables(told.decode(errors="replace"))
        return EndState(files, Shell(True, shell.cwd, shell.front, declared, shell.processes))


@asynccontextmanager
async def bring(
    folder: Path, environment_kwargs: Mapping[str, object], earlier: Sequence[Typed], name: str
) -> AsyncIterator[Brought]:
    """A fresh container of a task in which everything before a step was typed; it is removed when the context ends.

    Args:
        folder: the task folder.
        environment_kwargs: as for `trajectories.rollout.rollout`.
        earlier: the turns before the step, with the screens that the teacher saw.
        name: of the trial; unique among those that run at the same time.

    Raises:
        NotBrought: the task cannot be started, or what was typed again closed the session.
        EngineError, TerminalError: a container or its terminal failed.
    """
    with tempfile.TemporaryDirectory(prefix="synth-step-") as scratch:
        config = TrialConfig(
            task=TaskConfig(path=folder),
            trials_dir=Path(scratch),
            trial_name=name,
            agent=AgentConfig(name="nop"),
            environment=EnvironmentConfig(import_path=ENVIRONMENT, kwargs=dict(environment_kwargs)),
        )
        try:
            trial = await Trial.create(config)
        except (OSError, ValueError) as error:
            raise NotBrought(f"Harbor does not take the task: {error}") from error
        environment: SdkEnvironment = trial.agent_environment
        try:
            await environment.start(force_build=False)
            with environment.with_default_user(trial.task.config.agent.user):
                terminal = Terminal(
                    session_name="terminus-2",
                    environment=environment,
                    logging_path=EnvironmentPaths.agent_dir / "terminus_2.pane",
                    local_asciinema_recording_path=None,
                    remote_asciinema_recording_path=None,
                    extra_env=GIT_DATES,
                    user=environment.default_user,
                )
                await terminal.start()
                ids = CarriedIds()
                await terminal.get_incremental_output()
                for turn in earlier:
                    carried = [
                        one.model_copy(update={"keystrokes": ids.carry(one.keystrokes)}) for one in turn.commands
                    ]
                    await terminal.act(carried, hurry=True)
                    ids.observe(turn.screen, await terminal.get_incremental_output())
                if not await terminal.is_session_alive():
                    raise NotBrought("the earlier commands, typed again, close the session")
                yield Brought(environment.container, terminal, ids)
        finally:
            await asyncio.shield(environment.stop(delete=True))
