"""Bring chosen fixes from main to a release branch: in order, with their origin recorded, one of them by hand."""

import re
from random import Random

from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.version_control.cherry_pick_backport_task import BUGS, CherryPickBackportTask
from synth.sim.version_control.grading import source
from synth.sim.wording import number


class CherryPickBackport(CherryPickBackportTask):
    """Fixes are named by bug ids; one conflicts because main renamed an argument, one may be on the release already."""

    def setup(self) -> list[Run | Write]:
        return [Run(self.history.script(self.folder)), Run(self.shop.identity())]

    def _resolve(self) -> str:
        right, wrong = BUGS[self.fixes[self.hard].name]
        path = self._path(self.hard)
        return f"git checkout --ours {path}\nsed -i {_sed(wrong, right)} {path}\ngit add {path}\n"

    def _pick(self, resolve: str, options: str = "-x", which: list[int] | None = None) -> str:
        hashes = " ".join(self.originals[i].id for i in (self.picks if which is None else which))
        return (
            f"cd {self.folder}\ngit checkout -q {self.release}\n"
            f"git cherry-pick {options} {hashes} || true\n"
            f"if [ -e .git/CHERRY_PICK_HEAD ]; then\n{resolve}GIT_EDITOR=true git cherry-pick --continue\nfi\n"
        )

    def solution(self) -> str:
        found = "\n".join(
            f"git log -1 --format=%H --grep='^{self.label}: {self.ids[i]}$' main >> \"$picks\"" for i in self.picks
        )
        return (
            f"#!/bin/bash\nset -euo pipefail\ncd {self.folder}\n"
            f"# the wanted fixes that {self.release} does not have yet\npicks=$(mktemp)\n{found}\n"
            f"git checkout -q {self.release}\n"
            f'git log --reverse --format=%H {self.release}..main | grep -F -f "$picks" | xargs git cherry-pick -x ||'
            " true\n"
            f"# the argument has another name here: keep it, and take the fix\n{self._resolve()}"
            'GIT_EDITOR=true git cherry-pick --continue\ngit log --oneline -n 8\ngit status --short\nrm "$picks"\n'
        )

    def alternative(self) -> str:
        wanted = " ".join(f"-e '{self.label}: {self.ids[i]}'" for i in self.picks)
        return (
            f"#!/bin/bash\nset -euo pipefail\ncd {self.folder}\ngit switch -q {self.release}\n"
            "# commit by commit from the fork on; each that speaks of a wanted fix is taken on its own\n"
            f'for commit in $(git rev-list --reverse "$(git merge-base main HEAD)..main"); do\n'
            f'  git log -1 --format=%B "$commit" | grep -qxF {wanted} || continue\n'
            '  git cherry-pick -x "$commit" && continue\n'
            f"{self._resolve()}  GIT_EDITOR=true git cherry-pick --continue\ndone\ngit log --oneline -n 8\n"
        )

    def wrong(self) -> list[Script]:
        path = self._path(self.hard)
        theirs, ours = (
            f"git checkout --theirs {path}\ngit add {path}\n",
            f"git checkout --ours {path}\necho >> {path}\ngit add {path}\n",
        )
        return [
            Script("takes-the-renamed-argument", self._pick(theirs)),
            Script("keeps-the-bug-in-the-conflict", self._pick(ours)),
            Script("forgets-the-origin", self._pick(self._resolve(), "")),
            Script("picks-newest-first", self._pick(self._resolve(), "-x", self.picks[::-1])),
        ]

    def partial(self) -> list[Script]:
        rest = [i for i in self.picks if i != self.hard]
        return [Script("leaves-the-conflicting-fix-out", self._pick(self._resolve(), "-x", rest))]

    def checks(self) -> str:
        hard = self.fixes[self.hard]
        constants: dict[str, object] = {
            "REPOSITORY": self.folder,
            "RELEASE": self.release,
            "OLD_TIP": self.history[self.release].id,
            "OTHERS": {
                f"refs/heads/{name}": tip.id for name, tip in self.history.branches.items() if name != self.release
            },
            "ORIGINALS": [self.originals[i].id for i in self.picks],
            "EXPECTED": [(self._path(i), None if i == self.hard else self._code(i, True)) for i in self.picks],
            "SIGNATURE": find(r"^(def .*)$", hard.code),
            "EXAMPLE": hard.example,
        }
        return source(constants, _CHECKS)

    def solve(self, rng: Random) -> Teacher:
        hand, rel = Hand(rng), self.release
        screen = yield Turn(
            hand.say(
                f"I have to bring {number(len(self.wanted))} fixes to {rel}.",
                f"The task is a [back-port|backport] to {rel}, by bug id.",
            ),
            hand.say(
                "Look at the branches and both logs first.",
                "Before picking anything I [want to see|look at] the branches and the history.",
            ),
            (*hand.enter(self.folder), "git status -sb", hand.git("branch -av"), hand.git(f"log --oneline -n 6 {rel}")),
        )
        greps = " ".join(f"--grep='{self.label}: {self.ids[i]}'" for i in self.wanted)
        screen = yield Turn(
            hand.say(f"{rel} ends in {find(r'^([0-9a-f]{7,}) ', screen)}.", "Now I know where both branches stand."),
            hand.say(
                f"List the commits on main with the wanted ids, oldest first, and what {rel} has that main has not.",
                f"Search main for the ids and check whether {rel} [has|got] some of them already.",
            ),
            (
                hand.git(f"log --reverse --oneline {greps} main"),
                hand.git(f"log --format='%h %s%n%b' main..{rel}"),
            ),
        )
        picked = [i for i in self.wanted if re.search(rf"cherry picked from commit {self.originals[i].id}", screen)]
        hashes = {
            i: find(rf"^([0-9a-f]{{7,}}) (?:\(.*?\) )?{re.escape(self.originals[i].subject)}$", screen)
            for i in self.wanted
        }
        todo = [i for i in self.wanted if i not in picked]
        careless = hand.slips(0.35)
        options = "" if careless else "-x "
        seen = (
            f"{hashes[picked[0]]} is on {rel} already, so it is left out. "
            if picked
            else f"None of the wanted fixes is on {rel} yet. "
        )
        pick = f"git cherry-pick {options}{' '.join(hashes[i] for i in todo)}"
        screen = yield Turn(
            seen
            + hand.say(f"To pick: {', '.join(hashes[i] for i in todo)}.", f"That leaves {number(len(todo))} commits."),
            hand.say(f"Check out {rel} and pick them in the order of main.", "Pick the missing ones, oldest first."),
            (f"git checkout {rel}", pick),
        )
        path, function = self._path(self.hard), self.fixes[self.hard].name
        if careless:
            screen = yield Turn(
                hand.say(
                    "It stopped at a conflict, and I see that I forgot -x, so the origin would not be recorded.",
                    "A conflict, but worse: without -x the messages will not name the original commits.",
                ),
                hand.say(
                    "Abort, which puts the branch back, and pick again with -x.",
                    "Abort the sequence and start over with -x.",
                ),
                (
                    "git cherry-pick --abort",
                    hand.git("log --oneline -n 2"),
                    pick.replace("cherry-pick ", "cherry-pick -x "),
                ),
            )
        conflict = find(r"Merge conflict in (\S+)", screen)
        screen = yield Turn(
            hand.say(f"As feared, {conflict} conflicts.", f"The pick stopped: merge conflict in {conflict}."),
            hand.say(
                "Look at both sides and at what the original commit changed.",
                "See the conflict and the change as it was made on main.",
            ),
            (hand.git("diff"), hand.git(f"show --format='%h %s' {hashes[self.hard]}")),
        )
        right, wrong = BUGS[function]
        removed = find(r"^-( .*)$", screen).strip()
        if hand.slips(0.3):
            screen = yield Turn(
                f"The fix replaces `{removed}`.",
                hand.say(
                    "Take the incoming side, then look at the result.", "Use main's version of the conflicting part."
                ),
                (f"git checkout --theirs {path}", f"grep -n -A4 '^def' {path}"),
            )
            got = find(r"^\d+:def \w+\((\w+)", screen)
            again = hand.say(
                f"That brings the argument `{got}` from main along, which must not happen here.",
                f"Now the argument is called `{got}`; the release has to keep `{self.argument}`.",
            )
        else:
            again = (
                f"On main the line was `{removed}`; here the argument is still called {self.argument}, that is all that"
                " differs."
            )
        screen = yield Turn(
            again,
            hand.say(
                "Keep the release's side and make the fix in it by hand.",
                "Start from our side and apply only the change of behaviour.",
            ),
            (
                f"git checkout --ours {path}",
                f"sed -i {_sed(wrong, right)} {path}",
                f"grep -n -A4 '^def' {path}",
                (
                    f'(cd lib && python3 -B -c "from {function} import {function};'
                    f' print({self.fixes[self.hard].example})")'
                ),
            ),
        )
        verdict = "the example holds" if shows(r"^True$", screen) else "the function reads right"
        screen = yield Turn(
            hand.say(
                f"The signature is the old one and {verdict}.",
                f"{verdict.capitalize()}, with the argument {self.argument} as before.",
            ),
            hand.say("Stage it and let the sequence go on.", "Mark it resolved and continue."),
            (f"git add {path}", "GIT_EDITOR=true git cherry-pick --continue", "git status -sb"),
        )
        old = self.history[rel].short
        screen = yield Turn(
            hand.say("The cherry-pick went through.", "No conflict is left."),
            hand.say(
                f"Read the new commits since {old}, with authors, files and origin lines.",
                "Look at each new commit, its origin line and its files.",
            ),
            (
                hand.git(f"log --reverse --stat --format='%h %an %s%n%b' {old}..{rel}"),
                "git status --short",
                hand.git("branch -v"),
            ),
        )
        origins = len(re.findall(r"cherry picked from commit [0-9a-f]{40}", screen))
        if origins != len(todo) or shows(r"^(UU|AA| M|M ) ", screen):
            raise PuzzledError(f"{origins} new commits name their origin")
        yield Turn(
            hand.say(
                f"{number(origins).capitalize()} new commits, each with its origin, each touching one file; the tree is"
                " clean and main has not moved.",
                f"The log shows {number(origins)} picked commits in order, and the other branches are where they were.",
            ),
            hand.say("Nothing is left to do.", f"{self.ticket} is done."),
            complete=True,
        )


def _sed(before: str, after: str) -> str:
    """A sed expression, quoted for the shell, that replaces one text by another."""
    plain = re.sub(r"([][.*^$\\])", r"\\\1", before)
    return f"'s|{plain}|{after}|'"


_CHECKS = '''
def picked():
    """The new commits of the release branch, oldest first."""
    assert git_status("merge-base", "--is-ancestor", OLD_TIP, f"refs/heads/{RELEASE}") == 0, "the old tip is gone"
    return git("rev-list", "--reverse", f"{OLD_TIP}..refs/heads/{RELEASE}").split()


def check_one_commit_for_each_missing_fix():
    """The release branch has exactly the wanted commits on top, in the order of main, without merges."""
    subjects = [git("log", "-1", "--format=%s", commit) for commit in ORIGINALS]
    found = [git("log", "-1", "--format=%s", commit) for commit in picked()]
    assert found == subjects, f"new commits: {found}"
    for commit in picked():
        assert len(git("rev-list", "--parents", "-1", commit).split()) == 2, f"{commit} is a merge"


def check_message_author_and_origin():
    """Each new commit keeps message, author and author date and names its original by full id."""
    for commit, original in zip(picked(), ORIGINALS):
        form = "--format=%an <%ae> %at"
        assert git("log", "-1", form, commit) == git("log", "-1", form, original), f"the author of {commit} changed"
        text, before = (git("log", "-1", "--format=%B", name) for name in (commit, original))
        assert f"(cherry picked from commit {original})" in text.splitlines(), f"{commit} does not name its original"
        missing = [line for line in before.splitlines() if line not in text.splitlines()]
        assert not missing, f"{commit} lost lines of the message: {missing}"


def check_changes_of_each_commit():
    """Each new commit changes one file, and leaves in it what the fix on this branch has to be."""
    found = picked()
    assert len(found) == len(EXPECTED), f"{len(found)} new commits"
    for commit, (path, content) in zip(found, EXPECTED):
        changed = git("diff-tree", "-r", "--no-commit-id", "--name-only", commit).split()
        assert changed == [path], f"{commit} changes {changed}"
        if content is not None:
            assert file_at(commit, path) == content, f"{path} is not what the fix makes of it"


def check_adapted_fix_behaves():
    """The function that conflicted keeps its signature on the release branch and gives the right result."""
    path = next(path for path, content in EXPECTED if content is None)
    code = file_at(f"refs/heads/{RELEASE}", path)
    assert SIGNATURE in code.splitlines(), f"the signature in {path} is not `{SIGNATURE}`"
    done = subprocess.run(
        ["python3", "-I", "-c", f"{code}\\nassert {EXAMPLE}"], capture_output=True, text=True, timeout=20, cwd="/"
    )
    assert done.returncode == 0, f"{path} is still wrong: {done.stderr[-200:]}"


def check_nothing_else_moved():
    """Main and the other branches are where they were, and the working tree is clean."""
    same_refs(OTHERS)
    clean()
'''
