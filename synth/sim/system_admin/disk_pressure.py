"""Free a full disk by the house's policy: old releases, cores, stale uploads and sessions, and a log that runs away."""

from collections.abc import Iterable
from random import Random
from shlex import quote

from synth.sim.checking import checks_file
from synth.sim.git import script
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.system_admin.disk_pressure_task import DiskPressureTask
from synth.sim.system_admin.machine import file
from synth.sim.wording import listed


class DiskPressure(DiskPressureTask):
    """Drawn: three of five eaters besides the log, what the nightly run writes too much of, dates, sizes and the limit."""

    def _configuration(self, level: str, dumps: str) -> str:
        return (
            f"# Settings of the nightly run of {self.place.slug}\n"
            f"# level: how much it logs: debug, info or warn\nlevel = {level}\n"
            f"# dumps: whether it keeps a memory image: on or off\ndumps = {dumps}\nretries = {self.retries}\n"
        )

    def _nightly(self) -> str:
        folder = self.crash.removeprefix(self.place.home)
        return (
            "#!/bin/sh\n# The nightly run; its settings lie in etc/, beside the folder that this file is in.\nset -eu\n"
            'root=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
            f'conf="$root/etc/{self.place.slug}.conf" log="$root/log/{self.place.units[0]}.log"\n'
            'value() { sed -n "s/^$1 *= *//p" "$conf"; }\n'
            'mkdir -p "$root/log"\ncase $(value level) in\n'
            f"debug) yes '{self.noise}' | head -c 2500000 >> \"$log\" ;;\n"
            'info) echo "INFO nightly: done" >> "$log" ;;\nwarn) ;;\n*) echo "bad level" >&2; exit 2 ;;\nesac\n'
            f'if [ "$(value dumps)" = on ]; then\n    mkdir -p "$root{folder}"\n'
            f'    head -c 1500000 /dev/zero > "$root{folder}/core.$$"\nfi\n'
        )

    def setup(self) -> list[Run | Write]:
        home = self.place.home
        rows = "".join(
            f"{path} {size} {when.replace(' ', '_')}\n"
            for path, (_, size), when in (
                (path, entry, self.stamps[path]) for path, entry in [*self.kept.items(), *self.gone.items()]
            )
            if "/sessions/" not in path
        )
        sessions = [path for path in [*self.kept, *self.gone] if "/sessions/" in path]
        make = (
            f'while read -r path size when; do\nmkdir -p "${{path%/*}}"\n'
            f'{{ yes "${{path##*/}} of {self.place.slug}" || true; }} | head -c "$size" > "$path"\n'
            f'touch -d "$(echo "$when" | tr _ \' \')" "$path"\ndone <<\'END_OF_ROWS\'\n{rows}END_OF_ROWS'
        )
        many = "".join(f"{path[len(home) + 10 :]} {self.stamps[path].replace(' ', '_')}\n" for path in sessions)
        each = (
            f"mkdir -p {home}/sessions/{{0..6}}\npython3 -c '\nimport os, sys, datetime\nfor line in sys.stdin:\n"
            f'    name, when = line.split()\n    path = "{home}/sessions/" + name\n'
            f'    text = (os.path.basename(path) + " of {self.place.slug}\\n") * 24\n    open(path, "w").write(text[:24])\n'
            '    stamp = datetime.datetime.strptime(when, "%Y-%m-%d_%H:%M_UTC").replace(tzinfo=datetime.UTC).timestamp()\n'
            f"    os.utime(path, (stamp, stamp))\n' <<'END_OF_ROWS'\n{many}END_OF_ROWS"
        )
        half = len(self.lines) // 2
        noise = f"{{ yes {quote(self.noise)} || true; }} | head -n 40000"
        log = "\n".join(
            [
                f"mkdir -p {home}/log",
                f"{{ {noise}\ncat <<'END'\n" + "\n".join(self.lines[:half]) + f"\nEND\n{noise}\ncat <<'END'\n"
                + "\n".join(self.lines[half:]) + f"\nEND\n{noise}\n}} > {self.log}",
            ]
        )  # fmt: skip
        return [
            script("set +o pipefail", make, *([each] if sessions else [])),
            script(
                "set +o pipefail",
                log,
                f"ln -s releases/{self.current} {home}/current",
                file(
                    f"{home}/releases/PINNED",
                    f"# releases that stay, with the reason\n{self.pinned} # last one for old clients\n",
                ),
                file(f"{home}/bin/nightly", self._nightly(), "0755"),
                file(
                    self.conf,
                    self._configuration(
                        "debug" if "level" in self.causes else self.level, "on" if "dumps" in self.causes else "off"
                    ),
                ),
            ),
        ]

    def _steps(self) -> dict[str, str]:
        home = self.place.home
        every = {
            "releases": f"cd {home}/releases\nfor r in */; do r=${{r%/}}\n"
            f'[ "$r" = {self.current} ] || [ "$r" = {self.previous} ] || grep -q "^$r " PINNED || rm -r "$r"\ndone\n',
            "cores": f"find {home} -type f -regextype posix-extended -regex '.*/core\\.[0-9]+' -delete\n",
            "parts": f"find {home}/uploads -name '*.part' ! -newermt '{self.cutoff} UTC' -delete\n",
            "sessions": f"find {home}/sessions -type f ! -newermt '{self.cutoff} UTC' -delete\n",
            "cache": f"find {home}/cache -name '*.blob' -delete\n",
        }
        steps = {eater: every[eater] for eater in self.eaters}
        steps["log"] = f"grep -v DEBUG {self.log} > {self.log}.new\nmv {self.log}.new {self.log}\n"
        steps["cause"] = f"sed -i 's/^level = debug/level = warn/; s/^dumps = on/dumps = off/' {self.conf}\n"
        return steps

    def solution(self) -> str:
        return "#!/bin/bash\nset -euo pipefail\n" + "".join(self._steps().values()) + f"du -sk {self.place.home}\n"

    def _without(self, name: str, instead: str = "") -> str:
        return "".join(instead if step == name else text for step, text in self._steps().items())

    def wrong(self) -> list[Script]:
        home = self.place.home
        made = [
            Script("empties-the-log", self.solution() + f": > {self.log}\n"),
            Script("leaves-the-cause", self._without("cause")),
            Script(
                "rewrites-the-nightly-run", self._without("cause") + f"printf '#!/bin/sh\\n' > {home}/bin/nightly\n"
            ),
        ]
        if "cores" in self.eaters:
            made.append(
                Script("deletes-all-that-is-called-core", self.solution() + f"find {home} -name 'core.*' -delete\n")
            )
        if "releases" in self.eaters:
            made.append(
                Script("deletes-the-pinned-release", self.solution() + f"rm -r {home}/releases/{self.pinned}\n")
            )
        if "parts" in self.eaters:
            made.append(Script("deletes-fresh-uploads", self.solution() + f"rm -f {home}/uploads/*.part\n"))
        return made

    def partial(self) -> list[Script]:
        return [
            Script("only-the-log", "".join(self._steps()[name] for name in ("log", "cause"))),
            Script(f"leaves-the-{self.eaters[0]}", self._without(self.eaters[0])),
        ]

    def checks(self) -> str:
        constants = {
            "HOME": self.place.home,
            "LIMIT": self.limit,
            "KEPT": self.kept,
            "GONE": self._by_folder(self.gone),
            "LOG": self.log,
            "LINES": self.lines,
            "CONF": self.conf,
            "RETRIES": self.retries,
            "NIGHTLY": self._nightly(),
            "CURRENT": f"releases/{self.current}",
            "PINNED": f"{self.pinned} # last one for old clients",
        }
        return checks_file(constants, _CHECKS, ["shutil", "tempfile"])

    @staticmethod
    def _by_folder(paths: Iterable[str]) -> dict[str, str]:
        """Names by folder, in one text each: hundreds of whole paths are more than a model may answer."""
        folders: dict[str, list[str]] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, []).append(name)
        return {folder: " ".join(names) for folder, names in folders.items()}

    def solve(self, rng: Random) -> Teacher:
        hand, home, steps = Hand(rng), self.place.home, self._steps()
        screen = yield Turn(
            hand.say(
                f"{home} uses too much space.",
                f"{home} has to shrink below {self.limit} KiB without losing what is protected.",
            ),
            hand.say("Measure first: where does the space go?", "See what is big, and how many files there are."),
            (
                f"du -sk {home}",
                rng.choice(
                    (f"du -k --max-depth=2 {home} | sort -n | tail -n 12", f"du -ka {home} | sort -n | tail -n 14")
                ),
                f"find {home} -type f | cut -d/ -f1-4 | sort | uniq -c",
            ),
        )
        used = find(rf"^(\d+)\s+{home}$", screen)
        screen = yield Turn(
            f"It is {used} KiB now, {int(used) - self.limit} too many.",
            hand.say("Look at releases, log and settings closely.", "See the details before deleting anything."),
            (
                f"ls -l {home} {home}/releases; cat {home}/releases/PINNED",
                f"find {home} -name 'core.*' -size +100k | head; ls -la {self.crash} 2>/dev/null | head -n 8",
                f"cut -d' ' -f1,2 {self.log} | sed 's/^[0-9:]* //' | cut -d' ' -f1 | sort | uniq -c",
            ),
        )
        find(r"current -> (\S+)", screen)
        debug = find(r"^\s+(\d+) DEBUG", screen)
        screen = yield Turn(
            f"{debug} lines of the log are DEBUG.",
            hand.say(
                "Read the nightly run and its settings for the cause.", "What writes those? Read the nightly script."
            ),
            (f"cat {home}/bin/nightly", f"cat {self.conf}"),
        )
        cause = [setting for setting in ("level = debug", "dumps = on") if shows(rf"^{setting}$", screen)]
        screen = yield Turn(
            f"The cause: {listed(cause)}.",
            hand.say("Mend the settings, then take the DEBUG lines out of the log.", "Settings first, then the log."),
            (
                *steps["cause"].strip().splitlines(),
                *steps["log"].strip().splitlines(),
                f"ls -l {self.log}; cat {self.conf}",
            ),
        )
        careless = hand.slips(0.5)
        preview = {
            "cores": f"find {home} -type f -name 'core.*'"
            if careless
            else f"find {home} -type f -regextype posix-extended -regex '.*/core\\.[0-9]+'",
            "parts": f"find {home}/uploads -name '*.part' {'-oldermt' if careless else '! -newermt'} '{self.cutoff} UTC'",
            "sessions": f"find {home}/sessions -type f {'-oldermt' if careless else '! -newermt'} '{self.cutoff} UTC'",
        }
        named = [eater for eater in self.eaters if eater in preview]
        screen = yield Turn(
            hand.say("The log is small again.", "That cures the log."),
            hand.say("List what would be deleted before deleting it.", "Print the candidates first."),
            tuple(f"{preview[eater]} | tail -n 8" for eater in named),
        )
        if shows(r"unknown predicate|core\.(css|notes)$", screen):
            reason = (
                "There is no such predicate as -oldermt."
                if shows(r"unknown predicate", screen)
                else "The pattern also catches core.css or core.notes, which are no memory images."
            )
            screen = yield Turn(
                reason,
                hand.say("Ask again, more carefully.", "Correct the search."),
                tuple(steps[eater].strip().replace(" -delete", " | tail -n 8") for eater in named),
            )
        if shows(r"unknown predicate|core\.(css|notes)$", screen):
            raise PuzzledError("the list of candidates")
        screen = yield Turn(
            hand.say("The lists hold nothing protected.", "Only what the policy gives up is on the lists."),
            hand.say("Delete it.", "Now delete exactly that."),
            (*(steps[eater].strip() for eater in self.eaters), f"cd; du -sk {home}"),
            seconds=0.3,
        )
        left = int(find(rf"^(\d+)\s+{home}$", screen))
        if left > self.limit:
            raise PuzzledError(f"{left} KiB")
        screen = yield Turn(
            f"{left} KiB now, below {self.limit}.",
            hand.say(
                "Run the nightly job on a copy to see that it stays so.",
                "Try the nightly run in a copy of bin and etc.",
            ),
            (
                f"mkdir /tmp/try && cp -r {home}/bin {home}/etc /tmp/try/",
                "for i in 1 2 3; do /tmp/try/bin/nightly || echo failed; done; du -sk /tmp/try; rm -r /tmp/try",
                f"ls {home} {home}/releases; grep -c . {self.log}",
            ),
        )
        size = find(r"^(\d+)\s+/tmp/try$", screen)
        yield Turn(
            hand.say(
                f"Three runs leave {size} KiB in all, the log has {find(r'^(\d+)$', screen)} lines, and all protected files are there.",
                f"The run no longer fills the disk ({size} KiB after three), and nothing protected is gone.",
            ),
            hand.say("Nothing is left to do.", f"{self.ticket} is done."),
            complete=True,
        )


_CHECKS = r'''
def usage(folder):
    """KiB that a tree takes, each inode once."""
    blocks, seen = 0, set()
    for place, folders, names in os.walk(folder):
        for path in [place, *(os.path.join(place, name) for name in names)]:
            state = os.lstat(path)
            if (state.st_dev, state.st_ino) not in seen:
                seen.add((state.st_dev, state.st_ino))
                blocks += state.st_blocks
    return blocks // 2


def check_protected_files_are_unchanged():
    """Everything that the policy protects is there with its content."""
    for path, (line, size) in KEPT.items():
        assert os.path.isfile(path) and not os.path.islink(path), f"{path} is gone"
        text = (line + "\n") * (size // (len(line) + 1) + 1)
        assert read(path) == text[:size], f"{path} changed"
    assert os.path.islink(f"{HOME}/current") and os.readlink(f"{HOME}/current") == CURRENT, f"{HOME}/current changed"
    assert PINNED in read(f"{HOME}/releases/PINNED").splitlines(), "PINNED changed"


def check_what_has_to_go_is_gone():
    """Nothing is left of what the policy gives up, and it was not moved within the tree."""
    gone = [f"{folder}/{name}" for folder, names in GONE.items() for name in names.split()]
    left = [path for path in gone if os.path.lexists(path)]
    assert not left, f"{len(left)} files are left, such as {left[0]}"
    kept = {*KEPT, LOG, CONF, f"{HOME}/bin/nightly", f"{HOME}/releases/PINNED", f"{HOME}/current"}
    for folder, folders, names in os.walk(HOME):
        for name in sorted(names):
            path = os.path.join(folder, name)
            assert path in kept, f"{path} is new"
    releases = {path.split("/")[len(HOME.split("/")) + 1] for path in KEPT if path.startswith(f"{HOME}/releases/")}
    found = {name for name in os.listdir(f"{HOME}/releases") if name != "PINNED"}
    assert found == releases, f"releases: {sorted(found)}"


def check_usage_is_below_the_limit():
    """The tree takes no more space than allowed."""
    assert usage(HOME) <= LIMIT, f"{HOME} takes more than {LIMIT} KiB"


def check_log_has_every_real_line():
    """The log has all lines but the DEBUG ones, in order."""
    assert read(LOG).splitlines() == LINES, f"{LOG} has other lines than it should"


def check_the_nightly_run_stays_small():
    """The unchanged nightly run adds next to nothing with the settings as they are now."""
    assert read(f"{HOME}/bin/nightly") == NIGHTLY, "the nightly run changed"
    assert os.access(f"{HOME}/bin/nightly", os.X_OK), "the nightly run cannot be executed"
    assert f"retries = {RETRIES}" in read(CONF).splitlines(), f"{CONF} lost a setting"
    root = tempfile.mkdtemp()
    try:
        shutil.copytree(f"{HOME}/bin", f"{root}/bin")
        shutil.copytree(f"{HOME}/etc", f"{root}/etc")
        before = usage(root)
        for _ in range(3):
            output(f"{root}/bin/nightly")
        assert usage(root) - before < 48, "three runs add more than 48 KiB"
    finally:
        shutil.rmtree(root)
'''
