"""Mend the cron jobs of a project: wrong days, run twice, a percent sign, overlapping runs, a table that cron ignores."""

from random import Random

from synth.sim.checking import checks_file
from synth.sim.git import script
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.system_admin.cron_jobs_task import CronJobsTask
from synth.sim.system_admin.machine import file
from synth.sim.wording import listed


class CronJobs(CronJobsTask):
    """Drawn: three of four faulty jobs, why the table is ignored, whether a tool is missing in cron's short PATH."""

    def _schedule(self, job: str) -> str:
        return {
            self.weekday: f"{self.at[0]} {self.at[1]} * * {self.days[0]}",
            self.hourly: f"{self.hour_minute} * * * *",
            self.daily: f"{self.report_at[0]} {self.report_at[1]} * * *",
            self.often: f"*/{self.every} * * * *",
        }[job]

    def _command(self, job: str, escaped: bool = True, locked: bool = True) -> str:
        call = self.scripts[job]
        if job == self.daily:
            call += r" $(date +\%Y-\%m-\%d)" if escaped else " $(date +%Y-%m-%d)"
        if job == self.often and locked:
            call = f"flock -n {self.place.home}/log/{job}.lock {call}"
        return f"{call} >> {self.logs[job]} 2>&1"

    def _line(self, job: str, faults: tuple[str, ...] | list[str] = ()) -> str:
        schedule = self._schedule(job)
        if job == self.weekday and "days" in faults:
            schedule = f"{self.at[0]} {self.at[1]} {self.days[0].replace('6,0', '6,7')} * *"
        command = self._command(job, "percent" not in faults, "overlap" not in faults)
        return f"{schedule} {self.user} {command}"

    def _tables(self, faults: list[str], with_path: bool) -> str:
        path = f"PATH={self.place.home}/bin:/usr/bin:/bin\n" if with_path else ""
        return f"SHELL=/bin/sh\n{path}" + "".join(f"{self._line(job, faults)}\n" for job in self.jobs)

    def _job(self, job: str) -> str:
        label = f"label=$({self.tool})\n" if job == self.needs_tool else "label=-\n"
        pause = "sleep 0.7\n" if job == self.often else ""
        return (
            f"#!/bin/sh\n# {job} of {self.place.slug}: says on standard output when it begins and ends.\nset -eu\n"
            f'{label}echo "begin {job} $label ${{1:-}}"\n{pause}echo "end {job} $label ${{1:-}}"\n'
        )

    def _crontab(self, twice: bool) -> str:
        extra = f"{self._schedule(self.hourly)} {self._command(self.hourly)}\n" if twice else ""
        return f"# {self.person}'s own\n{self.own}\n{extra}"

    def setup(self) -> list[Run | Write]:
        home, content = self.place.home, self._tables(self.faults, not self.path_fault)
        ending = f'printf %s "$(cat {self.found})" > {self.found}' if self.table_fault == "nonewline" else "true"
        mode = "0664" if self.table_fault == "writable" else "0644"
        spool = f"/var/spool/cron/crontabs/{self.person}"
        return [
            script(
                "export SOURCE_DATE_EPOCH=1735000000",
                f"useradd -r -U -u {self.uid} -M -d {home} -s /usr/sbin/nologin {self.user}",
                f"useradd -U -u {self.uid + 1} -m -k /dev/null -s /bin/bash {self.person}",
                *(file(path, self._job(job), "0755") for job, path in self.scripts.items()),
                file(f"{home}/bin/{self.tool}", f"#!/bin/sh\necho {self.place.host}\n", "0755"),
                f"mkdir -p {home}/log\nchown {self.user}: {home}/log",
                file(self.found, content, mode),
                ending,
                file(spool, self._crontab("twice" in self.faults), "0600", f"{self.person}:crontab"),
                file(f"/home/{self.person}/list.txt", "bread\nsalt\n", "0644", f"{self.person}:{self.person}"),
            )
        ]

    def _install(self, content: str, clean: bool = True) -> str:
        remove = f"rm -f {self.found}\n" if self.found != self.table else ""
        own = f"crontab -l -u {self.person} | grep -v -F {self.scripts[self.hourly]} | crontab -u {self.person} -\n"
        return (
            f"cat > {self.table} <<'END_OF_TABLE'\n{content}END_OF_TABLE\nchmod 0644 {self.table}\n{remove}"
            f"{own if clean else ''}"
        )

    def solution(self) -> str:
        return f"#!/bin/bash\nset -euo pipefail\n{self._install(self._tables([], True))}cat {self.table}\n"

    def alternative(self) -> str:
        lines = "".join(f"{line!r}, " for line in self._tables([], True).splitlines())
        own = f"/var/spool/cron/crontabs/{self.person}"
        return (
            "#!/bin/bash\nset -euo pipefail\n# the table is written as a whole, line by line, and put in place in one move\n"
            f"python3 - <<'END'\nimport os, pathlib\n\nlines = [{lines}]\n"
            f"new = pathlib.Path({self.table + '.new'!r})\nnew.write_text(''.join(line + '\\n' for line in lines))\n"
            f"new.chmod(0o644)\nfound = pathlib.Path({self.found!r})\nfound.unlink()\nos.replace(new, {self.table!r})\n"
            f"own = pathlib.Path({own!r})\n"
            f"kept = [line for line in own.read_text().splitlines(True) if {self.scripts[self.hourly]!r} not in line]\n"
            f"own.write_text(''.join(kept))\nEND\nls -l {self.table} {own}\n"
        )

    def wrong(self) -> list[Script]:
        made = []
        for fault in self.faults:
            if fault == "twice":
                made.append(Script("leaves-the-second-entry", self._install(self._tables([], True), clean=False)))
            else:
                made.append(Script(f"leaves-{fault}", self._install(self._tables([fault], True))))
        made.append(Script("removes-the-whole-crontab", self.solution() + f"crontab -r -u {self.person}\n"))
        made.append(Script("runs-as-root", self._install(self._tables([], True).replace(f" {self.user} ", " root "))))
        return made

    def partial(self) -> list[Script]:
        return [
            Script("only-makes-the-table-readable", self._install(self._tables(self.faults, True))),
            Script("only-cleans-the-crontab", self._install(self._tables([], True)) + f"chmod 0666 {self.table}\n"),
        ]

    def checks(self) -> str:
        constants = {
            "TABLE": self.table,
            "USER": self.user,
            "WANTED": {job: self._schedule(job) for job in self.jobs},
            "SCRIPTS": self.scripts,
            "SOURCES": {
                **{self.scripts[job]: self._job(job) for job in self.jobs},
                f"{self.place.home}/bin/{self.tool}": f"#!/bin/sh\necho {self.place.host}\n",
            },
            "LOGS": self.logs,
            "LABELS": {job: self.place.host if job == self.needs_tool else "-" for job in self.jobs},
            "DATED": self.daily,
            "SINGLE": self.often,
            "PERSON": self.person,
            "OWN": self.own,
        }
        return checks_file(constants, _CHECKS, ["datetime", "pwd", "re", "stat", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        hand, home = Hand(rng), self.place.home
        screen = yield Turn(
            hand.say(
                f"The jobs of {self.place.slug} do not run as they should.",
                "Cron tables are wrong here; I want to see all of them.",
            ),
            hand.say("List the tables, their modes and what they say.", "Look at /etc/cron.d and the user crontabs."),
            (
                "ls -la /etc/cron.d /var/spool/cron/crontabs",
                f"cat /etc/cron.d/{self.place.slug}*",
                f"echo; crontab -l -u {self.person}",
                rng.choice(
                    (f"tail -n +1 {home}/jobs/* | head -n 60", f"head -n 8 {home}/jobs/*", f"cat {home}/jobs/*")
                ),
            ),
        )
        name = find(rf" ({self.place.slug}(?:\.\w+)?)$", screen)
        mode = find(rf"^(-\S+) .* {self.place.slug}(?:\.\w+)?$", screen)
        seen = []
        if "." in name:
            seen.append(f"cron skips {name} because of the dot")
        if mode[5] == "w":
            seen.append(f"{name} is writable by its group, so cron refuses it")
        if self.table_fault == "nonewline":
            seen.append(f"the last line of {name} may lack its newline")
        if len([line for line in screen.splitlines() if self.scripts[self.hourly] in line and "* * *" in line]) > 1:
            seen.append(f"{self.hourly} stands in two tables")
        tool = shows(r"^label=\$\(", screen)
        screen = yield Turn(
            f"{listed(seen).capitalize()}." if seen else "The lines themselves need a closer look.",
            hand.say(
                f"Run one job as cron does, with nothing but its short environment, as {self.user}.",
                "See how a job behaves in cron's environment.",
            ),
            (
                f"id {self.user}; tail -c 1 /etc/cron.d/{name} | xxd",
                f"runuser -u {self.user} -- env -i HOME={home} PATH=/usr/bin:/bin /bin/sh -c {self.scripts[self.needs_tool]}",
                f"ls {home}/bin",
            ),
        )
        missing = tool and shows(r"not found", screen)
        careless = hand.slips()
        content = self._tables(["percent"] if careless else [], True)
        screen = yield Turn(
            f"{find(r'([\w-]+): not found', screen)} is not on cron's PATH." if missing else "That job runs.",
            hand.say(
                "Write the table anew: PATH, schedules, one run at a time, the user in each line.",
                "Replace the table by a right one.",
            ),
            (
                f"cat > {self.table} <<'EOF'\n{content}EOF",
                f"chmod 0644 {self.table}",
                *([f"rm /etc/cron.d/{name}"] if name != self.place.slug else []),
                f"crontab -l -u {self.person} | grep -v -F {self.scripts[self.hourly]} | crontab -u {self.person} -",
                f"ls -l /etc/cron.d; crontab -l -u {self.person}",
            ),
        )
        screen = yield Turn(
            hand.say("Table and crontab are written.", f"Only {self.person}'s own job is left in that crontab."),
            hand.say(
                "Look for percent signs, which cron turns into newlines.", "Read the lines back, with an eye on `%`."
            ),
            (
                f"grep -n % {self.table}",
                rng.choice((f"cat -A {self.table} | tail -n 2 | cut -c1-150", f"tail -c 1 {self.table} | xxd")),
            ),
        )
        if shows(r"[^\\]%Y", screen):
            screen = yield Turn(
                "The percent signs of date are not escaped; cron would cut the command there.",
                hand.say("Put a backslash before each of them.", "Escape them."),
                (f"sed -i 's/%/\\\\%/g' {self.table}", f"grep -n % {self.table}"),
            )
        if not shows(r"\\%Y-\\%m-\\%d", screen):
            raise PuzzledError("escaped percent signs")
        runs = (
            f"cut -d' ' -f7- {self.table} | grep {home}/jobs | sed 's/\\\\%/%/g' > {home}/try.sh",
            f"runuser -u {self.user} -- env -i HOME={home} PATH={home}/bin:/usr/bin:/bin /bin/sh -e {home}/try.sh; echo rc=$?",
        )
        screen = yield Turn(
            hand.say("The table reads right now.", "The percent signs are escaped."),
            hand.say(f"Run every command of the table once, as {self.user}.", "Try all four commands as cron would."),
            (*runs, f"tail -n 2 {home}/log/*.log"),
            seconds=1.5,
        )
        if not shows(r"^rc=0", screen):
            raise PuzzledError("rc=0")
        screen = yield Turn(
            hand.say("All four ran and wrote their logs.", "Each log has its begin and end."),
            hand.say(
                f"Start {self.often} twice at once, then tidy up.",
                f"See that two runs of {self.often} exclude each other.",
            ),
            (
                f"grep {self.often} {home}/try.sh > {home}/one.sh; rm {home}/try.sh",
                f"(runuser -u {self.user} -- sh {home}/one.sh & runuser -u {self.user} -- sh {home}/one.sh; wait)",
                f"rm {home}/one.sh; tail -n 4 {self.logs[self.often]}; ls /etc/cron.d {home}",
            ),
            seconds=1.5,
        )
        yield Turn(
            hand.say(
                f"Begin and end of {self.often} alternate, the table is in place and {self.person} keeps the own job.",
                "Every job runs once, as the right user, at the right times, and writes its log.",
            ),
            hand.say("Nothing is left to do.", f"{self.ticket} is done."),
            complete=True,
        )


_CHECKS = r'''
NAMES = {name: i for i, name in enumerate("sun mon tue wed thu fri sat".split())}
NAMES.update((name, i) for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1))
MACROS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}
SETTING = re.compile(r"""^\s*["']?([A-Za-z_]\w*)["']?\s*=\s*(.*?)\s*$""")


def field(text, low, high):
    """Values of one field."""
    values = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            ends = [NAMES[end] if end in NAMES else int(end) for end in span.split("-")]
            first, last = ends[0], ends[-1]
        assert low <= first <= last <= high, f"{text} is out of range"
        values |= set(range(first, last + 1, int(step or 1)))
    return values


def times(schedule):
    """Days of a sample year and minutes of the day that a schedule means."""
    minute, hour, day, month, weekday = schedule.split()
    minutes = {h * 60 + m for h in field(hour, 0, 23) for m in field(minute, 0, 59)}
    days, months = field(day, 1, 31), field(month, 1, 12)
    weekdays = {number % 7 for number in field(weekday, 0, 7)}
    chosen = set()
    for number in range(365):
        date = datetime.date(2027, 1, 1) + datetime.timedelta(number)
        by_day, by_weekday = date.day in days, (date.weekday() + 1) % 7 in weekdays
        both = day.startswith("*") or weekday.startswith("*")
        if date.month in months and (by_day and by_weekday if both else by_day or by_weekday):
            chosen.add(number)
    return chosen, minutes


def entries(path, user=None):
    """Entries of a table as (schedule, user, command, environment); a line that is none fails."""
    found, settings = [], {}
    for line in read(path).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (match := SETTING.match(line)) and not re.match(r"\s*[\d*@]", line):
            settings[match[1]] = match[2].strip("\"'")
            continue
        count = 1 if line.lstrip().startswith("@") else 5
        parts = line.split(None, count if user else count + 1)
        assert len(parts) == (count + 1 if user else count + 2), f"{path}: {line!r} is no entry"
        schedule = " ".join(parts[:count])
        schedule = MACROS.get(schedule, schedule)
        if schedule != "@reboot":
            times(schedule)
        owner = user or parts[count]
        pwd.getpwnam(owner)
        found.append((schedule, owner, parts[-1], dict(settings)))
    return found


def accepted(path):
    """Whether cron reads a table in /etc/cron.d."""
    state = os.lstat(path)
    whole = open(path, "rb").read().endswith(b"\n")
    name = re.fullmatch(r"[A-Za-z0-9_-]+", os.path.basename(path))
    return bool(name) and stat.S_ISREG(state.st_mode) and state.st_uid == 0 and not state.st_mode & 0o022 and whole


def mentions(text, job):
    """Whether a line is about the job."""
    return re.search(re.escape(SCRIPTS[job]) + r"(?![\w.-])", text) is not None


def entry_of(job):
    """The job's only entry in the project's table."""
    found = [entry for entry in entries(TABLE) if mentions(entry[2], job)]
    assert len(found) == 1, f"{job} has {len(found)} entries in {TABLE}"
    return found[0]


def start(job):
    """The job's command started as cron starts it."""
    _, user, command, settings = entry_of(job)
    account = pwd.getpwnam(user)
    pieces = re.split(r"(?<!\\)%", command)
    data = "\n".join(piece.replace("\\%", "%") for piece in pieces[1:])
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": account.pw_dir, "SHELL": "/bin/sh", "LOGNAME": user, "USER": user, **settings,
    }
    given = tempfile.TemporaryFile()
    given.write(data.encode())
    given.seek(0)
    process = subprocess.Popen(
        [environment["SHELL"], "-c", pieces[0].replace("\\%", "%")], cwd=account.pw_dir, env=environment, user=account.pw_uid,
        group=account.pw_gid, extra_groups=[], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    given.close()
    return process


def log_of(job):
    """Lines of the job's log."""
    return read(LOGS[job]).splitlines() if os.path.exists(LOGS[job]) else []


def check_cron_accepts_the_table():
    """The table has a name, owner, mode and form with which cron reads it."""
    assert os.path.exists(TABLE), f"there is no {TABLE}"
    assert accepted(TABLE), f"cron ignores {TABLE} (name, owner, mode or its last newline)"
    assert entries(TABLE), f"{TABLE} has no entry"


def check_times_and_users():
    """Each job has its times and its user."""
    for job, wanted in WANTED.items():
        schedule, user, _, _ = entry_of(job)
        assert user == USER, f"{job} runs as {user}"
        assert times(schedule) == times(wanted), f"{job} runs at {schedule}"


def check_one_entry_each():
    """No other table of the machine mentions the jobs."""
    others = [f"/etc/cron.d/{name}" for name in os.listdir("/etc/cron.d")]
    others += [f"/var/spool/cron/crontabs/{name}" for name in os.listdir("/var/spool/cron/crontabs")]
    for path in [*others, "/etc/crontab"]:
        if path == TABLE or not os.path.isfile(path):
            continue
        for line in read(path).splitlines():
            for job in SCRIPTS:
                assert line.lstrip().startswith("#") or not mentions(line, job), f"{path} has an entry for {job}"


def check_jobs_run_as_cron_runs_them():
    """Each job succeeds in cron's environment and appends what it prints to its log."""
    for job in SCRIPTS:
        before, today = log_of(job), datetime.date.today()
        process = start(job)
        said = process.communicate(timeout=20)[0].decode(errors="replace")
        assert process.returncode == 0, f"{job} ended with {process.returncode}: {said[-200:]}"
        after = log_of(job)
        assert after[: len(before)] == before, f"the log of {job} was not appended to"
        new = [line.rstrip() for line in after[len(before) :]]
        dates = {today, datetime.date.today()} if job == DATED else {""}
        expected = [
            [f"{word} {job} {LABELS[job]} {date}".rstrip() for word in ("begin", "end")] for date in dates
        ]
        assert new in expected, f"{LOGS[job]} got {new}"


def check_no_two_runs_at_once():
    """Two runs of the frequent job at the same time do not overlap."""
    before = len(log_of(SINGLE))
    running = [start(SINGLE), start(SINGLE)]
    for process in running:
        process.communicate(timeout=20)
    words = [line.split()[0] for line in log_of(SINGLE)[before:]]
    assert words and words == ["begin", "end"] * (len(words) // 2), "two runs at the same time overlap, or none ran"


def check_the_rest_is_untouched():
    """Scripts, tools, the system's own table and the colleague's own job are as they were."""
    for path, content in SOURCES.items():
        assert read(path) == content, f"{path} changed"
    assert os.path.isfile("/etc/cron.d/e2scrub_all"), "/etc/cron.d/e2scrub_all is gone"
    assert OWN in read(f"/var/spool/cron/crontabs/{PERSON}").splitlines(), f"{PERSON} lost an entry"
'''
