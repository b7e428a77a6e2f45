"""A C or Fortran kernel under Python: the wrapper disagrees with it about types, shapes, memory and results."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.faulty_program import FaultyProgram
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.repair_texts import Subject, write
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.scientific_computing.native_kernels_program import (
    CHECKS,
    FAULTS,
    FORTRAN,
    KERNEL,
    MAKEFILE,
    PLAIN,
    PROBE,
    WRAPPER,
    C,
)
from synth.sim.workplace import Workplace


class NativeKernels(FaultyProgram):
    """Three of seven faults in a ctypes wrapper; the kernel is in C or in Fortran, and the names are drawn."""

    topic: ClassVar[str] = "native-kernels"
    focus: ClassVar[str] = "Mending the Python wrapper of a compiled numerical kernel"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = place = Workplace(rng)
        self.language = rng.choice(("C", "Fortran"))
        self.source = "kernel.c" if self.language == "C" else "kernel.f90"
        self.tool = rng.choice(("fast.py", "native.py", "kernels.py", "compiled.py", "speed.py"))
        self.doc = rng.choice(("KERNEL.md", "README.md", "INTERFACE.txt", "NOTES.md"))
        self.folder = f"{place.folder}/{rng.choice(('native', 'kernels', 'numerics', 'ext'))}"
        self.marks = {
            "@TOOL@": self.tool, "@MODULE@": self.tool[:-3], "@SMOOTH@": rng.choice(("smooth", "relax", "blur", "diffuse")),
            "@ENERGY@": rng.choice(("energy", "power", "squares")), "@TALLY@": rng.choice(("tally", "histogram", "classes")),
            "@LIB@": rng.choice(("libkernel.so", "libgrid.so", "libfast.so")), "@SOURCE@": self.source,
            "@COMPILE@": "gcc -O2 -fPIC -shared" if self.language == "C" else "gfortran -O2 -fPIC -shared",
        }  # fmt: skip
        self.pool = [Fault(*(self.filled(text) for text in fields)) for fields in FAULTS]
        # The first two show in the same results, so that neither could be seen to be mended before the other.
        planted = rng.sample(range(len(self.pool)), 3)
        while {0, 1} <= set(planted):
            planted = rng.sample(range(len(self.pool)), 3)
        self.faults = [self.pool[i] for i in sorted(planted)]
        smooth, energy, tally = self.marks["@SMOOTH@"], self.marks["@ENERGY@"], self.marks["@TALLY@"]
        grids = rng.choice(("height maps", "temperature fields", "camera frames", "concentration maps", "radar images"))
        write(
            self, place, [fault.symptom for fault in self.faults],
            Subject(
                f"wrapper of the {self.language} kernel", self.folder, self.tool, self.doc,
                rng.choice((f"results of {smooth} and {energy}", f"{tally} and {smooth}", "calls into the library", f"{grids} that go through the library")),
                (
                    f"{place.people[2].name} moved the slow loops over {grids} into {self.language}; {self.tool} calls them through ctypes.",
                    f"{self.tool} gives {place.team} the functions {smooth}, {energy} and {tally}, whose loops are in {self.source}.",
                    f"For {place.project.subject}, {grids} are processed by a kernel in {self.language} that {self.tool} makes available to Python.",
                ),
                (
                    f"The plain version in plain.py is right but [far too slow|a hundred times slower] for the {grids} of {place.people[0].first}.",
                    f"{place.people[1].first} [suspects|believes] that the kernel is fine and that only {self.tool} calls it wrongly.",
                    f"Garbage in {grids} was noticed only because a map of {place.project.subject} looked odd.",
                ),
                (
                    (
                        f"Compare {self.tool} with plain.py on views, transposed and odd-sized arrays",
                        f"Try {smooth} with 0, 1 and 2 rounds and {tally} with many classes",
                        f"Build {self.marks['@LIB@']} with make and call {smooth}, {energy} and {tally}",
                    ),
                ),
                (
                    f"`{self.folder}/{self.tool}` calls a kernel in {self.language}, `{self.source}`, through ctypes; `make` builds the library, `{self.doc}` describes the functions, and `plain.py` has them in plain Python, slow and right.",
                    f"In `{self.folder}` a kernel in {self.language} (`{self.source}`, built by `make`) is made available to Python by `{self.tool}`. `{self.doc}` describes the functions and `plain.py` has a slow, right version of them.",
                ),
                (
                    f"After `make -B` in `{self.folder}`, the functions of `{self.tool}` give what `{self.doc}` says, for arrays of any size and memory layout, lists and integer arrays; they are compared with the plain version on arrays that are not in the folder.",
                    f"The loops stay in the compiled library: `{self.tool}` does not work the results out itself. `{self.source}`, `Makefile` and `plain.py` stay as they are.",
                    f"The library `{self.folder}/{self.marks['@LIB@']}` is built.",
                ),
            ),
        )  # fmt: skip

    @property
    def repair(self) -> Repair:
        """The work on the wrapper."""
        return Repair(
            self.folder, self.tool, plant(self.filled(WRAPPER), self.faults), self.faults, self.pool, "make -s"
        )

    def _kept(self) -> dict[str, str]:
        kernel = C if self.language == "C" else FORTRAN
        texts = {self.source: kernel, "Makefile": MAKEFILE, "plain.py": PLAIN, self.doc: KERNEL}
        return {f"{self.folder}/{name}": self.filled(text) for name, text in texts.items()}

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.tool}", self.repair.text),
            *(Write(path, text) for path, text in self._kept().items()),
        ]

    def checks(self) -> str:
        constants = {
            "FOLDER": self.folder, "MODULE": self.tool[:-3], "NAMES": [self.marks[mark] for mark in ("@SMOOTH@", "@ENERGY@", "@TALLY@")],
            "LIBRARY": self.marks["@LIB@"], "KEPT": self._kept(), "PROBE": PROBE, "PLAIN": self.filled(PLAIN),
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["shutil", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        reading = (f"cat {self.doc}", f"cat {self.source} Makefile")
        return self.repair.teach(rng, reading, "the wrapper", ("rm -rf __pycache__",), shuffle=False, seconds=2.0)
