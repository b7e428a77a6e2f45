"""Recover commits that a hard reset or a deleted branch left behind, found through the reflog."""

import re
from random import Random
from shlex import quote

from synth.sim.git import checks_source, commit, dated, init, script
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.version_control.reflog_recovery_task import ReflogRecoveryTask


class ReflogRecovery(ReflogRecoveryTask):
    """Lost commits get a branch at exactly the lost tip and are merged back; an abandoned experiment stays out."""

    def setup(self) -> list[Run | Write]:
        start = [
            init(self.folder, self.owner),
            commit("Start the repository", self.owner, self.base_dates[0], {"README.md": self.readme}),
        ]
        for function, when in zip(self.base, self.base_dates[1:], strict=True):
            start.append(commit(f"Add {function.purpose}", self.owner, when, self._file(function)))
        work = [f"git checkout -q -b {quote(self.branch)}"]
        for i, (function, subject, when) in enumerate(zip(self.lost, self.lost_subjects, self.lost_dates, strict=True)):
            if i == len(self.lost) // 2:  # an experiment in the middle of the series, dropped at once
                work.append(commit(self.decoy_subject, self.author, self.decoy_date, self._file(self.decoy)))
                work += [dated(self.author, self.drop_date), "git reset -q --hard HEAD~1"]
            work.append(commit(subject, self.author, when, self._file(function)))
        accident = [dated(self.culprit, self.accident_date)]
        if self.deleted:
            accident += ["git checkout -q main", f"git branch -q -D {quote(self.branch)}"]
        else:
            accident.append(f"git reset -q --hard HEAD~{len(self.lost)}")
        accident.append(commit(self.later_subject, self.culprit, self.later_date, self._file(self.later)))
        return [
            script(*start),
            script(*work, folder=self.folder),
            script(*accident, folder=self.folder),
            script("git status -sb", "git log --oneline --all", folder=self.folder),
        ]

    def _find_lost(self) -> str:
        """Bash that sets `lost` to the id of the lost tip."""
        return (
            f"cd {self.folder}\n"
            "# every commit that HEAD has ever been on, by subject\n"
            f"lost=$(git log -g --format='%H %s' HEAD | awk -v s={quote(self.lost_subjects[-1])} "
            "'substr($0, 42) == s {print $1; exit}')\n"
        )

    def _tag(self, commit_name: str) -> str:
        message = quote(f"Recovered {self.branch} ({self.ticket})")
        return f"git tag -a {self.tag} -m {message} {commit_name}\n" if self.tagged else ""

    def solution(self) -> str:
        return (
            "#!/bin/bash\nset -euo pipefail\n"
            + self._find_lost()
            + f'git branch {self.rescue} "$lost"\n'
            + self._tag('"$lost"')
            + f"git checkout -q {self.target}\n"
            + f"git merge -q --no-edit {self.rescue}\n"
            + "git log --oneline --graph -n 15\ngit status\n"
        )

    def alternative(self) -> str:
        subject = quote(self.lost_subjects[-1])
        return (
            "#!/bin/bash\nset -euo pipefail\n"
            f"cd {self.folder}\n"
            "# what no name and no reflog entry holds any more, taken from the object store itself\n"
            "lost=$(git fsck --no-reflogs --unreachable 2>/dev/null | awk '$2 == \"commit\" {print $3}'"
            f" | xargs git log --no-walk --format='%H %s' | awk -v s={subject} 'substr($0, 42) == s {{print $1; exit}}')\n"
            f'git update-ref refs/heads/{self.rescue} "$lost"\n'
            + self._tag("refs/heads/" + self.rescue)
            + f"git switch -q {self.target}\ngit merge -q -m 'Bring the lost commits back' {self.rescue}\ngit status -sb\n"
        )

    def wrong(self) -> list[Script]:
        tip = self.target
        decoy = self._find_lost().replace(quote(self.lost_subjects[-1]), quote(self.decoy_subject))
        copies = (
            self._find_lost()
            + f"git checkout -q -b {self.rescue} main\n"
            + f'git cherry-pick main.."$lost" >/dev/null\n{self._tag(self.rescue)}git checkout -q {tip}\n'
            + f"git merge -q --no-edit {self.rescue}\n"
        )
        overwrites = (
            self._find_lost()
            + f'git branch {self.rescue} "$lost"\n{self._tag(self.rescue)}git checkout -q {tip}\ngit reset -q --hard'
            ' "$lost"\n'
        )
        return [
            Script("resets-over-newer-work", overwrites),
            Script("copies-instead-of-originals", copies),
            Script(
                "brings-back-the-experiment",
                decoy + f'git branch {self.rescue} "$lost"\n{self._tag(self.rescue)}git checkout -q {tip}\ngit merge -q'
                f" --no-edit {self.rescue}\n",
            ),
        ]

    def partial(self) -> list[Script]:
        return [
            Script(
                "names-but-does-not-merge",
                self._find_lost() + f'git branch {self.rescue} "$lost"\n{self._tag(self.rescue)}',
            )
        ]

    def checks(self) -> str:
        constants: dict[str, object] = {
            "REPOSITORY": self.folder,
            "RESCUE": self.rescue,
            "TARGET": self.target,
            "AUTHOR": self.author.email,
            "SUBJECTS": self.lost_subjects,
            "DATES": self.lost_dates,
            "LATER": (self.later_subject, self.culprit.email),
            "DECOY": self.decoy_subject,
            "MAIN_DATES": None if self.deleted else self.base_dates,
            "TAG": self.tag if self.tagged else None,
            "TICKET": self.ticket,
            "FILES": {
                path: body
                for function in (*self.base, *self.lost, self.later)
                for path, body in self._file(function).items()
            },
            "DECOY_FILE": self._path(self.decoy.name),
        }
        body = '''
def lost_line():
    """The commits that only the rescue branch has, oldest first: (subject, author, author date, committer date)."""
    text = git("log", "--reverse", f"-{len(SUBJECTS)}", "--format=%s%x09%ae%x09%aI%x09%cI", f"refs/heads/{RESCUE}")
    return [line.split("\\t") for line in text.splitlines()]


def check_rescue_branch_is_the_original():
    """The rescue branch ends in the lost commits themselves: subjects, author and both dates as they were."""
    expected = [[s, AUTHOR, d, d] for s, d in zip(SUBJECTS, DATES)]
    found = [[s, a, d.replace("Z", "+00:00"), c.replace("Z", "+00:00")] for s, a, d, c in lost_line()]
    assert found == expected, f"commits on {RESCUE}: {found}"


def check_target_contains_the_rescued_commits():
    """The rescue branch is an ancestor of the target branch."""
    assert git_status("merge-base", "--is-ancestor", f"refs/heads/{RESCUE}", f"refs/heads/{TARGET}") == 0


def check_newer_commit_survives():
    """The commit made after the loss is in the target's history once, by its author, not on top of the rescued ones."""
    text = git("log", "--format=%H%x09%s%x09%ae%x09%ce", f"refs/heads/{TARGET}")
    rows = [line.split("\\t") for line in text.splitlines()]
    found = [row for row in rows if row[1] == LATER[0]]
    assert len(found) == 1, f"{len(found)} commits have the subject {LATER[0]!r}"
    assert found[0][2:] == [LATER[1], LATER[1]], f"that commit was rewritten: {found[0]}"
    rescued = git("rev-parse", f"refs/heads/{RESCUE}")
    assert git_status("merge-base", "--is-ancestor", rescued, found[0][0]) != 0, "the newer commit was moved"


def check_all_files_are_there():
    """The target's tree holds every file of both lines of work, word for word, and not the experiment's."""
    listed = git("ls-tree", "-r", "--name-only", f"refs/heads/{TARGET}").splitlines()
    for path, content in FILES.items():
        assert path in listed, f"{path} is missing"
        assert file_at(f"refs/heads/{TARGET}", path) == content, f"{path} differs"
    assert DECOY_FILE not in listed, "the experiment came back"


def check_experiment_stays_out():
    """No branch or tag reaches the dropped experiment."""
    assert DECOY not in git("log", "--all", "--format=%s").splitlines()


def check_main_and_tree():
    """The target is checked out and clean; where the work was on another branch, main has not moved."""
    assert git("symbolic-ref", "--short", "HEAD") == TARGET
    assert git("status", "--porcelain") == "", "the working tree is not clean"
    if MAIN_DATES is not None:
        dates = git("log", "--reverse", "--format=%cI", "refs/heads/main").replace("Z", "+00:00").splitlines()
        assert dates == MAIN_DATES, "main has moved"


def check_tag():
    """Where a tag is asked for, it is annotated, names the work order, and sits on the recovered tip."""
    if TAG is None:
        return
    assert git("cat-file", "-t", f"refs/tags/{TAG}") == "tag", "the tag is not annotated"
    assert TICKET in git("for-each-ref", "--format=%(contents)", f"refs/tags/{TAG}"), "the message lacks the work order"
    assert git("rev-parse", f"refs/tags/{TAG}^{{commit}}") == git("rev-parse", f"refs/heads/{RESCUE}")
'''
        return checks_source(constants, body)

    def solve(self, rng: Random) -> Teacher:
        hand = Hand(rng)
        last, slug = self.lost_subjects[-1], self.project.slug
        screen = yield Turn(
            hand.say(
                f"Work order {self.ticket} is about commits of {self.branch} that no branch reaches any more. Nothing"
                " has been looked at yet.",
                f"The repository in {self.folder} lost commits. I have to see [what is left|its state] before I change"
                " anything.",
                f"I start at the prompt. {slug} should still know the lost commits through its reflog, but first the"
                " [overall|present] state.",
            ),
            hand.say(
                "Go into the repository and look at the status, the branches and the visible history.",
                "[Check|List] the branches and the log of everything that is still reachable.",
            ),
            (
                *hand.enter(self.folder),
                "git status -sb",
                hand.git("branch -avv"),
                hand.git("log --oneline --graph --all"),
            ),
        )
        tip = find(rf"^\W*([0-9a-f]{{7,}}) .*{re.escape(self.later_subject)}$", screen)
        missing = not shows(re.escape(last), screen)
        look = hand.git("reflog")
        if not self.deleted and hand.slips(0.4):
            look = hand.git(f"reflog show {self.branch}")
        elif self.deleted and hand.slips(0.6):
            screen = yield Turn(
                hand.say(
                    f"The branch {self.branch} [is not in the list|does not exist any more], and {tip} is the newest"
                    f" commit on {self.target}.",
                    f"Only {self.target} is left; its tip {tip} is the commit made after the accident.",
                ),
                hand.say(
                    f"See whether git still keeps a reflog for {self.branch}.",
                    f"Ask for the reflog of {self.branch} itself.",
                ),
                (hand.git(f"reflog show {self.branch}"),),
            )
            if shows("ambiguous argument|unknown revision", screen):
                opinion = hand.say(
                    "That failed: a deleted branch takes its reflog with it. HEAD was on the branch, so HEAD's own"
                    " reflog must have the commits.",
                    "git does not know that name: the reflog went away with the branch. The reflog of HEAD is separate"
                    " and survives.",
                )
            else:
                opinion = "The branch's reflog is still there."
            screen = yield Turn(opinion, "Read the reflog of HEAD instead.", (look,))
            look = ""
        if look:
            seen = f"{last!r} is nowhere in this graph" if missing else f"The log mentions {last!r}"
            screen = yield Turn(
                hand.say(
                    f"{seen}. {self.target} ends in {tip}, [made after the accident|the newer commit that has to"
                    " stay].",
                    f"Branches show {tip} ({self.later_subject}) on {self.target}; {seen}.",
                ),
                hand.say(
                    "The reflog remembers where HEAD was. Read it to find the lost tip.",
                    "[Go through|Read] the reflog and look for the last commit of the series.",
                ),
                (look,),
            )
        lost = find(rf"^([0-9a-f]{{7,}}) .*commit: {re.escape(last)}$", screen)
        decoy = find(rf"^([0-9a-f]{{7,}}) .*commit: {re.escape(self.decoy_subject)}$", screen)
        if hand.slips(0.35):
            screen = yield Turn(
                f"The reflog lists several commits that are gone. I take {decoy} for the end of the series.",
                f"Create {self.rescue} there and look at what it contains.",
                (f"git branch {self.rescue} {decoy}", hand.git(f"log --oneline -n {len(self.lost) + 2} {self.rescue}")),
            )
            wrong = find(rf"^({decoy}) ", screen)
            screen = yield Turn(
                f"That was the wrong one: {wrong} is {self.decoy_subject!r}, the experiment that must not come back,"
                f" and {last!r} is not in this log. The reflog had {lost} for {last!r}.",
                f"Move {self.rescue} to {lost} and check the log again.",
                (
                    f"git branch -f {self.rescue} {lost}",
                    hand.git(f"log --format='%h %an %ad %s' --date=short -n {len(self.lost) + 2} {self.rescue}"),
                ),
            )
        else:
            screen = yield Turn(
                hand.say(
                    f"{lost} is {last!r}, the last commit of the series. {decoy} is the dropped experiment and stays"
                    " out.",
                    f"The entry for {last!r} is {lost}. The experiment is {decoy}, so I must [not touch that one|leave"
                    " that alone].",
                ),
                hand.say(
                    f"Check that the line ending in {lost} has all {len(self.lost)} commits and not the experiment.",
                    f"Look at the history and the files behind {lost} before giving it a name.",
                ),
                (
                    hand.git(f"log --format='%h %an %ad %s' --date=short -n {len(self.lost) + 2} {lost}"),
                    hand.git(f"show --stat --format=%s {lost}"),
                ),
            )
            screen = yield Turn(
                hand.say(
                    f"All {len(self.lost)} commits from {self.lost_subjects[0]!r} to {last!r} are in that line, by"
                    f" {self.author.name}.",
                    f"That is the complete series; {self.decoy_subject!r} is not part of it.",
                ),
                f"Create {self.rescue} at {lost}, so that the original objects are kept.",
                (f"git branch {self.rescue} {lost}", hand.git("branch -v")),
            )
        if self.tagged:
            message = f"Recovered {self.branch} ({self.ticket})"
            slip = hand.slips(0.3)
            command = (
                f"git tag {self.tag} {self.rescue}"
                if slip
                else f"git tag -a {self.tag} -m {quote(message)} {self.rescue}"
            )
            screen = yield Turn(
                f"{self.rescue} points at {lost} now.",
                f"Set the tag {self.tag} there and look at what kind of object it is.",
                (command, f"git cat-file -t {self.tag}"),
            )
            if shows("^commit$", screen):
                screen = yield Turn(
                    "cat-file says commit: I made a lightweight tag, but an annotated one with the work order is"
                    " wanted.",
                    "Replace it by an annotated tag.",
                    (f"git tag -f -a {self.tag} -m {quote(message)} {self.rescue}", f"git cat-file -t {self.tag}"),
                )
        merge = f"git merge --no-edit {self.rescue}"
        screen = yield Turn(
            hand.say(
                f"The lost commits have a name again. {self.target} still lacks them.",
                f"What remains is to join {self.rescue} with {self.target}, where {tip} has to stay.",
            ),
            f"Be on {self.target} and merge {self.rescue} with a merge commit.",
            (f"git checkout {self.target}", merge),
            seconds=0.3,
        )
        done = shows(r"Merge made by|file[s]? changed", screen)
        files = [self._path(self.lost[-1].name), self.path_of_later()]
        screen = yield Turn(
            hand.say(
                "The merge went through without a conflict." if done else "The merge gave no summary.",
                "Git made a merge commit." if done else "I cannot see a merge commit yet.",
            ),
            hand.say(
                "Verify the result: the graph, the files of both sides, and the status.",
                "Look at the final history, check the files and make sure that the tree is clean.",
            ),
            (
                hand.git(f"log --oneline --graph -n {len(self.lost) + 5}"),
                f"ls -l {' '.join(files)}",
                "git for-each-ref --format='%(refname:short) %(objecttype) %(objectname:short)'",
                "git status",
            ),
        )
        if not shows("nothing to commit, working tree clean", screen):
            raise PuzzledError("a clean working tree")
        yield Turn(
            hand.say(
                f"The graph shows the merge on {self.target} with {lost} and {tip} as its two sides, and the tree is"
                " clean.",
                f"Both {lost} and {tip} are reachable from {self.target}; {self.rescue} is on the original commit, and"
                " git status is clean.",
            ),
            hand.say("Everything that was asked is there; finish.", f"Nothing is left to do for {self.ticket}."),
            complete=True,
        )
