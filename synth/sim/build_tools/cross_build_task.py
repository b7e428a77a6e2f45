"""What the cross build is about: the drawn faults, the project with its two machines, and the words."""

from random import Random
from typing import ClassVar

from synth.sim.build_tools.bench import BuildTask
from synth.sim.build_tools.units import Unit, dispatcher, draw_texts, draw_units, guarded
from synth.sim.wording import listed

_ALWAYS = ("generator", "sysroot")
_DRAWN = ("probe", "feature", "static", "march")
# What glibc has and musl has not: the header, and what is done with it.
_FEATURES = {
    "rawmemchr": ("string.h", "    length = (const char *) rawmemchr(text, 0) - text;\n"),
    "malloc_trim": ("malloc.h", "    malloc_trim(0);\n"),
    "mallinfo2": ("malloc.h", "    (void) mallinfo2();\n"),
    "rpmatch": ("stdlib.h", "    if (rpmatch(text) < 0)\n        length = (long) strlen(text);\n"),
    "canonicalize_file_name": ("stdlib.h", "    free(canonicalize_file_name(text));\n"),
}


class CrossBuildTask(BuildTask):
    """Draws the parameters, lays out the tree and writes the task's texts."""

    topic: ClassVar[str] = "cross-builds"
    focus: ClassVar[str] = "Cross building with a CMake toolchain file and a target sysroot"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        *self.units, self.vendor = draw_units(rng, rng.choice((4, 5)), ("words", "distinct"))
        self.lib = self.short + rng.choice(("kit", "base", "core", "parts"))
        self.v = rng.choice(("acme", "zenith", "orbital", "quanta", "helix", "nimbus"))
        self.device = rng.choice(("gateway", "router", "sensor", "kiosk", "panel", "beacon", "meter", "relay"))
        self.sysroot = rng.choice(
            (f"/opt/sysroots/{self.device}", f"/opt/{self.device}/sysroot", f"/srv/targets/{self.device}")
        )
        self.toolchain = rng.choice(
            ("cmake/musl.cmake", f"cmake/{self.device}.cmake", "toolchains/x86_64-linux-musl.cmake")
        )
        self.tool = rng.choice(("maketable", "mkheader", "genheader", "tablegen"))
        self.table = rng.choice(("bounds", "constants", "figures", "tuning"))
        self.feature = rng.choice(tuple(_FEATURES))
        self.room = rng.choice(("room", "extent", "span", "stretch_of"))
        """The function that uses what only glibc has."""
        major = rng.randrange(1, 6)
        self.releases = (f"{major}.{rng.randrange(0, 9)}", f"{major + 1}.{rng.randrange(0, 9)}")
        """Of the vendor's library: on this machine and on the target."""
        self.ks = (self.vendor.k, self.vendor.k + rng.randrange(2, 6))
        self.path_fault = rng.random() < 0.5
        """Whether the host's library is a path in the tree, or the toolchain file knows no sysroot."""
        drawn = set(rng.sample(_DRAWN, rng.choice((2, 3))))
        self.faults = (*_ALWAYS, *(fault for fault in _DRAWN if fault in drawn))
        self.texts = draw_texts(rng, 2)
        self._write_texts()

    def _vendor_code(self, target: bool) -> str:
        unit = Unit(self.vendor.kind, self.ks[target])
        return f"{unit.define()}\n{unit.function()}"

    def _vendor_header(self, target: bool) -> str:
        release = f'#define {self.v.upper()}_RELEASE "{self.releases[target]}"\n'
        return guarded(self.v, f"{release}\n{self.vendor.prototype};\n")

    def _data(self, shift: int = 0) -> str:
        return "".join(f"{unit.macro} {unit.k + shift}\n" for unit in self.units)

    def _toolchain(self, bad: set[str]) -> str:
        text = (
            f"# Programs for the {self.device}: musl instead of glibc.\nset(CMAKE_SYSTEM_NAME Linux)\n"
            "set(CMAKE_SYSTEM_PROCESSOR x86_64)\nset(CMAKE_C_COMPILER musl-gcc)\n"
        )
        if "static" not in bad:
            text += "set(CMAKE_EXE_LINKER_FLAGS_INIT -static)\n"
        if "sysroot" not in bad or self.path_fault:
            text += (
                f"set(CMAKE_FIND_ROOT_PATH {self.sysroot})\nset(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)\n"
                "set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)\nset(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)\n"
            )
        return text

    def _probes(self, bad: set[str]) -> str:
        has = f"HAVE_{self.feature.upper()}"
        text = "# What the compiler and the C library can do.\n"
        if "probe" in bad:
            text += (
                "include(CheckCSourceRuns)\n"
                'check_c_source_runs("int main(void) { return (-2 >> 1) != -1; }" ARITHMETIC_SHIFT)\n'
            )
        else:
            text += (
                "include(CheckCSourceCompiles)\ncheck_c_source_compiles("
                '"int shifts[(-2 >> 1) == -1 ? 1 : -1]; int main(void) { return 0; }" ARITHMETIC_SHIFT)\n'
            )
        text += "if(ARITHMETIC_SHIFT)\n  add_compile_definitions(ARITHMETIC_SHIFT)\nendif()\n"
        if "feature" in bad:
            text += "if(CMAKE_SYSTEM_NAME STREQUAL Linux)\n"
        else:
            text += (
                "include(CheckSymbolExists)\nset(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)\n"
                f"check_symbol_exists({self.feature} {_FEATURES[self.feature][0]} {has})\nif({has})\n"
            )
        return f"{text}  add_compile_definitions({has})\nendif()\n"

    def _tables(self, bad: set[str], compiler: str = "BUILD_CC") -> str:
        out, tool = "${PROJECT_BINARY_DIR}", self.tool
        if "generator" in bad:
            text = f"add_executable({tool} tools/{tool}.c)\n"
            program = tool
        else:
            program = f"{out}/{tool}"
            text = "find_program(BUILD_CC NAMES gcc cc REQUIRED)\n" if compiler == "BUILD_CC" else ""
            text += (
                f"add_custom_command(OUTPUT {program}\n"
                f"  COMMAND ${{{compiler}}} -O1 -o {program} ${{PROJECT_SOURCE_DIR}}/tools/{tool}.c\n"
                f"  DEPENDS ${{PROJECT_SOURCE_DIR}}/tools/{tool}.c)\n"
            )
        data = f"${{PROJECT_SOURCE_DIR}}/data/{self.table}.txt"
        return (
            f"# {self.table}.h comes from data/{self.table}.txt.\n{text}add_custom_command(OUTPUT {out}/{self.table}.h\n"
            f"  COMMAND {program} {data} {out}/{self.table}.h\n  DEPENDS {program} {data})\n"
        )

    def _find(self, bad: set[str]) -> str:
        name = self.v.upper()
        if "sysroot" in bad and self.path_fault:
            return f"set({name}_INCLUDE /usr/local/include)\nset({name}_LIBRARY /usr/local/lib/lib{self.v}.a)\n"
        return f"find_path({name}_INCLUDE {self.v}.h REQUIRED)\nfind_library({name}_LIBRARY {self.v} REQUIRED)\n"

    def _lists(self, bad: set[str]) -> str:
        sources = " ".join(f"src/{name}.c" for name in (*(unit.name for unit in self.units), self.room))
        name = self.v.upper()
        march = "add_compile_options(-march=native)\n" if "march" in self.faults else ""
        if march and "march" not in bad:
            march = f"if(NOT CMAKE_CROSSCOMPILING)\n  {march}endif()\n"
        return (
            f"cmake_minimum_required(VERSION 3.20)\nproject({self.short} LANGUAGES C)\n"
            "if(NOT CMAKE_BUILD_TYPE)\n  set(CMAKE_BUILD_TYPE Release)\nendif()\n"
            f"{march}"
            f"include(cmake/probes.cmake)\ninclude(cmake/tables.cmake)\ninclude(cmake/{self.v}.cmake)\n\n"
            f"add_library({self.lib} STATIC {sources} ${{PROJECT_BINARY_DIR}}/{self.table}.h)\n"
            f"target_include_directories({self.lib} PUBLIC include PRIVATE ${{PROJECT_BINARY_DIR}})\n"
            f"add_executable({self.program} src/main.c)\n"
            f"target_include_directories({self.program} PRIVATE ${{{name}_INCLUDE}})\n"
            f"target_link_libraries({self.program} PRIVATE {self.lib} ${{{name}_LIBRARY}})\n"
            f"install(TARGETS {self.program} DESTINATION bin)\n"
        )

    def _rules(self, *bad: str) -> dict[str, str]:
        """The build files with these faults."""
        faults = set(bad)
        return {
            "CMakeLists.txt": self._lists(faults),
            "cmake/probes.cmake": self._probes(faults),
            "cmake/tables.cmake": self._tables(faults),
            f"cmake/{self.v}.cmake": self._find(faults),
            self.toolchain: self._toolchain(faults),
        }

    def _sources(self) -> dict[str, str]:
        """Everything that stays as it is."""
        names = [unit.name for unit in self.units]
        prototypes = [f"{unit.prototype};\n" for unit in self.units]
        room = f"long {self.room}(const char *text)"
        header, use = _FEATURES[self.feature]
        includes = "".join(f"#include <{name}>\n" for name in sorted({header, "string.h"}))
        main = dispatcher(
            [*self.units, self.vendor], [f'"{self.lib}.h"', f"<{self.v}.h>"], f'LIBC " " {self.v.upper()}_RELEASE'
        )
        main = main.replace("] = {\n", f'] = {{\n    {{"{self.room}", {self.room}}},\n', 1)
        files = {
            "src/main.c": main.replace(
                "\nstatic", '\n#ifdef __GLIBC__\n#define LIBC "glibc"\n#else\n#define LIBC "musl"\n#endif\n\nstatic', 1
            ),
            f"include/{self.lib}.h": guarded(self.lib, "".join([*prototypes, f"{room};\n"])),
            f"data/{self.table}.txt": self._data(),
            f"src/{self.room}.c": (
                f'#define _GNU_SOURCE\n{includes}\n#include "{self.lib}.h"\n\n'
                "#ifdef ARITHMETIC_SHIFT\n#define HALF(n) ((n) >> 1)\n#else\n#define HALF(n) ((n) / 2)\n#endif\n\n"
                f"{room}\n{{\n    long length = (long) strlen(text);\n#ifdef HAVE_{self.feature.upper()}\n{use}#endif\n"
                "    return HALF(length);\n}\n"
            ),
            f"tools/{self.tool}.c": (
                "/* Runs while building: turns lines of NAME NUMBER into a header. */\n"
                "#include <errno.h>\n#include <error.h>\n#include <stdio.h>\n\n"
                "int main(int argc, char **argv)\n{\n    char name[80];\n    long value;\n    if (argc != 3)\n"
                '        error(2, 0, "usage: %s DATA HEADER", argv[0]);\n'
                '    FILE *in = fopen(argv[1], "r"), *out = fopen(argv[2], "w");\n    if (!in || !out)\n'
                '        error(1, errno, "%s", in ? argv[2] : argv[1]);\n'
                '    while (fscanf(in, "%79s %ld", name, &value) == 2)\n'
                '        fprintf(out, "#define %s %ld\\n", name, value);\n'
                '    if (fclose(out))\n        error(1, errno, "%s", argv[2]);\n    return 0;\n}\n'
            ),
        }  # fmt: skip
        for unit, name in zip(self.units, names, strict=True):
            files[f"src/{name}.c"] = f'#include "{self.lib}.h"\n#include "{self.table}.h"\n\n{unit.function()}'
        return files

    def _write_texts(self) -> None:
        say, ask, place = self.say, self.ask, self.place
        victim, other = place.people[0].first, place.people[1].first
        notes = {
            "probe": (
                say("configuring stops at a test that [wants to run|runs] a program", "a configure test [insists on running|must run] what it built"),
                say("Let cmake/probes.cmake learn by compiling, not by running", "Have the shift test of cmake/probes.cmake run nothing"),
            ),
            "feature": (
                say(f"{self.room}.c calls {self.feature}, which musl does not have", f"{self.feature} is taken for granted on [any|every] Linux"),
                say(f"Test for {self.feature} instead of the system's name", f"Ask the C library for {self.feature} in cmake/probes.cmake"),
            ),
            "static": (
                say(f"what came out wanted an interpreter that the {self.device} [lacks|does not have]", f"{self.program} was linked dynamically"),
                say(f"Link {self.program} statically for the {self.device}", f"Make the {self.device}'s {self.program} need no interpreter"),
            ),
            "march": (
                say(f"{self.program} crashed on the {self.device}'s older processor", "objects are tuned for whatever processor builds them"),
                say(f"Keep the build machine's processor out of the {self.device}'s objects", "Confine -march=native to native builds"),
            ),
        }  # fmt: skip
        drawn = self.faults[2:]
        known = listed([notes[fault][0] for fault in drawn])
        self.title = say(
            f"Cross build {self.program} for the {self.device}",
            f"{place.project.title}: a musl build for the {self.device}",
            f"[Build|Get] {self.program} of {place.project.title} [for|onto] a musl target",
            f"{self.toolchain} of {place.project.title} has to [work|produce a working {self.program}]",
        )
        self.objective = say(
            f"Make the CMake tree of {self.slug} build a static musl {self.program} through {self.toolchain}, and natively as"
            " before.",
            f"Get {self.program} cross built for the {self.device} with lib{self.v} of its sysroot, without harm to the native"
            " build.",
            f"Have {self.toolchain} give a {self.program} that is the {self.device}'s through and through, generated code"
            " included.",
        )
        wish = say(
            f"The {self.device} has musl and no glibc, and {victim} wants {self.program} [on it|there].",
            f"{victim}'s team [ships|maintains] the {self.device}, a musl system, which is to get {self.program}.",
            f"{self.program} has only ever been built for the machine it was built on; now the {self.device} with its musl needs"
            " it.",
        )
        wrong = say(
            f"{self.tool}, which writes {self.table}.h during the build, does not even compile with the toolchain file.",
            f"Cross building stops at {self.tool}, a program that should run here and not on the {self.device}.",
            f"The build compiles its own generator {self.tool} for the {self.device}, which cannot work.",
        )
        library = say(
            f"{other} got past that once and found lib{self.v} {self.releases[0]} of the build machine in it, not"
            f" {self.releases[1]} from {self.sysroot}.",
            f"lib{self.v} must be the {self.device}'s release {self.releases[1]} in {self.sysroot}; {other} ended up with the"
            f" build machine's {self.releases[0]}.",
            f"The {self.device} has lib{self.v} {self.releases[1]}, this machine {self.releases[0]}, and the build confuses them.",
        )
        more = say(f"Moreover, {known}.", f"{other} also noted that {known}.", f"Earlier tries showed that {known}.")
        self.story = say(
            f"{ask.opening} {wish} {wrong} {library} {more} {ask.closing}",
            f"{ask.opening} {wish} {library} {wrong} {ask.closing} {more}",
            f"{ask.opening} {more} {wish} {library} {wrong} {ask.closing}",
        )
        self.checklist = [
            ask.look,
            say(
                f"Build natively and with {self.toolchain}, in folders of their own",
                f"Try {self.toolchain} in a build folder outside the tree",
                f"Compare a native build with one through {self.toolchain}",
            ),
            say(
                f"Compile tools/{self.tool}.c for the build machine, whatever the target is",
                f"Have {self.tool} built by the native compiler in either build",
                f"Separate the generator {self.tool} from what is built for the {self.device}",
            ),
            say(
                f"Take lib{self.v} and {self.v}.h from {self.sysroot} when cross building",
                f"Let cmake look for {self.v}.h and lib{self.v}.a in {self.sysroot} for the {self.device}",
                f"See that the {self.device}'s lib{self.v} comes from {self.sysroot} alone",
            ),
            *(notes[fault][1] for fault in drawn),
            say(
                f"Inspect the {self.device}'s {self.program} with readelf and run it",
                f"Look at {self.program} with readelf and file, then try it out",
                f"Check interpreter and C library of both {self.program} builds by readelf",
            ),
            ask.verify,
        ]
        rest = {
            "march": "No object of the cross build is compiled for the processor of the build machine.",
            "probe": "Configuring needs no answers and no cache variables besides the toolchain file.",
        }
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{self.folder}` is a CMake project (C) that has to be built for another target.",
                    f"({self.ticket}) The CMake project in `{self.folder}` builds natively; it has to be cross built as well.",
                ),
                f"The target is a {self.device} with musl (`musl-gcc`), whose sysroot `{self.sysroot}` has `{self.v}.h` and"
                f" `lib{self.v}.a` of release {self.releases[1]}. This machine's own release {self.releases[0]} is in `/usr/local`.",
                say("The end state:", "When you are done:", "What is wanted:"),
                self.numbered(
                    f"`cmake -S . -B OUT -DCMAKE_TOOLCHAIN_FILE=<tree>/{self.toolchain}`, `cmake --build OUT` and"
                    f" `cmake --install OUT --prefix PREFIX` work in any copy of the tree and give `bin/{self.program}` in the"
                    " prefix. Nothing else has to be given or built first.",
                    f"That `{self.program}` is linked statically with musl, and with the sysroot's lib{self.v}:"
                    f" `{self.program} --version` prints `musl {self.releases[1]}`.",
                    f"`{self.table}.h` is made in each build from `data/{self.table}.txt`, by `tools/{self.tool}.c`, which runs on"
                    " the build machine.",
                    rest["march"],
                    rest["probe"],
                    "The same commands without a toolchain file still build natively: dynamically linked with glibc, with"
                    f" lib{self.v} of `/usr/local`, and calling `{self.feature}` as now.",
                    "Everything in `src/`, `include/`, `tools/` and `data/` stays as it is, as do `/usr/local` and the sysroot."
                    " The generators are Unix Makefiles or Ninja.",
                ),
            ]
        )
