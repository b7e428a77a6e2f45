"""Bring the accounts of a machine in line with the staff list: joiners, a leaver, a double id, a shared folder."""

from random import Random

from synth.sim.checking import checks_file
from synth.sim.git import script
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.system_admin.users_groups_task import UsersGroupsTask
from synth.sim.wording import number


class UsersGroups(UsersGroupsTask):
    """Drawn: ids, groups, how many join, whether two accounts share an id, what the leaver leaves, the expiry date."""

    def setup(self) -> list[Run | Write]:
        twin_id = self.ids[self.stays] if self.doubled else self.ids[self.twin]
        pieces = [
            "export SOURCE_DATE_EPOCH=1735000000",  # shadow writes the day of a change
            f"groupadd -g {self.gid} {self.team_group}\ngroupadd -g {self.other_gid} {self.other_group}",
            *(
                f"useradd -o -u {uid} -g {self.team_group} -G {self.other_group} -m -k /dev/null -s {shell}"
                f" -p '$6$salt${login}' {login}\nchmod 0750 /home/{login}"
                for login, uid, shell in (
                    (self.leaver, self.ids[self.leaver], "/bin/bash"),
                    (self.stays, self.ids[self.stays], "/bin/bash"),
                    (self.twin, twin_id, "/bin/bash" if self.doubled else "/usr/sbin/nologin"),
                )
            ),
            f"useradd -r -g {self.other_group} -M -d {self.place.home} -s /bin/bash -p '$6$salt$svc' {self.service}",
            f"mkdir -p {self.share}/old {self.place.home}/archive",
            *(
                f"echo '{login} {name}' > {folder}/{login}-{name}\n"
                f"chown {uid}:{self.team_group} {folder}/{login}-{name}"
                for folder in (self.share, f"{self.share}/old")
                for login, uid in ((self.leaver, self.ids[self.leaver]), (self.stays, self.ids[self.stays]))
                for name in self.files[:2]
            ),
            *(
                f"echo '{login} {name}' > /home/{login}/{name}\nchown {uid}:{self.team_group} /home/{login}/{name}"
                for login, uid in ((self.stays, self.ids[self.stays]), (self.twin, twin_id))
                for name in self.files
            ),
            f"echo frozen > {self.place.home}/archive/index\nchown {self.ids[self.leaver]} {self.place.home}/archive/index",
            f"chown root:root {self.share}\nchmod 0755 {self.share}",
        ]
        return [script(*pieces)]

    def solution(self) -> str:
        return "#!/bin/bash\nset -euo pipefail\n" + "".join(self._steps().values())

    def _steps(self) -> dict[str, str]:
        join = "".join(
            f"useradd -u {self.ids[login]} -g {self.team_group}"
            f"{f' -G {self.other_group}' if login in self.also else ''} -m -s {self.shell}"
            f" {login}\nchmod 0750 /home/{login}\n"
            for login in self.joiners
        )
        return {
            "join": join,
            "expire": f"usermod -e {self.expiry} {self.temporary}\n",
            "leave": f"usermod -L -e 1970-01-02 -s /usr/sbin/nologin {self.leaver}\n"
            f"gpasswd -d {self.leaver} {self.other_group}\n",
            "inherit": f"find {self.share} -user {self.leaver} -exec chown {self.stays} {{}} +\n",
            "twin": f"usermod -u {self.new_id} {self.twin}\nchown -R {self.new_id} /home/{self.twin}\n"
            if self.doubled
            else f"usermod -s {self.shell} {self.twin}\n",
            "service": f"usermod -L -s /usr/sbin/nologin {self.service}\n",
            "share": f"chgrp {self.team_group} {self.share}\nchmod {self.mode} {self.share}\n",
        }

    def alternative(self) -> str:
        def shell(login: str, path: str) -> str:
            return f"sed -i '/^{login}:/s#:[^:]*$#:{path}#' /etc/passwd\n"

        join = "".join(
            f"useradd -u {self.ids[login]} -g {self.gid} -m {login}\n{shell(login, self.shell)}chmod u=rwx,g=rx,o= /home/{login}\n"
            + (f"gpasswd -a {login} {self.other_group}\n" if login in self.also else "")
            for login in self.joiners
        )
        twin = (
            f"sed -i 's/^{self.twin}:\\([^:]*\\):[0-9]*:/{self.twin}:\\1:{self.new_id}:/' /etc/passwd\n"
            f"find /home/{self.twin} -exec chown -h {self.new_id} {{}} +\n"
            if self.doubled
            else shell(self.twin, self.shell)
        )
        return (
            f"#!/bin/bash\nset -euo pipefail\n{join}chage -E {self.expiry} {self.temporary}\n"
            "# the tables are edited where a program would do more than is asked\n"
            f"passwd -q -l {self.leaver}\nchage -E 1970-01-02 {self.leaver}\n{shell(self.leaver, '/usr/sbin/nologin')}"
            f"sed -i '/^{self.other_group}:/{{s/\\([:,]\\){self.leaver},/\\1/;s/[,]\\{{0,1\\}}{self.leaver}$//}}' /etc/group /etc/gshadow\n"
            f"chown -R --from={self.leaver} {self.stays} {self.share}\n{twin}"
            f"passwd -q -l {self.service}\n{shell(self.service, '/usr/sbin/nologin')}"
            f"chown :{self.team_group} {self.share}\nchmod {self.mode} {self.share}\n"
        )

    def _without(self, *names: str, **replaced: str) -> str:
        return "".join(replaced.get(name, text) for name, text in self._steps().items() if name not in names)

    def wrong(self) -> list[Script]:
        return [
            Script("deletes-the-leaver", self._without("leave") + f"userdel {self.leaver}\n"),
            Script(
                "gives-away-the-archive-too",
                self.solution() + f"chown -R --from={self.leaver} {self.stays} {self.place.home}\n",
            ),
            Script("shares-without-setgid", self.solution() + f"chmod g-s {self.share}\n"),
            Script("only-locks-the-password", self._without(leave=f"passwd -l {self.leaver}\n")),
        ]

    def partial(self) -> list[Script]:
        return [
            Script("joiners-only", self._without("leave", "inherit", "twin", "service", "share")),
            Script("leaves-the-colleague-as-is", self._without("twin")),
        ]

    def checks(self) -> str:
        accounts = {
            login: (self.ids[login], self.gid, self.shell, sorted([self.other_group] if login in self.also else []))
            for login in self.joiners
        }
        accounts[self.stays] = (self.ids[self.stays], self.gid, "/bin/bash", [self.other_group])
        accounts[self.twin] = (
            self.new_id if self.doubled else self.ids[self.twin],
            self.gid, "/bin/bash" if self.doubled else self.shell, [self.other_group],
        )  # fmt: skip
        constants = {
            "ACCOUNTS": accounts,
            "JOINERS": self.joiners,
            "GROUPS": {self.team_group: self.gid, self.other_group: self.other_gid},
            "TEMPORARY": self.temporary,
            "EXPIRY": self.expiry,
            "LEAVER": (self.leaver, self.ids[self.leaver]),
            "HEIR": self.ids[self.stays],
            "SERVICE": self.service,
            "SHARE": self.share,
            "MODE": int(self.mode, 8),
            "HOMES": {self.stays: self.ids[self.stays], self.twin: accounts[self.twin][0]},
            "FILES": self.files,
            "ARCHIVE": f"{self.place.home}/archive/index",
        }
        return checks_file(constants, _CHECKS, ["datetime", "grp", "pwd"])

    def solve(self, rng: Random) -> Teacher:
        hand = Hand(rng)
        screen = yield Turn(
            hand.say(
                f"Accounts on {self.place.host} have to follow the staff list.",
                "Several accounts and one folder have to change; [first|before that] I look at what there is.",
            ),
            hand.say("List accounts, groups and ids.", "Look at passwd, the two groups and the shared folder."),
            (
                "getent passwd | awk -F: '$3>=900 && $3<60000'",
                f"getent group {self.team_group} {self.other_group}",
                f"ls -lan {self.share} {self.place.home}/archive",
                f"for u in {self.leaver} {self.stays} {self.twin} {self.service}; do id $u; done",
            ),
        )
        twin = find(rf"^{self.twin}:x:(\d+):", screen)
        stays = find(rf"^{self.stays}:x:(\d+):", screen)
        doubled = twin == stays
        skeleton = hand.slips(0.4)
        group = f"{self.team_group}s" if skeleton else self.team_group
        adds = [
            f"useradd -u {self.ids[login]} -g {group}{f' -G {self.other_group}' if login in self.also else ''} -m"
            f" -s {self.shell} {login}"
            for login in self.joiners
        ]
        screen = yield Turn(
            f"{self.twin} has id {twin}{f', the same as {self.stays}' if doubled else ' of its own'}."
            f" {number(len(adds)).capitalize()} accounts are missing.",
            hand.say("Add the joiners with their ids and groups.", "Create the new accounts first."),
            (*adds, f"getent passwd {' '.join(self.joiners)}"),
        )
        if shows(r"group '\w+' does not exist", screen):
            screen = yield Turn(
                f"The group is {self.team_group}; I typed {find(r"group '(\w+)' does not exist", screen)}.",
                hand.say("Create them again with the right group.", "Repeat with the group's real name."),
                (*(add.replace(group, self.team_group) for add in adds), f"getent passwd {' '.join(self.joiners)}"),
            )
        if not shows(rf"^{self.joiners[-1]}:x:{self.ids[self.joiners[-1]]}:", screen):
            raise PuzzledError(self.joiners[-1])
        screen = yield Turn(
            hand.say("The accounts are there.", "getent shows the new accounts with their ids."),
            hand.say(
                "Set the modes of the homes and the expiry date of the temporary one.",
                f"Now homes to 0750, and {self.temporary} ends on {self.expiry}.",
            ),
            (
                f"chmod 0750 {' '.join(f'/home/{login}' for login in self.joiners)}",
                f"usermod -e {self.expiry} {self.temporary}",
                f"chage -l {self.temporary} | head -n 4",
            ),
        )
        screen = yield Turn(
            hand.say(
                f"Next is {self.leaver}: the account stays but nobody may use it.",
                f"{self.leaver} has left: lock, expire, no shell, out of {self.other_group}.",
            ),
            hand.say(
                "Close the account and hand over its files in the shared folder.", "Lock it, then move the files."
            ),
            (
                f"usermod -L -e 1970-01-02 -s /usr/sbin/nologin {self.leaver}",
                f"gpasswd -d {self.leaver} {self.other_group}",
                f"find {self.share} -user {self.leaver} -print -exec chown {self.stays} {{}} +",
            ),
        )
        if doubled:
            screen = yield Turn(
                f"{self.share} is handed over. {self.twin} still shares {stays} with {self.stays}.",
                hand.say(
                    f"Give {self.twin} the id {self.new_id} and everything in its home.",
                    "Change the id; usermod only moves files of the old id in the home, so I check the owners.",
                ),
                (
                    f"usermod -u {self.new_id} {self.twin}",
                    f"chown -R {self.new_id} /home/{self.twin}",
                    f"ls -lan /home/{self.twin} /home/{self.stays}",
                ),
            )
        else:
            screen = yield Turn(
                f"{self.share} is handed over. {self.twin} has {find(rf'{self.twin}|nologin', 'nologin', 0)} as shell.",
                f"Give {self.twin} its login shell.",
                (f"usermod -s {self.shell} {self.twin}", f"getent passwd {self.twin}"),
            )
        screen = yield Turn(
            hand.say("Left are the service account and the folder.", f"Now {self.service} and the mode of the folder."),
            hand.say("No login for the service, and the group's folder with setgid.", "Set both."),
            (
                f"usermod -L -s /usr/sbin/nologin {self.service}",
                f"chgrp {self.team_group} {self.share}",
                f"chmod {self.mode} {self.share}",
                f"ls -ld {self.share}",
            ),
        )
        screen = yield Turn(
            hand.say("All changes are made.", "That was the last point of the list."),
            hand.say(
                "Check the whole with pwck and by reading it back.", "Review ids, groups, expiry and consistency."
            ),
            (
                "pwck -rq; grpck -rq; getent passwd | cut -d: -f3 | sort | uniq -d",
                f"for u in {' '.join([*self.joiners, self.stays, self.twin, self.leaver])}; do id $u; done",
                f"grep -E '^({self.leaver}|{self.service}|{self.temporary}):' /etc/shadow | cut -d: -f1,2,8 | cut -c1-60",
                f"ls -lan {self.share}",
            ),
        )
        if not shows(rf"^{self.leaver}:!.*:1$", screen):
            raise PuzzledError(f"{self.leaver} is not closed")
        yield Turn(
            hand.say(
                f"No double ids, pwck is silent, {self.leaver} is locked and expired, and the folder is set.",
                "Everything reads back as the list demands, and the archive is as it was.",
            ),
            hand.say("Nothing is left to do.", f"{self.ticket} is done."),
            complete=True,
        )


_CHECKS = '''
def groups_of(login):
    """Names of the groups that list the account as a member."""
    return sorted(group.gr_name for group in grp.getgrall() if login in group.gr_mem)


def account(login):
    """The account's passwd entry."""
    try:
        return pwd.getpwnam(login)
    except KeyError:
        raise AssertionError(f"there is no account {login}") from None


def shadow(login):
    """Fields of the account's line in /etc/shadow."""
    lines = [line.split(":") for line in read("/etc/shadow").splitlines() if line.startswith(login + ":")]
    assert len(lines) == 1, f"{login} has {len(lines)} lines in /etc/shadow"
    return lines[0]


def check_accounts_have_ids_groups_and_shells():
    """Each account on the list has its id, primary group, supplementary groups and shell."""
    for group, gid in GROUPS.items():
        assert grp.getgrnam(group).gr_gid == gid, f"group {group} changed its id"
    for login, (uid, gid, shell, groups) in ACCOUNTS.items():
        entry = account(login)
        assert (entry.pw_uid, entry.pw_gid) == (uid, gid), f"{login} is {entry.pw_uid}:{entry.pw_gid}"
        assert entry.pw_shell == shell, f"{login} has the shell {entry.pw_shell}"
        primary = grp.getgrgid(gid).gr_name
        found = [group for group in groups_of(login) if group != primary]
        assert found == groups, f"{login} is in {found}"


def check_homes_of_the_new_accounts():
    """Each new account has its home with mode 0750 and its own files."""
    for login in JOINERS:
        home = account(login).pw_dir
        assert home == f"/home/{login}" and os.path.isdir(home), f"{login} has no home /home/{login}"
        state = os.stat(home)
        assert state.st_mode & 0o7777 == 0o750, f"{home} has mode {state.st_mode & 0o7777:o}"
        assert state.st_uid == ACCOUNTS[login][0], f"{home} belongs to {state.st_uid}"


def check_expiry_dates():
    """The temporary account expires on its day, the other new ones never."""
    for login in JOINERS:
        days = (datetime.date.fromisoformat(EXPIRY) - datetime.date(1970, 1, 1)).days if login == TEMPORARY else None
        found = shadow(login)[7]
        assert found == (str(days) if days else ""), f"{login} has the expiry {found!r}"


def check_leaver_is_closed():
    """The leaver's account exists, locked, expired, without shell and supplementary groups."""
    login, uid = LEAVER
    entry, secret = account(login), shadow(login)
    assert entry.pw_uid == uid and os.path.isdir(f"/home/{login}"), f"{login} lost its id or home"
    assert secret[1].startswith(("!", "*")), f"the password of {login} is not locked"
    today = (datetime.date.today() - datetime.date(1970, 1, 1)).days
    assert secret[7].isdigit() and int(secret[7]) < today, f"{login} has the expiry {secret[7]!r}"
    assert entry.pw_shell == "/usr/sbin/nologin", f"{login} has the shell {entry.pw_shell}"
    primary = grp.getgrgid(entry.pw_gid).gr_name
    assert set(groups_of(login)) <= {primary}, f"{login} is in {groups_of(login)}"


def check_files_changed_hands():
    """Files in the shared folder went from the leaver to the heir with their groups, and others stayed."""
    seen = 0
    for folder, _, names in os.walk(SHARE):
        for name in names:
            state = os.stat(os.path.join(folder, name))
            seen += 1
            assert state.st_uid == HEIR, f"{name} belongs to {state.st_uid}"
            assert state.st_gid in GROUPS.values(), f"{name} has the group {state.st_gid}"
    assert seen >= 8, f"only {seen} files are left in {SHARE}"
    assert os.stat(ARCHIVE).st_uid == LEAVER[1], f"{ARCHIVE} changed its owner"


def check_homes_of_the_others():
    """The two colleagues own their homes and what lies in them."""
    for login, uid in HOMES.items():
        for path in [f"/home/{login}", *(f"/home/{login}/{name}" for name in FILES)]:
            assert os.path.exists(path), f"{path} is gone"
            assert os.stat(path).st_uid == uid, f"{path} belongs to {os.stat(path).st_uid}"


def check_service_cannot_log_in():
    """The service account has no shell and no usable password."""
    assert account(SERVICE).pw_shell == "/usr/sbin/nologin", f"{SERVICE} has the shell {account(SERVICE).pw_shell}"
    assert shadow(SERVICE)[1].startswith(("!", "*")), f"the password of {SERVICE} is not locked"


def check_shared_folder():
    """The shared folder has its group and mode."""
    state = os.stat(SHARE)
    assert state.st_mode & 0o7777 == MODE, f"{SHARE} has mode {state.st_mode & 0o7777:o}"
    assert state.st_gid == next(iter(GROUPS.values())), f"{SHARE} has the group {state.st_gid}"


def check_consistency():
    """No user id occurs twice, and pwck and grpck are content."""
    ids = [entry.pw_uid for entry in pwd.getpwall()]
    assert len(ids) == len(set(ids)), "a user id occurs twice"
    for program in ("pwck", "grpck"):
        done = run(program, "-rq")
        assert done.returncode == 0, f"{program} says {(done.stdout + done.stderr)[:200]}"
'''
