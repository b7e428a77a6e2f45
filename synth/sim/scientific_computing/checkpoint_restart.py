"""A simulation that does not continue from its checkpoint as it would have gone on."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.faulty_program import FaultyProgram
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.repair_texts import Subject, write
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.scientific_computing.preloaded import CLIENT, SERVER
from synth.sim.workplace import Workplace


class CheckpointRestart(FaultyProgram):
    """Three of seven faults in what is saved, how exactly, and how it is written; constants and names are drawn."""

    topic: ClassVar[str] = "checkpoint-restart"
    focus: ClassVar[str] = "Making a checkpointed simulation continue bit for bit"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = place = Workplace(rng)
        self.module = rng.choice(("ring", "chain", "gas", "beads", "thermostat", "tube"))
        self.doc = rng.choice(("MODEL.md", "README.md", "RUNS.txt", "NOTES.md"))
        self.folder = f"{place.folder}/{rng.choice(('simulation', 'runs', 'model', 'dynamics'))}"
        self.marks = {
            "@MODULE@": self.module, "@BOX@": str(rng.choice((8.0, 9.5, 10.0, 12.5))), "@TARGET@": str(rng.choice((0.8, 1.1, 1.5))),
            "@REBUILD@": str(rng.choice((6, 7, 9, 11))), "@KICK@": str(rng.choice((4, 5, 7))), "@START@": rng.choice(("start", "new", "fresh")),
            "@CONTINUE@": rng.choice(("continue", "resume", "extend")), "@BEAD@": rng.choice(("bead", "particle", "atom", "body")),
        }  # fmt: skip
        self.pool = [Fault(*(self.filled(text) for text in fields)) for fields in _FAULTS]
        self.faults = [self.pool[i] for i in sorted(rng.sample(range(len(self.pool)), 3))]
        start, more, bead = self.marks["@START@"], self.marks["@CONTINUE@"], self.marks["@BEAD@"]
        nights = rng.choice(("two nights", "a weekend", "three evenings", "eight-hour slots"))
        write(
            self, place, [fault.symptom for fault in self.faults],
            Subject(
                f"{bead} simulation", self.folder, f"{self.module}.py", self.doc,
                rng.choice(("restarts", "continued runs", "checkpoints", "interrupted runs", "runs in several parts")),
                (
                    f"A run for {place.people[2].name} takes {nights}, so {self.module}.py writes checkpoints and goes on from them with `{more}`.",
                    f"{place.team.capitalize()} runs {self.module}.py in parts of {nights}: `{start}` once, then `{more}` as often as needed.",
                    f"The machine of {place.people[2].first} is switched off between {nights}, and {self.module}.py has to bridge that by checkpoints.",
                ),
                (
                    f"Results for {place.project.subject} that depend on when a run was interrupted cannot be [published|defended].",
                    f"A reviewer [repeated|ran again] what {place.people[0].first} had computed in parts and got other numbers.",
                    f"{place.people[1].first} insists that {more} must not change a single bit of any {bead}.",
                ),
                (
                    (
                        "Compare a run in one piece with the same run in two and three pieces",
                        f"Interrupt runs after different numbers of steps and `{more}` them",
                        f"Show with cmp or diff that `{more}` makes no difference for any {bead}",
                    ),
                ),
                (
                    f"`{self.folder}/{self.module}.py` simulates {bead}s on a ring and writes checkpoints; `{self.folder}/{self.doc}` says what it computes and how it is used.",
                    f"In `{self.folder}` there is a simulation with checkpoints, `{self.module}.py`, and its description, `{self.doc}`.",
                ),
                (
                    f"A run in one piece (`{start}`) and the same run in any number of pieces (`{start}`, then `{more}` again and again) print the same bytes at the end. It is tried with other seeds, sizes and lengths.",
                    "Runs in one piece print what they print now, byte for byte.",
                    "When a checkpoint cannot be written completely, for example because the disk is full, the one before it is still there and can be continued from.",
                    f"Commands and output of `{self.module}.py` stay as described; the checkpoint's format is up to you. It needs only Python and numpy, and no other file.",
                ),
            ),
        )  # fmt: skip

    @property
    def repair(self) -> Repair:
        """The work on the simulation."""
        return Repair(
            self.folder, f"{self.module}.py", plant(self.filled(_SOURCE), self.faults), self.faults, self.pool
        )

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.module}.py", self.repair.text, "0755"),
            Write(f"{self.folder}/{self.doc}", self.filled(_MODEL)),
        ]

    def checks(self) -> str:
        constants = {
            "TOOL": f"{self.folder}/{self.module}.py", "SERVER": SERVER, "REFERENCE": self.filled(_SOURCE), "START": self.marks["@START@"],
            "CONTINUE": self.marks["@CONTINUE@"], "DOC": (f"{self.folder}/{self.doc}", self.filled(_MODEL)),
        }  # fmt: skip
        return checks_file(constants, CLIENT + _CHECKS, ["tempfile"])

    def solve(self, rng: Random) -> Teacher:
        start, more, tool = self.marks["@START@"], self.marks["@CONTINUE@"], f"{self.module}.py"
        ending = (
            f"python3 -B {tool} {start} 5 7 40 /tmp/a > /tmp/whole; python3 -B {tool} {start} 5 7 17 /tmp/b > /dev/null",
            f"python3 -B {tool} {more} 23 /tmp/b | diff - /tmp/whole && echo no difference after 17 and 23 steps",
            "rm -f /tmp/a /tmp/b /tmp/c /tmp/whole",
        )
        return self.repair.teach(
            rng,
            (f"cat {self.doc}",),
            "the simulation",
            ending,
            seconds=2.5,
            proof="^no difference after 17 and 23 steps$",
        )


_MODEL = """\
# @MODULE@.py

    python3 @MODULE@.py @START@ SEED COUNT STEPS CHECKPOINT     a new run of COUNT @BEAD@s, and a checkpoint at its end
    python3 @MODULE@.py @CONTINUE@ STEPS CHECKPOINT                go on from a checkpoint, and write it anew

Both print the state at the end: `step N`, `temperature T` (mean over all steps of the whole run), and a line `X V` for each
@BEAD@, all with 17 digits.

@BEAD@s move on a ring of length @BOX@ and repel one another. Which pairs are near is worked out every @REBUILD@ steps and kept in
between. A thermostat (a friction that is itself a variable of the system) holds the temperature at @TARGET@. Every @KICK@ steps
one @BEAD@, drawn from the run's random stream, gets a new random speed.

Going on from a checkpoint must be the same as never having stopped, to the last bit.
"""

_SOURCE = '''\
#!/usr/bin/python3
"""@BEAD@s on a ring, with a thermostat, random kicks and checkpoints."""

import json
import os
import sys

import numpy as np

BOX, TARGET, REBUILD, KICK, H = @BOX@, @TARGET@, @REBUILD@, @KICK@, 0.02


def written(values):
    """Numbers as text."""
    return " ".join(f"{value:.17g}" for value in values)


def numbers(text):
    """Numbers from text."""
    return np.array([float(word) for word in text.split()])


class Ring:
    """The state of a run."""

    def __init__(self, seed, count):
        self.seed, self.step, self.friction, self.total = seed, 0, 0.0, 0.0
        self.rng = np.random.default_rng(seed)
        self.x = np.sort(self.rng.uniform(0, BOX, count))
        self.v = self.rng.normal(0, 1, count)
        self.pairs = self.near()
        self.force = self.forces()

    def distance(self, i, j):
        return (self.x[i] - self.x[j] + BOX / 2) % BOX - BOX / 2

    def near(self):
        """Pairs that may touch before they are worked out again."""
        count = len(self.x)
        return [[i, j] for i in range(count) for j in range(i) if abs(self.distance(i, j)) < 1.4]

    def forces(self):
        force = np.zeros(len(self.x))
        for i, j in self.pairs:
            d = self.distance(i, j)
            push = np.sign(d) * 3.0 * max(0.0, 1.3 - abs(d))
            force[i] += push
            force[j] -= push
        return force

    def temperature(self):
        return float((self.v**2).mean())

    def advance(self):
        """One step."""
        if self.step % REBUILD == 0:
            self.pairs = self.near()
        self.v = self.v + H / 2 * (self.force - self.friction * self.v)
        self.x = (self.x + H * self.v) % BOX
        self.force = self.forces()
        self.v = self.v + H / 2 * (self.force - self.friction * self.v)
        self.friction += H * (self.temperature() - TARGET)
        if self.step % KICK == 0:
            self.v[self.rng.integers(len(self.v))] = self.rng.normal()
        self.total += self.temperature()
        self.step += 1

    def save(self, path):
        """Write a checkpoint."""
        state = {"seed": self.seed, "step": self.step, "friction": self.friction, "total": self.total}
        state.update(x=written(self.x), v=written(self.v), pairs=self.pairs, rng=self.rng.bit_generator.state)
        with open(path + ".new", "w") as file:
            json.dump(state, file)
        os.replace(path + ".new", path)

    @classmethod
    def restored(cls, path):
        """A run from a checkpoint."""
        with open(path) as file:
            state = json.load(file)
        run = cls(state["seed"], len(state["x"].split()))
        run.x, run.v = numbers(state["x"]), numbers(state["v"])
        run.step = state["step"]
        run.friction = state["friction"]
        run.total = state["total"]
        run.rng.bit_generator.state = state["rng"]
        run.pairs = state["pairs"]
        run.force = run.forces()
        return run


def main(command, *arguments):
    path, steps = arguments[-1], int(arguments[-2])
    run = Ring(int(arguments[0]), int(arguments[1])) if command == "@START@" else Ring.restored(path)
    for _ in range(steps):
        run.advance()
    run.save(path)
    print("step", run.step)
    print("temperature", written([run.total / max(run.step, 1)]))
    for x, v in zip(run.x, run.v):
        print(written([x, v]))


if __name__ == "__main__":
    main(*sys.argv[1:])
'''


def _kept(name: str, steps: int = 13) -> tuple[str, str]:
    """Probe whether something survives saving and restoring."""
    one, other = (name.replace("?", run) for run in ("s", "r"))
    label = name.replace("?.", "").split("(")[0].replace("list", "digits")
    return (
        f'python3 -B -c \'from @MODULE@ import *; s = Ring(3, 7); [s.advance() for _ in range({steps})]; s.save("/tmp/c"); r = Ring.restored("/tmp/c"); print("{label} kept:", {one} == {other})\'',
        rf"^{label} kept: True$",
    )


_FAULTS = (
    (
        "random-stream", '        run.rng.bit_generator.state = state["rng"]\n', '        run.rng = np.random.default_rng(state["seed"])\n', '        run.rng = np.random.default_rng(state["seed"] + state["step"])\n',
        "[after `@CONTINUE@` the random kicks begin from the start again|the kicks of the first part are repeated in the second|continued runs draw the same @BEAD@s as the first part]",
        "The random stream is seeded anew on a restart; its state is in the checkpoint and has to be put back.",
        *_kept("?.rng.random()"),
    ),
    (
        "digits", '    return " ".join(f"{value:.17g}" for value in values)\n', '    return " ".join(f"{value:.12g}" for value in values)\n', '    return " ".join(f"{value:.15g}" for value in values)\n',
        "[output and checkpoints have fewer digits than described|positions lose their last digits at a restart|numbers are written with 12 digits only]",
        "written() keeps 12 digits; a double needs 17 to come back as the same number.",
        *_kept("list(?.x)"),
    ),
    (
        "pairs", '        run.pairs = state["pairs"]\n', "        run.pairs = run.near()\n", "        run.pairs = []\n",
        "[a restart between two searches for near pairs changes the forces|which pairs count as near depends on where the run was cut|runs that are cut at an awkward step feel other forces]",
        "The list of near pairs is worked out anew on a restart, but the run would have kept the old one until the next search.",
        *_kept("?.pairs", 17),
    ),
    (
        "friction", '        run.friction = state["friction"]\n', "        run.friction = 0.0\n", "        run.friction = run.temperature() - TARGET\n",
        "[the thermostat starts from nothing after `@CONTINUE@`|the friction is 0 again after each restart|the temperature jumps where a run was continued]",
        "The thermostat's friction is a variable of the system and is lost on a restart.",
        *_kept("?.friction"),
    ),
    (
        "mean", '        run.total = state["total"]\n', "        run.total = run.temperature()\n", '        run.total = run.temperature() * state["step"]\n',
        "[the mean temperature of continued runs is far too small|the temperature that is printed forgets the first part|the mean over the run is wrong after `@CONTINUE@`]",
        "The sum behind the mean temperature is not restored, so the first part is missing from it.",
        *_kept("?.total"),
    ),
    (
        "step", '        run.step = state["step"]\n', '        run.step = state["step"] + 1\n', '        run.step = state["step"] - 1\n',
        "[a continued run is one step ahead in its count|the number of steps is off by one after each restart|kicks come a step early after `@CONTINUE@`]",
        "The checkpoint is written after the step was counted, so restoring must not count another one.",
        *_kept("?.step"),
    ),
    (
        "torn-file", '        with open(path + ".new", "w") as file:\n            json.dump(state, file)\n        os.replace(path + ".new", path)\n', '        with open(path, "w") as file:\n            json.dump(state, file)\n',
        '        with open(path, "r+" if os.path.exists(path) else "w") as file:\n            json.dump(state, file)\n            file.truncate()\n',
        "[a full disk leaves half a checkpoint and no way back|a run that dies while it writes takes the old checkpoint with it|when writing fails, the checkpoint before it is gone too]",
        "save() writes over the only good checkpoint; it has to write beside it and put it in place when it is whole.",
        "python3 -B @MODULE@.py @START@ 5 60 9 /tmp/c > /dev/null; (ulimit -f 1; python3 -B @MODULE@.py @CONTINUE@ 4 /tmp/c > /dev/null 2>&1); python3 -B @MODULE@.py @CONTINUE@ 0 /tmp/c | sed -n '1s/^step.*/old checkpoint usable/p'",
        r"^old checkpoint usable$",
    ),
)  # fmt: skip

_CHECKS = '''
def call(program, *arguments, limit=0):
    return forked(program, *arguments, limit=limit)


def pieces(program, folder, seed, count, parts):
    """What a run in these parts prints at its end."""
    path = os.path.join(folder, f"checkpoint-{seed}-{len(parts)}")
    for number, steps in enumerate(parts):
        arguments = (CONTINUE, str(steps), path) if number else (START, str(seed), str(count), str(steps), path)
        done = call(program, *arguments)
        assert done.returncode == 0, f"{' '.join(arguments[:-1])} ends with {done.returncode}: {done.stderr[-100:]}"
    return done.stdout


def reference(folder):
    path = os.path.join(folder, "reference.py")
    with open(path, "w") as file:
        file.write(REFERENCE)
    return path


def check_one_piece_as_before():
    """Runs in one piece print what they always printed."""
    with tempfile.TemporaryDirectory() as folder:
        for seed, count, steps in ((1, 4, 50), (77, 12, 20)):
            want, got = (pieces(program, folder, seed, count, [steps]) for program in (reference(folder), TOOL))
            assert got == want, f"{START} {seed} {count} {steps} prints {got[:200]!r}, not {want[:200]!r}"


def check_pieces_make_no_difference():
    """Runs in several pieces print the same bytes as in one."""
    with tempfile.TemporaryDirectory() as folder:
        for seed, count, parts in ((3, 8, [13, 17]), (4, 9, [1, 0, 24]), (5, 7, [8, 9, 10])):
            want = pieces(reference(folder), folder, seed, count, [sum(parts)])
            got = pieces(TOOL, folder, seed, count, parts)
            assert got == want, f"seed {seed} in the parts {parts} ends with {got[:200]!r}, not {want[:200]!r}"


def check_failed_write_leaves_old_checkpoint():
    """A checkpoint that cannot be written completely leaves the one before it usable."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint")
        assert call(TOOL, START, "8", "90", "3", path).returncode == 0
        call(TOOL, CONTINUE, "4", path, limit=700)
        done = call(TOOL, CONTINUE, "6", path)
        assert done.returncode == 0, f"after a failed write: {done.stderr[-300:]}"
        assert done.stdout == pieces(reference(folder), folder, 8, 90, [9]), "after a failed write the run does not go on from the old checkpoint"


def check_description_untouched():
    """The description is what it was."""
    assert read(DOC[0]) == DOC[1], "the description was changed"
'''
