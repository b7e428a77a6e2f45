"""Mend an analysis that takes repeated measurements for independent ones, and renew its results."""

from random import Random
from typing import ClassVar

from synth.sim.data_science.arm_comparison_task import ArmComparisonTask
from synth.sim.data_science.tables import Fault, sed, source
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write


class ArmComparison(ArmComparisonTask):
    """Level, adjustment, summary and two of five further faults are drawn; checks compute Student's t themselves."""

    topic: ClassVar[str] = "statistical-testing"
    focus: ClassVar[str] = "Welch tests on repeated measurements with adjusted p-values in pandas and scipy"

    def setup(self) -> list[Run | Write]:
        return [
            Run(f"mkdir -p {self.folder}"),
            Write(self.program, self.broken, "0755"),
            Write(self.data, self.table),
            Run(self._analyse()),
        ]

    def _analyse(self) -> str:
        return f"/usr/bin/python3 {self.program} {self.data} {self.results}"

    def _mended(self, faults: list[Fault]) -> str:
        return f"{sed(faults, self.program)}\n{self._analyse()}\n"

    def solution(self) -> str:
        return f"#!/bin/bash\nset -euo pipefail\n{self._mended(self.faults)}column -s, -t {self.results}\n"

    def wrong(self) -> list[Script]:
        return [
            Script(f"leaves-{fault.name}", self._mended([each for each in self.faults if each is not fault]))
            for fault in self.faults
        ]

    def partial(self) -> list[Script]:
        return [
            Script("mends-only-the-program", sed(self.faults, self.program)),
            Script(
                "renews-only-the-results",
                f"cp {self.program} /tmp/old\n{self._mended(self.faults)}cp /tmp/old {self.program}",
            ),
        ]

    def checks(self) -> str:
        return source(
            {
                "PROGRAM": self.program,
                "DATA": self.data,
                "RESULTS": self.results,
                "TABLE": self.table,
                "OTHER": self.other,
                "TREATED": self.treated,
                "CONTROL": self.control,
                "ALPHA": self.alpha,
                "RULE": self.rule,
                "CENTRE": self.centre,
            },
            _CHECKS,
            ("math", "statistics"),
        )

    def solve(self, rng: Random) -> Teacher:
        hand = Hand(rng)
        screen = yield Turn(
            hand.say(
                "An analysis that is not to be trusted.",
                f"{self.ticket}: the program has mistakes, and its results are from it.",
            ),
            hand.say("Read the program first.", "First the code, as it is short."),
            (f"cd {self.folder} && {rng.choice(('ls', 'ls -l', 'ls -la'))}", f"cat {self.program}"),
        )
        seen = [fault for fault in self.faults if fault.wrong.strip() in screen]
        if not seen:
            raise PuzzledError("the program reads differently")
        screen = yield Turn(
            " ".join([hand.say("The first thing that I see:", "One thing is plain:"), hand.say(seen[0].seen)]),
            hand.say("Look at the data: visits per subject, missing values, present results.", "Now data and results."),
            (
                f"head -n {rng.choice((3, 5, 8))} {self.data}",
                f"tail -n +2 {self.data} | cut -d, -f1,2 | sort | uniq -c | sort -rn | head -n 8",
                f"grep -c ',,\\|,$' {self.data}",
                f"column -s, -t {self.results} | cut -c1-150",
            ),
        )
        most, who = (find(rf"^ +(\d+) (s\d+),(?:{self.treated}|{self.control})$", screen, group) for group in (1, 2))
        metric = find(r"^subject,arm,visit,(\w+)", screen)
        shown = [fault for fault in seen[1:] if fault.name in ("equal-variances", "missing-as-zero", "wrong-way-round")]
        left = shown[:1] if hand.slips(0.6) else []
        first = [fault for fault in seen if fault not in left]
        note = hand.say(
            f"{who}, for one, has {most} visits.", f"Subjects have several visits, {who} as many as {most}."
        )
        screen = yield Turn(
            " ".join([note, *(hand.say(fault.seen) for fault in first)]),
            hand.say("Mend the program and run it.", "Change these lines, look at the difference, and run it again."),
            (
                f"cp {self.program} /tmp/before.py",
                sed(first, self.program),
                f"diff /tmp/before.py {self.program}",
                self._analyse(),
                f"head -n 2 {self.results}",
            ),
            seconds=1.5,
        )
        own = (
            f'import pandas as pd; from scipy import stats; t = pd.read_csv("{self.data}"); '
            f's = t.groupby(["subject", "arm"])["{metric}"].{self.centre}().dropna(); '
            f'a, b = s.xs("{self.treated}", level=1), s.xs("{self.control}", level=1); '
            'print("own", len(a), len(b), a.mean() - b.mean(), stats.ttest_ind(a, b, equal_var=False)[1])'
        )
        for attempt in range(2):
            row = find(rf"^{metric},(\S+)$", screen).split(",")
            screen = yield Turn(
                hand.say(
                    f"The row for {metric} says {row[2]} with p = {row[5]}.",
                    f"For {metric}: difference {row[2]}, p {row[5]}.",
                ),
                hand.say("Work that one out on my own and compare.", f"An independent computation for {metric}."),
                (f"python3 -c '{own}'",),
                seconds=1.5,
            )
            mine = find(r"^own (.*)$", screen).split()
            near = [
                abs(float(a) - float(b)) <= 1e-6 * abs(float(b))
                for a, b in zip((row[2], row[5]), mine[2:], strict=True)
            ]
            if all(near):
                break
            if attempt or not left:
                raise PuzzledError("the two computations disagree")
            screen = yield Turn(
                hand.say(
                    f"Mine gives {mine[2]} and p = {mine[3]}, so something is still wrong.",
                    f"They disagree: {row[2]} there, {mine[2]} here.",
                )
                + f" {hand.say(left[0].seen)}",
                hand.say("Mend that as well.", "I overlooked that line; change it and run again."),
                (
                    sed(left, self.program),
                    f"diff /tmp/before.py {self.program}",
                    self._analyse(),
                    f"head -n 2 {self.results}",
                ),
                seconds=1.5,
            )
        screen = yield Turn(
            hand.say(
                f"Both agree for {metric}, on difference and p-value.",
                f"My own computation gives the same for {metric}.",
            ),
            hand.say(
                "See the whole table, and clean up after me.",
                "Read all rows: intervals around the difference, adjusted p-values not below the plain ones.",
            ),
            (
                f"column -s, -t {self.results} | cut -c1-155",
                f'awk -F, \'NR > 1 && ($5 > $4 || $6 < $4 || $8 + 1e-12 < $7) {{ print "odd", $1 }} END {{ print NR - 1, "metrics" }}\' {self.results}',
                "rm /tmp/before.py",
                f"ls -l {self.folder}",
            ),
        )
        if shows(r"^odd ", screen) or not shows(rf"^{len(self.metrics)} metrics$", screen):
            raise PuzzledError("the table has odd rows")
        differing = len([line for line in screen.splitlines() if line.rstrip().endswith(" yes")])
        yield Turn(
            hand.say(
                f"The table is consistent; {differing} of {len(self.metrics)} metrics differ after adjustment.",
                f"With every subject counted once, {differing} metric(s) remain.",
            ),
            hand.say("The program and its results are right now.", f"{self.ticket} is done."),
            complete=True,
        )


_CHECKS = '''
def tail(t, df):
    """Two-sided tail probability of Student's t, by the continued fraction of the incomplete beta function."""
    x = df / (df + t * t)
    if x >= 1.0:
        return 1.0
    a, b, swap = df / 2, 0.5, False
    if x > (a + 1) / (a + b + 2):
        a, b, x, swap = b, a, 1 - x, True
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(1 - x)) / a
    f, c, d = 1.0, 1.0, 0.0
    for i in range(400):
        m = i // 2
        if i == 0:
            step = 1.0
        elif i % 2 == 0:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + step * d or 1e-300)
        c = 1 + step / c or 1e-300
        f *= c * d
        if abs(1 - c * d) < 1e-15:
            break
    value = front * (f - 1)
    return 1 - value if swap else value


def quantile(alpha, df):
    """The t whose two-sided tail probability is alpha."""
    low, high = 0.0, 1000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, df) > alpha else (low, middle)
    return (low + high) / 2


def adjusted(ps):
    """p-values adjusted by the rule."""
    count, result = len(ps), []
    ordered = sorted(ps)
    for p in ps:
        if RULE == "Holm":
            result.append(max(min(1.0, (count - i) * q) for i, q in enumerate(ordered) if q <= p))
        else:
            result.append(min(min(1.0, count * q / (i + 1)) for i, q in enumerate(ordered) if q >= p))
    return result


def truth(text):
    """The right results of a trial: rows of metric, two counts, and five numbers."""
    rows = list(csv.DictReader(text.splitlines()))
    results = []
    for metric in text.splitlines()[0].split(",")[3:]:
        visits = {}
        for row in rows:
            if row[metric]:
                visits.setdefault((row["arm"], row["subject"]), []).append(float(row[metric]))
        arms = {TREATED: [], CONTROL: []}
        for (arm, _), values in visits.items():
            arms[arm].append(getattr(statistics, CENTRE)(values))
        one, two = arms[TREATED], arms[CONTROL]
        a, b = statistics.variance(one) / len(one), statistics.variance(two) / len(two)
        df = (a + b) ** 2 / (a * a / (len(one) - 1) + b * b / (len(two) - 1))
        difference, error = statistics.fmean(one) - statistics.fmean(two), math.sqrt(a + b)
        half = quantile(ALPHA, df) * error
        results.append([metric, len(one), len(two), difference, difference - half, difference + half, tail(difference / error, df)])
    for row, p in zip(results, adjusted([row[6] for row in results])):
        row.append(p)
    return results


def compare(path, text, what):
    """A file of results is what the right analysis gives."""
    found, expected = rows_of(path), truth(text)
    header = "metric,treated,control,difference,low,high,p,p_adjusted,differs".split(",")
    assert found and found[0] == header, f"{what}: the header is {found[:1]}"
    assert [row[0] for row in found[1:]] == [row[0] for row in expected], f"{what}: rows {[row[0] for row in found[1:]]}"
    for row, right in zip(found[1:], expected):
        for name, said, number in zip(header[1:], row[1:], right[1:]):
            try:
                near = math.isclose(float(said), number, rel_tol=1e-6, abs_tol=1e-12)
            except ValueError:
                near = False
            assert near, f"{what}: {name} of {row[0]} is {said}, not {number:.9g}"
        answer = "yes" if right[7] < ALPHA else "no"
        assert row[8] == answer, f"{what}: {row[0]} says {row[8]!r}, not {answer!r}"


def check_results_are_right():
    """The results of the trial are those of the right analysis."""
    compare(RESULTS, TABLE, "the results")


def check_data_are_unchanged():
    """The trial's data are as they were."""
    assert read(DATA) == TABLE, f"{DATA} was changed"


def check_another_trial():
    """The program analyses another trial, with other metrics and other sizes, in the right way."""
    with bench({"other.csv": OTHER}) as folder:
        results = os.path.join(folder, "other_results.csv")
        as_nobody("/usr/bin/python3", PROGRAM, os.path.join(folder, "other.csv"), results)
        compare(results, OTHER, "another trial")
'''
