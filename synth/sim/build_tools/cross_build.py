"""A CMake project that confuses the machine that builds with the one that is built for."""

from random import Random

from synth.sim.build_tools.bench import lay
from synth.sim.build_tools.cross_build_task import CrossBuildTask
from synth.sim.build_tools.grading import digests, source
from synth.sim.hand import Hand, PuzzledError, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write


class CrossBuild(CrossBuildTask):
    """The toolchain file must give the target's program, with the target's library and a generator that runs here."""

    def setup(self) -> list[Run | Write]:
        steps: list[Run | Write] = [self.lay({**self._rules(*self.faults), **self._sources()})]
        for target, (folder, compiler) in enumerate((("/usr/local", "gcc"), (f"{self.sysroot}/usr", "musl-gcc"))):
            steps += [
                Run(lay(folder, {f"include/{self.v}.h": self._vendor_header(bool(target)), "lib/code.c": self._vendor_code(bool(target))})),
                Run(
                    f"set -e\ncd {folder}/lib\n{compiler} -O1 -c -o {self.v}.o code.c\nar rcsD lib{self.v}.a {self.v}.o\n"
                    f"rm code.c {self.v}.o"
                ),
            ]  # fmt: skip
        return steps

    def _put(self, files: dict[str, str]) -> str:
        parts = [f"cat > {path} <<'EOF'\n{text}EOF\n" for path, text in files.items()]
        return f"#!/bin/bash\nset -euo pipefail\ncd {self.folder}\n{''.join(parts)}"

    def _repaired(self, *left: str) -> dict[str, str]:
        """The build files that differ from the first ones when all faults but these are mended."""
        first = self._rules(*self.faults)
        return {path: text for path, text in self._rules(*left).items() if text != first[path]}

    def solution(self) -> str:
        cross, vendor, text = f"-DCMAKE_TOOLCHAIN_FILE=$PWD/{self.toolchain}", self.vendor.name, self.texts[0]
        return (
            f"{self._put(self._repaired())}# try both builds aside\nout=$(mktemp -d)\n"
            f"cmake -S . -B $out/target {cross}\ncmake --build $out/target\ncmake --install $out/target --prefix $out/prefix\n"
            f"file $out/prefix/bin/{self.program}\n$out/prefix/bin/{self.program} --version\n"
            f"cmake -S . -B $out/native\ncmake --build $out/native\n$out/native/{self.program} --version\n"
            f"for each in prefix/bin native; do $out/$each/{self.program} {vendor} '{text}'; done\nrm -r $out\n"
        )

    def wrong(self) -> list[Script]:
        good, table = self._repaired(), self.table
        v, tables, probes = f"cmake/{self.v}.cmake", good["cmake/tables.cmake"], self._probes(set())
        has = f"HAVE_{self.feature.upper()}"
        header = "".join(f"#define {row}\n" for row in self._data().splitlines())
        kept = (
            f"if(CMAKE_CROSSCOMPILING)\nconfigure_file(cmake/{table}.h {table}.h COPYONLY)\nelse()\n{tables}endif()\n"
        )
        everywhere = (
            f"set({self.v.upper()}_INCLUDE {self.sysroot}/usr/include)\n"
            f"set({self.v.upper()}_LIBRARY {self.sysroot}/usr/lib/lib{self.v}.a)\n"
        )
        return [
            Script(
                "target-gets-a-copy-of-the-header",
                self._put({**good, "cmake/tables.cmake": kept, f"cmake/{table}.h": header}),
            ),
            Script(
                "compiler-of-the-build-machine",
                self._put({**good, self.toolchain: self._toolchain(set()).replace("musl-gcc", "gcc")}),
            ),
            Script("sysroot-in-the-native-build-too", self._put({**good, v: everywhere})),
            Script(
                "feature-is-lost-for-all",
                self._put({**good, "cmake/probes.cmake": probes.replace(f"if({has})", f"if(NEVER_{has})")}),
            ),
        ]

    def partial(self) -> list[Script]:
        return [Script(f"leaves-{fault}", self._put(self._repaired(fault))) for fault in self.faults]

    def checks(self) -> str:
        vendor = [[(self.vendor.name, text, self.vendor.value(text, k)) for text in self.texts] for k in self.ks]
        sources = self._sources()
        places = ("/usr/local", f"{self.sysroot}/usr")
        constants: dict[str, object] = {
            "FOLDER": self.folder, "PROGRAM": self.program, "TOOLCHAIN": self.toolchain, "DATA": f"data/{self.table}.txt",
            "VALUES": (self._data(), self._data(1)),
            "RESULTS": [
                [(unit.name, text, unit.value(text, unit.k + shift)) for unit in self.units for text in self.texts]
                + [(self.room, text, len(text) // 2) for text in self.texts] for shift in (0, 1)
            ],
            "VENDOR": vendor, "RELEASES": self.releases, "FEATURE": self.feature, "FILES": digests(sources),
            "LIBRARIES": [
                (place, self.v, compiler, digests({f"include/{self.v}.h": self._vendor_header(bool(i))}), vendor[i])
                for i, (place, compiler) in enumerate(zip(places, ("gcc", "musl-gcc"), strict=True))
            ],
        }  # fmt: skip
        return source(constants, _CHECKS)

    def _mend(self, fault: str, left: list[str], but: dict[str, str] | None = None) -> tuple[str, ...]:
        """Commands that write the build files in which the fault lies, with those left that are still to be found."""
        now = {**self._rules(*left), **(but or {})}
        before = self._rules(*left, fault)
        return tuple(f"cat > {path} <<'EOF'\n{text}EOF" for path, text in now.items() if text != before[path])

    def act(self, rng: Random) -> Teacher:
        hand, v, release = Hand(rng), self.v, self.releases[1]
        program, vendor, text = f"/tmp/x/{self.program}", self.vendor.name, self.texts[0]
        wanted = self.vendor.value(text, self.ks[1])
        again = (
            f"cmake -S . -B /tmp/x -DCMAKE_TOOLCHAIN_FILE=$PWD/{self.toolchain} 2>&1 | grep -E 'Error|TRY_RUN|written'",
            "cmake --build /tmp/x 2>&1 | grep -E 'error:|undefined|Built|Error ' | head -n 12",
        )
        fresh = ("rm -rf /tmp/x", *again)
        ask = (f"file -b {program}", f"{program} --version; {program} {vendor} '{text}'")
        yield Turn(
            hand.say(
                f"A cross build for the {self.device} is wanted.", f"{self.ticket}: {self.program} for a musl target."
            ),
            hand.say("Read the build files first.", "Look at the rules and the two installations."),
            (
                *self.enter(rng),
                f"cat CMakeLists.txt cmake/*.cmake {'' if self.toolchain.startswith('cmake/') else self.toolchain}".rstrip(),
                f"find /usr/local {self.sysroot} -name '*{v}*'; head -n 6 tools/*.c",
            ),
        )
        yield Turn(
            hand.say("Now what the native build gives.", f"{self.tool} runs during the build; {v} exists twice."),
            hand.say("Build natively, to have something to compare.", "First the build that works."),
            (
                "cmake -S . -B /tmp/n | tail -n 1; cmake --build /tmp/n 2>&1 | grep -E 'error|Built'",
                f"/tmp/n/{self.program} --version",
            ),
            seconds=2.0,
        )
        screen = yield Turn(
            hand.say("The native build is fine.", "That works."),
            hand.say("Now with the toolchain file.", f"The same with {self.toolchain}."),
            fresh,
            seconds=2.0,
        )
        left = list(self.faults)
        slip = hand.slips(0.4)
        while not shows(rf"Built target {self.program}$", screen):
            but: dict[str, str] = {}
            if shows(r"TRY_RUN", screen) and "probe" in left:
                fault, why = (
                    "probe",
                    "A configure test runs its program, and CMake will not run what it cross compiled.",
                )
            elif shows(r"fatal error: error\.h", screen) and "generator" in left:
                fault, why = (
                    "generator",
                    f"{self.tool} is compiled for the target, and musl has no error.h; it should run here.",
                )
                if slip:
                    # Still the toolchain file's compiler: inside a cross build that is the target's.
                    but = {"cmake/tables.cmake": self._tables(set(), "CMAKE_C_COMPILER")}
            elif shows(r"fatal error: error\.h", screen) and slip:
                slip, fault = False, "generator"
                why = "CMAKE_C_COMPILER is the target's compiler in this build. The build machine's has to be found by name."
            elif shows(rf"undefined reference to .{self.feature}", screen) and "feature" in left:
                fault, why = (
                    "feature",
                    f"{self.feature} is glibc's; the system's name says nothing about it. Ask the library.",
                )
            else:
                raise PuzzledError("nothing explains why it does not build")
            left = [each for each in left if each != fault]
            screen = yield Turn(
                why,
                hand.say("Mend that and build anew.", "Change this, then see how far it gets."),
                (*self._mend(fault, left, but), *fresh),
                seconds=2.0,
            )
        screen = yield Turn(
            hand.say("It builds.", f"There is a {self.program} for the target."),
            hand.say("Is it what was asked for? File type, C library, vendor's release.", "See what it is made of."),
            (*ask, "grep -n march CMakeLists.txt"),
        )
        if shows(r"dynamically linked", screen):
            left.remove("static")
            screen = yield Turn(
                "It is linked dynamically and wants an interpreter.",
                "The toolchain file has to say -static, for all programs.",
                (*self._mend("static", left), *fresh, *ask),
                seconds=2.0,
            )
        if shows(rf"^musl {self.releases[0].replace('.', '[.]')}$", screen):
            left.remove("sysroot")
            # What was found before is remembered in the build folder, unless it is made anew.
            hasty = hand.slips(0.5)
            screen = yield Turn(
                f"That is lib{v} {self.releases[0]}, the one of this machine.",
                f"Make cmake look in {self.sysroot} and nowhere else for libraries and headers.",
                (*self._mend("sysroot", left), *(again if hasty else fresh), *ask),
                seconds=2.0,
            )
            if hasty and not shows(rf"^musl {release.replace('.', '[.]')}$", screen):
                screen = yield Turn(
                    "Still the old one: CMakeCache.txt in the build folder remembers what was found at first.",
                    hand.say("Begin with an empty build folder.", "Remove the build folder and configure anew."),
                    (*fresh, *ask),
                    seconds=2.0,
                )
        if not shows(rf"^musl {release.replace('.', '[.]')}\n{wanted}$", screen) or shows("dynamically linked", screen):
            raise PuzzledError(f"it is not a musl program with lib{v} {release}")
        if "march" in left:
            left.remove("march")
            screen = yield Turn(
                "C library and vendor's release are right. -march=native still stands in CMakeLists.txt.",
                hand.say("Keep that for native builds alone.", "A cross build must not have it."),
                (*self._mend("march", left), *fresh, "grep -rc march=native /tmp/x/CMakeFiles/*/flags.make"),
                seconds=2.0,
            )
            if shows(r"flags\.make:[1-9]", screen):
                raise PuzzledError("the flag is still there")
        data, unit = f"data/{self.table}.txt", self.units[0]
        screen = yield Turn(
            hand.say("Now both builds from a copy, with changed data.", "The last trial: another place, other data."),
            hand.say("The header must follow the data, and the native build must be as before.", "Install and compare."),
            (
                f"rm -rf /tmp/x /tmp/n /tmp/c; cp -r . /tmp/c; cd /tmp/c; sed -i 's/^{unit.macro} .*/{unit.macro} {unit.k + 1}/' {data}",
                *again,
                "cmake --install /tmp/x --prefix /tmp/p >/dev/null; cmake -S . -B /tmp/n >/dev/null; cmake --build /tmp/n | tail -n 1",
                f"for p in /tmp/p/bin /tmp/n; do $p/{self.program} --version; $p/{self.program} {unit.name} '{text}'; done",
                f"nm -D /tmp/n/{self.program} | grep -c {self.feature}; readelf -lW /tmp/p/bin/{self.program} | grep -c INTERP",
            ),
            seconds=2.0,
        )  # fmt: skip
        value = unit.value(text, unit.k + 1)
        if not shows(rf"^musl {release}\n{value}\nglibc {self.releases[0]}\n{value}$(.*\n)*1\n(.*\n)*0$", screen):
            raise PuzzledError("the two builds are not what they should be")
        yield Turn(
            hand.say(
                "Each build has its own C library and its own release.", "Both are as asked, with the changed data."
            ),
            hand.say("Clean up.", "Remove what was tried."),
            (f"cd {self.folder}; rm -rf /tmp/x /tmp/n /tmp/c /tmp/p; ls",),
        )
        yield Turn(
            hand.say("Target and build machine are kept apart now.", f"{self.toolchain} gives a static musl program."),
            hand.say("Nothing is left to do.", f"{self.ticket} is done."),
            complete=True,
        )


_CHECKS = '''
@contextlib.contextmanager
def built(cross, generator, values=0, install=True):
    """Configure, and build and install, a fresh tree with some data; gives the tree and the installed program."""
    with fresh(FOLDER, without=("build", "out")) as tree:
        with open(f"{tree}/{DATA}", "w") as file:
            file.write(VALUES[values])
        later(f"{tree}/{DATA}", 0)
        options = [f"-DCMAKE_TOOLCHAIN_FILE={tree}/{TOOLCHAIN}"] if cross else []
        commands = "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
        must("cmake", f"-G{generator}", "-S", ".", "-B", "out", commands, *options, cwd=tree)
        program = f"{tree}/out/prefix/bin/{PROGRAM}"
        if install:
            must("cmake", "--build", "out", cwd=tree)
            must("cmake", "--install", "out", "--prefix", f"{tree}/out/prefix", cwd=tree)
            assert os.path.isfile(program), f"bin/{PROGRAM} is not installed"
        yield tree, program


def same_results(program, results):
    """The program gives the right numbers."""
    for name, text, value in results:
        got = must(program, name, text, cwd=os.path.dirname(program)).strip()
        assert got == str(value), f"{name} of {text!r} is {got}, not {value}"


def version(program):
    """What the program says of its C library and the vendor's release."""
    return must(program, "--version", cwd=os.path.dirname(program)).strip()


def segments(program):
    """What readelf shows of how the program is loaded."""
    return output("readelf", "-lW", program)


def static_musl(program):
    """The program needs no interpreter and has nothing of glibc."""
    shown = segments(program)
    assert "INTERP" not in shown and "DYNAMIC" not in shown, "the target's program is not linked statically"
    with open(program, "rb") as file:
        assert b"glibc" not in file.read().lower(), "the target's program has glibc in it"
    said = version(program)
    assert said == f"musl {RELEASES[1]}", f"the target's program says {said}"


def check_cross_build_gives_the_targets_program():
    """With the toolchain file a static musl program with the sysroot's library comes out, and computes rightly."""
    with built(True, "Unix Makefiles") as (tree, program):
        static_musl(program)
        same_results(program, RESULTS[0] + VENDOR[1])


def check_cross_build_follows_the_data():
    """The generator runs in a cross build, so other data give another program."""
    with built(True, "Ninja", 1) as (tree, program):
        static_musl(program)
        same_results(program, RESULTS[1] + VENDOR[1])


def check_objects_are_not_for_the_build_machines_processor():
    """No source is compiled for the processor of the build machine."""
    with built(True, "Ninja", install=False) as (tree, program):
        commands = json.loads(read(f"{tree}/out/compile_commands.json"))
        for each in commands:
            bad = re.findall(r"-m(?:arch|cpu|tune)=native", each["command"])
            assert not bad, f"{os.path.basename(each['file'])} is compiled with {bad}"


def check_native_build_is_as_before():
    """Without a toolchain file the program is dynamic, glibc's, with the library of this machine and the C library's extra."""
    with built(False, "Unix Makefiles", 1) as (tree, program):
        assert "ld-linux" in segments(program), "the native program is not linked dynamically with glibc"
        said = version(program)
        assert said == f"glibc {RELEASES[0]}", f"the native program says {said}"
        same_results(program, RESULTS[1] + VENDOR[0])
        used = {row.split()[-1].split("@")[0] for row in output("nm", "-D", program).splitlines()}
        assert FEATURE in used, f"the native program does not call {FEATURE}"


def check_sources_are_untouched():
    """Sources, headers, generator and data are as they were."""
    same_files(FOLDER, FILES)


def check_libraries_are_untouched():
    """The vendor's library on this machine and in the sysroot are as they were."""
    for place, name, compiler, files, results in LIBRARIES:
        same_files(place, files)
        with fresh(f"{place}/lib") as folder:
            calls = "".join(f'    printf("%ld\\\\n", {call}({json.dumps(text)}));\\n' for call, text, _ in results)
            with open(f"{folder}/client.c", "w") as file:
                file.write(f'#include <stdio.h>\\n#include "{name}.h"\\nint main(void)\\n{{\\n{calls}}}\\n')
            own(folder)
            must(compiler, "-static", f"-I{place}/include", "-o", "client", "client.c", f"lib{name}.a", cwd=folder)
            got = must(f"{folder}/client", cwd=folder).split()
            assert got == [str(value) for _, _, value in results], f"{place}/lib/lib{name}.a was changed"
'''
