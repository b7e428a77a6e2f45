"""Terminus-2's terminal with one command in the container for each turn instead of three and more.

Harbor's session asks for each turn whether tmux is alive, sends each command by itself and reads the pane once or
twice, each by an exec of its own at about 100 ms of CPU. This one sends, waits and reads in one exec. What is typed,
how long it waits and what the model is shown stay Terminus-2's, but for the blank padding below the last line, which is
stripped. The pane is not piped to a file: the record has the screens.

Terminus-2 waits for as long as the model said, however busy the machine is; with many trials on few cores a command
that takes 20 ms alone may not be done after the 0.1 s that the prompt recommends, and the model would be shown a screen
without its result. So after a turn's last command, when it ends with a newline, the terminal *settles*: it waits up to
`settle` seconds more for the shell to have its prompt back. What runs longer than that is shown as it stands, as by
Terminus-2; `settle` 0 is Terminus-2 exactly.

`hurry` is for re-execution, where no model thinks between two turns. It replaces the fixed wait after each command by
a wait *up to* that long which ends early when nothing can change any more: no process runs in the container besides
those that ran when the session started (so no background job and no server either), the shell sleeps, and the cursor
is on a later line than before the keys were sent, with two looks in a row that agree. Where any of this cannot be
seen, as after `clear` or under an editor, the wait is kept in full.
"""

import asyncio
import contextlib
import math
import shlex
from collections.abc import Sequence
from typing import Any

from harbor.agents.terminus_2.tmux_session import TmuxSession
from harbor.environments.base import ExecResult

from trajectories.record import Command

_SESSION_GONE = 3
_TMUX_FAILED = 4
_NO_TMUX = 127
_CUT = "\x1e"
"""Ends the screen in what the container prints, so that its blank lines survive any stripping on the way."""
_LONGEST_SCRIPT = 100_000
"""Bytes of one exec's script; Linux takes 131,072 in one argument or variable."""
_MARK = "synth-turn"
_GRACE = 60.0
"""Seconds that one turn may take beyond the waits it asked for."""

_LOST = f"""lost() {{ tmux has-session -t "$pane" 2>/dev/null && exit {_TMUX_FAILED}; exit {_SESSION_GONE}; }}
"""
_READ_PANE = """tmux -u capture-pane -p -S - -t "$pane" || lost
printf '\\036'
"""
_TOOLS = r"""
process() {
  local line
  read -r line 2>/dev/null < "/proc/$1/stat" || return 1
  set -- ${line##*) }
  state=$1 parent=$2 group=$3 front=$6
}
look() {
  set -- $(tmux -u display -p -t "$pane" '#{pane_pid} #{history_size} #{cursor_y} #{cursor_x}' "$@")
  [ $# = 4 ] || lost
  shell=$1 at=$(($2 + $3)) column=$4 place="$2 $3 $4"
}
clock() { now=${EPOCHREALTIME/[.,]/}; }
settle() {
  local until began
  clock; began=$now until=$((now + settle))
  while [ "$now" -lt "$until" ]; do
    if process "$shell" && [ "$state" = S ] && [ "$group" = "$front" ]; then
      [ $((now - began)) -gt 500000 ] && return
      look; [ "$at" -gt "$from" ] && [ "$column" -gt 0 ] && return
    fi
    sleep 0.05
    clock
  done
}
keys() { tmux -u send-keys -t "$pane" -- "$1" || lost; sleep "$2"; }
last() { look ";" send-keys -t "$pane" -- "$1"; from=$at; sleep "$2"; settle; }
"""

_HURRIED = r"""
own=" " parent=$$
while [ "$parent" -gt 0 ]; do own="$own$parent "; process "$parent" || break; done
quiet() {
  local folder
  for folder in /proc/[0-9]*; do
    case "$known$own" in *" ${folder#/proc/} "*) continue;; esac
    process "${folder#/proc/}" && [ "$state" != Z ] && return 1
  done
  process "$shell" && [ "$state" = S ]
}
keys() {
  local before="" until
  clock; until=$((now + $3))
  look ";" send-keys -t "$pane" -- "$1"; from=$at
  [ "$3" -gt 300000 ] || { sleep "$2"; return; }
  sleep 0.2
  clock
  while [ "$now" -lt "$until" ]; do
    if quiet; then
      look
      [ "$place" = "$before" ] && [ "$at" -gt "$from" ] && return
      before=$place
    else
      before=""
    fi
    sleep 0.1
    clock
  done
}
last() { keys "$@"; settle; }
"""


class TerminalError(RuntimeError):
    """tmux or the container failed; not something that the model did."""


class Terminal(TmuxSession):
    """A tmux session in a Harbor environment, driven a turn at a time."""

    settle = 1.0
    """Seconds, see the module's description."""

    _alive = False
    _pane: str | None = None
    """Scrollback and screen as last read, not yet shown."""

    known = " "
    """Processes that ran in the container when the session stood, as `" 1 7 9 "`."""

    @property
    def session(self) -> str:
        """Name of the tmux session."""
        return str(self._session_name)

    async def start(self) -> None:
        """Start the session and wait (at most 5 s) until its shell shows a prompt.

        Raises:
            TerminalError: there is no tmux in the image, or it does not start.
        """
        variables = " ".join(f"-e {shlex.quote(f'{key}={value}')}" for key, value in self._extra_env.items())
        ran = await self._run(
            f"command -v tmux >/dev/null || exit {_NO_TMUX}\n"
            'export TERM=xterm-256color SHELL=/bin/bash LANG="${LANG:-C.UTF-8}"\n'
            f'tmux -u new-session {variables} -x {self._pane_width} -y {self._pane_height} -d -s "$pane"'
            " 'bash --login' || exit 1\n"
            'for _ in $(seq 100); do [ -n "$(tmux capture-pane -p -t "$pane")" ] && break; sleep 0.05; done\n'
            f"{_READ_PANE}printf '%s ' /proc/[0-9]*\n",
        )
        if ran.return_code == _NO_TMUX:
            raise TerminalError("tmux is not installed in the image")
        if ran.return_code != 0:
            raise TerminalError(f"tmux does not start: {self._said(ran)}")
        self._take(ran)
        pids = ran.stdout.rpartition(_CUT)[2].replace("/proc/", "").split()
        self.known = f" {' '.join(pids)} "

    async def is_session_alive(self) -> bool:
        """Whether the pane was there when it was last read or typed into."""
        return self._alive

    async def capture_pane(self, capture_entire: bool = False) -> str:
        """The pane as last read: its lines of scrollback and screen, or of the screen alone."""
        if self._pane is None:
            self._take(await self._run(_READ_PANE))
        pane = self._pane or ""
        if capture_entire:
            return pane
        lines = pane.split("\n")
        return "\n".join(lines[-self._pane_height - 1 :])

    async def get_incremental_output(self) -> str:
        """What is new on the pane, in Terminus-2's words, without the blank padding at its end."""
        shown: str = await super().get_incremental_output()
        self._pane = None
        return shown.rstrip()

    async def act(self, commands: Sequence[Command], hurry: bool = False) -> None:
        """Type commands one after another, each followed by its wait, then read the pane.

        Args:
            commands: may be empty: then the pane is read and no more.
            hurry: end waits early where nothing can change any more (see the module's description).

        Raises:
            TerminalError: tmux or the container failed. A session that was closed by what was typed is no failure:
                `is_session_alive` is False afterwards.
        """
        if not self._alive:
            return
        script = self._script(commands, hurry)
        if len(script.encode()) > _LONGEST_SCRIPT or any(self._key_requires_paste(c.keystrokes) for c in commands):
            await self._act_by_paste(commands)
            return
        ran = await self._run(script, sum(command.seconds for command in commands))
        self._take(ran)

    async def _act_by_paste(self, commands: Sequence[Command]) -> None:
        """Harbor's own path, an exec for each step: it pastes what is too long for one tmux command."""
        for command in commands:
            try:
                await self.send_keys(command.keystrokes, min_timeout_sec=command.seconds)
            except RuntimeError as error:
                self._take(await self._run(_READ_PANE))
                if self._alive:
                    raise TerminalError(str(error)) from error
                return
        self._take(await self._run(_READ_PANE))

    def _script(self, commands: Sequence[Command], hurry: bool) -> str:
        lines = [f"settle={self.settle * 1e6:.0f} from=0", _TOOLS]
        if hurry:
            lines += [f"known={shlex.quote(self.known)}", _HURRIED]
        for index, command in enumerate(commands, start=1):
            verb = "last" if index == len(commands) and command.keystrokes.endswith("\n") else "keys"
            wait = f"{command.seconds:.3f} {command.seconds * 1e6:.0f}"
            lines.append(f"{verb} {shlex.quote(command.keystrokes)} {wait}")
        return "\n".join([*lines, _READ_PANE])

    async def _run(self, script: str, waits: float = 0.0) -> ExecResult:
        """Run a script that is in no process's arguments, where a typed `pkill -f` would find its own words."""
        try:
            return await self.environment.exec(
                f': {_MARK}\nturn=$SYNTH_TURN\nunset SYNTH_TURN\neval "$turn"',
                env={"SYNTH_TURN": f"pane={shlex.quote(self._session_name)}\n{_LOST}{script}"},
                user=self._user,
                timeout_sec=math.ceil(waits + _GRACE),
            )
        except asyncio.CancelledError:
            # The agent's time is up while a script still types: end it before the verifier looks.
            with contextlib.suppress(TimeoutError):
                stop = self.environment.exec(f"pkill -f '[{_MARK[0]}]{_MARK[1:]}'", user=self._user, timeout_sec=5)
                await asyncio.shield(asyncio.wait_for(stop, 5))
            raise

    def _take(self, ran: ExecResult) -> None:
        if ran.return_code == 0 and _CUT in (ran.stdout or ""):
            self._alive = True
            self._pane = ran.stdout.rpartition(_CUT)[0]
        elif ran.return_code == _SESSION_GONE:
            self._alive = False
            self._pane = ""
        else:
            raise TerminalError(f"the terminal failed with exit code {ran.return_code}: {self._said(ran)}")

    @staticmethod
    def _said(ran: Any) -> str:
        return " ".join(f"{ran.stderr or ''} {ran.stdout or ''}".split())[:500]
