"""Give a shared tree the rights that its policy names: groups, inheritance, set-id files, orphans, a drop box."""

import re
from random import Random

from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.security.accounts import source
from synth.sim.security.file_permissions_task import FilePermissionsTask


class FilePermissions(FilePermissionsTask):
    """Each person, acting as that person, can do what the policy grants and nothing else, with files made later too."""

    def _policy(self) -> str:
        w, r = [each.login for each in self.writers], self.reader.login
        return (
            f"Access to {self.root}\n\n"
            f"group {self.edit}: {', '.join(w)}\ngroup {self.look}: {r}\nowner of everything: root, or the person who made the file\n\n"
            f"{self.work}/    {self.edit} read, write, make and delete; {self.look} only read; nobody else anything.\n"
            f"          The same holds for what the members make there later, in folders they make too, with umask 022.\n"
            f"{self.box}/    members of {self.edit} and {self.look} may leave files there and open what they know by name,\n"
            f"          but not list the folder nor delete what others left; nobody else anything.\n"
            f"{self.tools}/    {self.edit} read and run; only root writes; nobody else anything; no set-id bit on any file.\n"
            f"{self.vault}/    root alone.\n"
        )

    def setup(self) -> list[Run | Write]:
        root = self.root
        lines = [
            f"mkdir -p {root}/{self.work}/{self.sub} {root}/{self.box} {root}/{self.tools} {root}/{self.vault}",
            f"cd {root}",
        ]
        for name in self.files:
            lines.append(
                f"echo '{name}: {self.rng_text(name)}' > {name}; chown {self.writers[0].login}: {name}; chmod 644 {name}"
            )
        lines += [f"chmod 666 {name}" for name in self.open]
        lines += [
            f"chown {self.number}:{self.number} {self.orphan}; chmod 600 {self.orphan}",
            f"cp /usr/bin/cat {self.setid}; chmod 4755 {self.setid}",
            f"printf '#!/bin/sh\\nls {root}/{self.work} | wc -l\\n' > {self.plain}; chown {self.writers[1].login}: {self.plain}; chmod 775 {self.plain}",
            f"echo '{self.rng_text(self.secret)}' > {self.secret}; chmod 640 {self.secret}; chgrp {self.edit} {self.secret}",
            f"chmod 755 {self.vault} {self.tools} {self.work}/{self.sub}; chmod 777 {self.work}; chmod {'1777' if self.sticky else '777'} {self.box}; chmod 755 .",
        ]
        groups = (
            f"groupadd -g 4301 {self.edit}; groupadd -g 4302 {self.look}\n"
            f"usermod -aG {self.edit} {self.writers[0].login}; usermod -aG {self.look} {self.reader.login}\n"
        )
        return [
            Run(f"set -e\n{self.staff.create()}\n{groups}"),
            Run("set -e\n" + "\n".join(lines)),
            Write(self.policy, self._policy()),
        ]

    def rng_text(self, name: str) -> str:
        """A line of content that belongs to a file's name and the task."""
        return f"{Random(f'{name}/{self.ticket}').getrandbits(64):016x}"

    def _tree(self) -> str:
        return f"cd {self.root}\nusermod -aG {self.edit} {self.writers[1].login}\nchown root:root . && chmod 755 .\n"

    def _work(self) -> str:
        return (
            f"chown -R root:{self.edit} {self.work}\nchmod -R u=rwX,g=rwX,o= {self.work}\nfind {self.work} -type d -exec chmod 2770 {{}} +\n"
            f"setfacl -R -m g:{self.look}:rX {self.work}\nfind {self.work} -type d -exec setfacl -d -m g::rwx,g:{self.look}:rx,o::- {{}} +\n"
        )

    def _box(self) -> str:
        return f"chown root:{self.edit} {self.box}\nchmod 1730 {self.box}\nsetfacl -m g:{self.look}:wx {self.box}\n"

    def _tools(self) -> str:
        return f"chown -R root:{self.edit} {self.tools}\nchmod -R u=rwx,g=rx,o= {self.tools}\nfind {self.tools} -type f -exec chmod 0750 {{}} +\n"

    def _vault(self) -> str:
        return f"chown -R root:root {self.vault}\nchmod 700 {self.vault}\nchmod 600 {self.secret}\n"

    def solution(self) -> str:
        return (
            f"#!/bin/bash\nset -euo pipefail\n{self._tree()}# one group by the mode, the other by an access control list, both inherited\n"
            f"{self._work()}# leave and fetch by name, no list; sticky, so that nobody deletes what others left\n{self._box()}"
            f"# programs and keys\n{self._tools()}{self._vault()}getfacl -p {self.root}/*\n"
        )

    def alternative(self) -> str:
        folder = f"u::rwx,g::rwx,g:{self.look}:r-x,m::rwx,o::---"
        default = ",".join(f"d:{entry}" for entry in folder.split(","))
        return (
            f"#!/bin/bash\nset -euo pipefail\ncd {self.root}\ngpasswd -a {self.writers[1].login} {self.edit}\n"
            "chown 0:0 .\nchmod u=rwx,go=rx .\n"
            "# each folder and file gets its whole list in one go\n"
            f"chgrp -R {self.edit} {self.work} {self.box} {self.tools}\nchown -R root {self.work} {self.box} {self.tools}\n"
            f"find {self.work} -type f -exec chmod u=rw,g=rw,o= {{}} + -exec setfacl --set u::rw-,g::rw-,g:{self.look}:r--,m::rw-,o::--- {{}} +\n"
            f"find {self.work} -type d -exec chmod u=rwx,g=rwxs,o= {{}} + -exec setfacl --set {folder},{default} {{}} +\n"
            f"setfacl --set u::rwx,g::-wx,g:{self.look}:-wx,m::-wx,o::--- {self.box}\nchmod +t {self.box}\n"
            f"chmod u=rwx,g=rx,o= {self.tools}\nfind {self.tools} -type f -exec chmod u=rwx,g=rx,o=,ug-s {{}} +\n"
            f"chown -R 0:0 {self.vault}\nfind {self.vault} -type d -exec chmod u=rwx,go= {{}} +\nfind {self.vault} -type f -exec chmod u=rw,go= {{}} +\n"
        )

    def wrong(self) -> list[Script]:
        rest = self._box() + self._tools() + self._vault()
        plain = self._work().split("setfacl")[0]
        return [
            Script("opens-the-folder-to-all-readers", self._tree() + plain + f"chmod -R o+rX {self.work}\n" + rest),
            Script(
                "gives-nothing-to-later-files",
                self._tree() + plain + f"setfacl -R -m g:{self.look}:rX {self.work}\n" + rest,
            ),
            Script("keeps-the-set-id-bit", self._tree() + self._work() + rest + f"chmod u+s {self.setid}\n"),
            Script("forgets-the-sticky-bit", self._tree() + self._work() + rest + f"chmod -t {self.box}\n"),
        ]

    def partial(self) -> list[Script]:
        return [Script("mends-the-work-folder-only", self._tree() + self._work())]

    def checks(self) -> str:
        constants = {
            "ROOT": self.root, "WORK": self.work, "SUB": f"{self.work}/{self.sub}", "BOX": self.box, "VAULT": self.vault,
            "TOOLS": self.tools, "FIRST": self.writers[0].login, "SECOND": self.writers[1].login,
            "READER": self.reader.login, "STRANGER": self.stranger.login, "SETID": self.setid, "PLAIN": self.plain,
            "SECRET": self.secret, "FILES": {name: f"{name}: {self.rng_text(name)}" for name in self.files},
            "KEY": self.rng_text(self.secret), "GROUPS": {self.edit: sorted(a.login for a in self.writers), self.look: [self.reader.login]},
        }  # fmt: skip
        return source(constants, _CHECKS, ["shutil"])

    def solve(self, rng: Random) -> Teacher:
        hand, root = Hand(rng), self.root
        one, two, eye, out = (each.login for each in (*self.writers, self.reader, self.stranger))
        screen = yield Turn(
            hand.say(f"The policy for {root} comes first.", f"I read {self.policy} before touching rights."),
            hand.say("Read it, then see the tree.", "Policy, groups, and the tree as it is."),
            (
                f"cat {self.policy}",
                f"getent group {self.edit} {self.look}",
                rng.choice((f"ls -lR {root}", f"find {root} -printf '%M %u:%g %p\\n'")),
            ),
        )
        missing = find(rf"^group {self.edit}: .*?(\w+)$", screen)
        if shows(rf"^{self.edit}:x:\d+:.*\b{missing}\b", screen):
            raise PuzzledError("groups")
        screen = yield Turn(
            hand.say(
                f"{missing} is not in {self.edit} yet, and the modes are all over the place.",
                f"{self.edit} lacks {missing}.",
            ),
            hand.say("List what is set-id, world-writable or orphaned.", "Look for the dangerous ones."),
            (
                f"find {root} \\( -perm /6000 -o -perm -o+w -o -nouser -o -nogroup \\) -exec stat -c '%a %U:%G %n' {{}} +",
                f"getfacl -p {root}/{self.work}",
            ),
        )
        if not shows(r"^4755 ", screen):
            raise PuzzledError("no set-id file")
        weak = hand.slips(0.5)
        lists = (
            f"setfacl -R -m g:{self.look}:rX {self.work}",
            f"find {self.work} -type d -exec setfacl -d -m g::rwx,g:{self.look}:rx,o::- {{}} +",
        )
        screen = yield Turn(
            hand.say("Start with the group and the work folder.", f"First {self.work}."),
            hand.say("One group through owner group and setgid, the other through an access list.", "Group owner with setgid, plus a list for the readers."),
            (
                f"cd {root} && usermod -aG {self.edit} {missing}",
                f"chown -R root:{self.edit} {self.work} && chmod -R u=rwX,g=rwX,o= {self.work}",
                f"find {self.work} -type d -exec chmod 2770 {{}} +",
                *(lists[:1] if weak else lists),
                f"getfacl {self.work}",
            ),
        )  # fmt: skip
        trial = (
            f"runuser -u {one} -- sh -c 'umask 022; echo x > {root}/{self.work}/new.txt'",
            f"runuser -u {two} -- sh -c 'echo y >> {root}/{self.work}/new.txt && echo changed'",
            f"runuser -u {eye} -- cat {root}/{self.work}/new.txt",
            f"runuser -u {out} -- ls {root}/{self.work}",
            f"ls -l {root}/{self.work}/new.txt; rm -f {root}/{self.work}/new.txt",
        )
        screen = yield Turn(
            hand.say("The lists look right; do they work?", "That should do, but only a trial tells."),
            hand.say(f"Make a file as {one} and try it as the others.", "Try it as each person."),
            trial,
            seconds=0.3,
        )
        if not shows("^changed$", screen):
            screen = yield Turn(
                hand.say(
                    f"{two} cannot change what {one} made: the folder has no default list.",
                    "New files get neither list nor group write, a default list is missing.",
                ),
                "Add the default entries to every folder and try again.",
                (f"cd {root}", lists[1], *trial),
                seconds=0.3,
            )
        if not shows("^changed$", screen) or not shows(r"cannot (open|access)", screen):
            raise PuzzledError("inheritance")
        screen = yield Turn(
            hand.say(f"{self.work} is as the policy wants it.", "Inheritance works."),
            hand.say(f"Now {self.box}, {self.tools} and {self.vault}.", "The other three folders."),
            (
                f"chown root:{self.edit} {self.box} && chmod 1730 {self.box} && setfacl -m g:{self.look}:wx {self.box}",
                f"chown -R root:{self.edit} {self.tools} && chmod -R 0750 {self.tools}",
                f"chown -R root:root {self.vault} && chmod 700 {self.vault} && chmod 600 {self.vault}/*",
                f"find {root} \\( -type f -perm /6000 -o -perm -o+w ! -type l -o -nouser -o -nogroup \\) -print",
                f"ls -l {root} {root}/{self.tools}",
            ),
        )  # fmt: skip
        if not shows(rf"^drwx-wx--T\+? .* {self.box}$", screen):
            raise PuzzledError("the drop box")
        screen = yield Turn(
            hand.say("Nothing odd is found any more.", "The search finds nothing now."),
            hand.say(f"Try the drop box and the tools as {eye}, {one} and {out}.", "Act as each of them once more."),
            (
                f"runuser -u {eye} -- sh -c 'echo a > {root}/{self.box}/t && cat {root}/{self.box}/t; ls {root}/{self.box}'",
                f"runuser -u {one} -- rm -f {root}/{self.box}/t; runuser -u {eye} -- rm -f {root}/{self.box}/t",
                f"runuser -u {two} -- {root}/{self.plain}; runuser -u {out} -- {root}/{self.plain}",
                f"runuser -u {one} -- cat {root}/{self.secret}",
                f"runuser -u {out} -- sh -c 'echo a > {root}/{self.box}/u'; id {two}",
            ),
            seconds=0.3,
        )
        if len(re.findall(r"Permission denied|not permitted|cannot", screen)) < 4:
            raise PuzzledError("somebody gets through")
        yield Turn(
            hand.say("Everybody can do what the policy grants, and the rest is refused.", f"The trials as {one}, {two}, {eye} and {out} went as they should."),
            hand.say(f"{self.ticket} is done.", "Nothing is left to do."),
            complete=True,
        )  # fmt: skip


_CHECKS = r'''
SH = "/bin/sh"


def at(name):
    return os.path.join(ROOT, name)


def can(user, command, *arguments):
    """Whether a shell command, with its arguments as $1 and on, succeeds as that user (umask 022)."""
    return acts(user, SH, "-c", command, "sh", *arguments)[0] == 0


def check_groups_and_contents():
    """The groups have the members of the policy, and files and contents are those of before."""
    for group, members in GROUPS.items():
        assert sorted(grp.getgrnam(group).gr_mem) == members, f"{group}: {grp.getgrnam(group).gr_mem}"
    found = {os.path.relpath(os.path.join(folder, name), ROOT) for folder, _, names in os.walk(ROOT) for name in names}
    assert found == {*FILES, SETID, PLAIN, SECRET}, f"files: {sorted(found)}"
    for name, text in FILES.items():
        assert read(at(name)) == text + "\n", f"{name} has other content"
    assert read(at(SECRET)) == KEY + "\n" and os.path.getsize(at(SETID)) > 10000, "contents changed"


def check_work_folder_for_what_is_there():
    """Writers change every file, the reader reads but changes nothing, the stranger sees nothing."""
    for name in FILES:
        for user in (FIRST, SECOND):
            assert can(user, 'test -r "$1" && test -w "$1"', at(name)), f"{user} cannot read and write {name}"
        assert can(READER, 'cat "$1"', at(name)), f"{READER} cannot read {name}"
        assert not can(READER, 'test -w "$1"', at(name)), f"{READER} can change {name}"
        assert not can(STRANGER, 'cat "$1"', at(name)), f"{STRANGER} can read {name}"
    for folder in (WORK, SUB):
        assert can(READER, 'ls "$1"', at(folder)), f"{READER} cannot list {folder}"
        assert not can(READER, 'touch "$1/zz-probe"', at(folder)), f"{READER} can make files in {folder}"
        assert not can(STRANGER, 'ls "$1"', at(folder)), f"{STRANGER} can list {folder}"


def check_work_folder_for_what_is_made_later():
    """Files and folders that one writer makes can be changed and deleted by the other, read by the reader, by no one else."""
    for maker, other in ((FIRST, SECOND), (SECOND, FIRST)):
        for folder in (WORK, SUB):
            made = at(f"{folder}/zz-{maker}")
            try:
                assert can(maker, 'mkdir "$1" && echo a > "$1/f"', made), f"{maker} cannot make files in {folder}"
                assert can(other, 'echo b >> "$1/f" && echo c > "$1/g"', made), f"{other} cannot change what {maker} made"
                assert can(READER, 'cat "$1/f" "$1/g" && ls "$1"', made), f"{READER} cannot read what {maker} made"
                assert not can(READER, 'echo d >> "$1/f"', made), f"{READER} can change what {maker} made"
                assert not can(READER, 'rm -f "$1/g"', made), f"{READER} can delete what {maker} made"
                assert not can(STRANGER, 'ls "$1" || cat "$1/f"', made), f"{STRANGER} can see what {maker} made"
                assert can(other, 'rm "$1/f" "$1/g" && rmdir "$1"', made), f"{other} cannot delete what {maker} made"
            finally:
                shutil.rmtree(made, ignore_errors=True)


def check_drop_box():
    """Members of both groups leave files and open their own by name; nobody lists, nobody deletes others' files."""
    users = (FIRST, SECOND, READER)
    try:
        for user in users:
            assert can(user, 'echo a > "$1" && cat "$1"', at(f"{BOX}/zz-{user}")), f"{user} cannot leave a file"
            assert not can(user, 'ls "$1"', at(BOX)), f"{user} can list {BOX}"
        for user in (*users, STRANGER):
            for other in users:
                if user != other:
                    can(user, 'rm -f "$1"', at(f"{BOX}/zz-{other}"))
                    assert os.path.exists(at(f"{BOX}/zz-{other}")), f"{user} can delete a file of {other}"
        assert not can(STRANGER, 'touch "$1"', at(f"{BOX}/zz-{STRANGER}")), f"{STRANGER} can leave a file"
    finally:
        for user in (*users, STRANGER):
            with contextlib.suppress(OSError):
                os.unlink(at(f"{BOX}/zz-{user}"))


def check_tools_and_vault():
    """Writers run the tools and cannot change them, others have no access; the vault is root's alone."""
    for name in (SETID, PLAIN):
        assert facts(at(name))[0] == "root", f"{name} belongs to {facts(at(name))[0]}"
        for user in (FIRST, SECOND):
            assert can(user, 'test -r "$1" && test -x "$1"', at(name)), f"{user} cannot run {name}"
            assert not can(user, 'test -w "$1"', at(name)), f"{user} can change {name}"
        for user in (READER, STRANGER):
            assert not can(user, 'test -r "$1" || test -x "$1"', at(name)), f"{user} gets at {name}"
    for user in (FIRST, SECOND, READER, STRANGER):
        assert not can(user, 'touch "$1/zz-probe"', at(TOOLS)), f"{user} can make files in {TOOLS}"
        assert not can(user, 'ls "$1" || cat "$2"', at(VAULT), at(SECRET)), f"{user} gets into {VAULT}"
    for name in (VAULT, SECRET):
        owner, _, mode = facts(at(name))
        assert owner == "root" and not int(mode, 8) & 0o077, f"{name}: {owner} {mode}"


def check_no_dangerous_bits_and_no_orphans():
    """No file is set-id, nothing is writable for everybody, every owner and group has a name."""
    for folder, folders, names in os.walk(ROOT):
        for name in [*folders, *names, "."]:
            path = os.path.join(folder, name)
            found = os.lstat(path)
            assert stat.S_ISDIR(found.st_mode) or not found.st_mode & 0o6000, f"{path} is set-id"
            assert not found.st_mode & 0o002, f"{path} is writable for everybody"
            assert not any(part.isdigit() for part in facts(path)[:2]), f"{path} has no named owner or group"
'''
