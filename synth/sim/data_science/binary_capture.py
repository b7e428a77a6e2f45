"""Decode a logger's binary capture with damaged blocks into HDF5, by a program that reads other captures as well."""

import base64
from random import Random
from typing import ClassVar

from synth.sim.data_science.binary_capture_task import BinaryCaptureTask
from synth.sim.data_science.tables import here, source
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.wording import listed


class BinaryCapture(BinaryCaptureTask):
    """Check sum, what it covers, fill value, byte order and channels are drawn; the other capture has the other order."""

    topic: ClassVar[str] = "binary-records"
    focus: ClassVar[str] = "Decoding a binary record format with damaged blocks into HDF5"

    def setup(self) -> list[Run | Write]:
        coded = base64.encodebytes(self.capture.raw).decode()
        return [
            Run(f"mkdir -p {self.folder}\nbase64 -d > {self.source} <<'END'\n{coded}END\n"),
            Write(f"{self.folder}/FORMAT.txt", self.format_text()),
        ]

    def _code(self, before: str = "", after: str = "") -> str:
        covered = "raw[at:end]" if self.covers_head else "raw[at + 8:end]"
        code = f"""\
import struct, sys, zlib
import h5py, numpy as np
raw = open(sys.argv[1], 'rb').read()
order = '<' if raw[5] == 0 else '>'
count, epoch = struct.unpack_from(order + 'HI', raw, 6)
at, channels = 12, []
for _ in range(count):
    name, unit, scale, offset = struct.unpack_from(order + '8s4sdd', raw, at)
    channels.append((name.rstrip(b'\\0').decode(), unit.rstrip(b'\\0').decode(), scale, offset))
    at += 28
size, rows, damaged = 4 + 2 * count, [], []
while at < len(raw):
    marker, number, n = struct.unpack_from(order + 'HIH', raw, at)
    end = at + 8 + n * size
    given = raw[end:end + 4]
    if given == struct.pack(order + 'I', zlib.{self.sum}({covered})):
        for i in range(n):
            rows.append((number, i) + struct.unpack_from(order + 'I%dh' % count, raw, at + 8 + i * size))
    else:
        damaged.append(number)
    at = end + 4
rows.sort()
table = np.array(rows, dtype='int64').reshape(len(rows), 3 + count)
with h5py.File(sys.argv[2], 'w') as out:
    out['time'] = epoch + table[:, 2]
    out['damaged'] = np.array(sorted(damaged), dtype='int64')
    for i, (name, unit, scale, offset) in enumerate(channels):
        column = table[:, 3 + i]
        values = column * scale + offset
        values[column == {self.fill}] = np.nan
        out[name] = values
        out[name].attrs['unit'] = unit
"""
        if before and before not in code:
            raise ValueError(f"{before!r} is not in the program")
        return code.replace(before, after) if before else code

    def _decode(self) -> str:
        return f"/usr/bin/python3 {self.program} {self.source} {self.target}"

    def _script(self, before: str = "", after: str = "") -> str:
        return f"{here(self.program, self._code(before, after))}{self._decode()}\n"

    def solution(self) -> str:
        return f"#!/bin/bash\nset -euo pipefail\n# written after FORMAT.txt\n{self._script()}python3 -c 'import h5py; print(list(h5py.File(\"{self.target}\").items()))'\n"

    def wrong(self) -> list[Script]:
        return [
            Script("keeps-fill-values", self._script(f"values[column == {self.fill}] = np.nan", "pass")),
            Script(
                "takes-damaged-blocks-in",
                self._script(
                    f"if given == struct.pack(order + 'I', zlib.{self.sum}(", "if len(given) == 4 and max(1, len("
                ),
            ),
            Script("assumes-one-byte-order", self._script("'<' if raw[5] == 0 else '>'", f"'{self.capture.order}'")),
            Script("keeps-blocks-as-they-come", self._script("rows.sort()\n", "")),
            Script("forgets-the-offset", self._script("column * scale + offset", "column * scale")),
        ]

    def partial(self) -> list[Script]:
        once = f"python3 - {self.source} {self.target} <<'END'\n{self._code()}END\n"
        return [
            Script("decodes-without-a-program", once),
            Script(
                "leaves-the-damaged-out",
                self._script("    out['damaged'] = np.array(sorted(damaged), dtype='int64')\n", ""),
            ),
            Script("leaves-the-units-out", self._script("        out[name].attrs['unit'] = unit\n", "")),
        ]

    def checks(self) -> str:
        return source(
            {
                "PROGRAM": self.program,
                "SOURCE": self.source,
                "TARGET": self.target,
                "RAW": self.capture.raw,
                "OTHER": self.other.raw,
                "SUM": self.sum,
                "COVERS_HEAD": self.covers_head,
                "FILL": self.fill,
            },
            _CHECKS,
            ("math", "struct", "zlib"),
        )

    def solve(self, rng: Random) -> Teacher:
        hand = Hand(rng)
        screen = yield Turn(
            hand.say(
                "A binary capture and a text that describes it.", f"{self.ticket}: decode {self.source} into HDF5."
            ),
            hand.say("Read the description and the first bytes.", "First the format, then the bytes of the capture."),
            (
                f"cd {self.folder}",
                rng.choice(("ls -l", "ls -la", "ls", "pwd; ls -l")),
                "cat FORMAT.txt",
                f"xxd {self.source} | head -n {rng.choice((6, 8, 12, 16))}",
            ),
        )
        names = [name for name, *_ in self.capture.channels if name in screen]
        order = find(r"^00000000: [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{2}([0-9a-f]{2})", screen)
        kind = "little" if order == "00" else "big"
        sloppy = hand.slips(0.45)
        mask = f"        values[column == {self.fill}] = np.nan\n"
        code = self._code(mask, "") if sloppy else self._code()
        look = (
            f'import h5py, numpy as np; f = h5py.File("{self.target}"); print({{k: v.shape for k, v in f.items()}}, f["damaged"][:]);'
            ' [print(k, np.nanmin(f[k]), np.nanmax(f[k]), np.isnan(f[k]).sum()) for k in f if "unit" in f[k].attrs]'
        )
        screen = yield Turn(
            hand.say(
                f"Byte 5 is {order}, so this one is {kind}-endian; the channels are {listed(names)}.",
                f"The flag says {kind}-endian here, but another capture may differ, so the program has to follow it.",
            ),
            hand.say(
                "Write the program and run it.",
                "Write it down as the format says, decode, and look at the result's shapes.",
            ),
            (here(self.program, code).rstrip(), self._decode(), f"python3 -c '{look}'"),
            seconds=1.0,
        )
        if shows(r"^\w*Error", screen):
            raise PuzzledError("the program fails")
        damaged = find(r"\[([\d ]+)\]$", screen)
        if sloppy:
            channel, least, most = (find(rf"^({'|'.join(names)}) (\S+) (\S+) 0$", screen, group) for group in (1, 2, 3))
            screen = yield Turn(
                hand.say(
                    f"{channel} goes from {least} to {most}, with no missing value: the fill value {self.fill} was scaled like a reading.",
                    f"A range from {least} to {most} for {channel} cannot be; I forgot the fill value.",
                ),
                hand.say(
                    "Put NaN where the raw value is the fill value.",
                    "Mask the fill values before writing, and decode again.",
                ),
                (
                    f"sed -i 's/^        out\\[name\\] = values/{mask.rstrip().replace('[', chr(92) + '[').replace(']', chr(92) + ']')}\\n&/' {self.program}",
                    f"tail -n 8 {self.program}",
                    self._decode(),
                    f"python3 -c '{look}'",
                ),
                seconds=1.0,
            )
        if not shows(rf"^(?:{'|'.join(names)}) \S+ \S+ [1-9]\d*$", screen):
            raise PuzzledError("no value is missing")
        screen = yield Turn(
            hand.say(
                f"Blocks {damaged} are damaged, and the ranges look right now.",
                f"Plausible ranges, missing values, and damaged blocks {damaged}.",
            ),
            hand.say(
                "Check one block by hand, independently of the program.",
                "Count blocks and records another way, and see that time only goes forward.",
            ),
            (
                f'python3 -c \'import h5py, numpy as np; f = h5py.File("{self.target}"); t = f["time"][:]; print((np.diff(t) > 0).all(), t[0], t[-1], t.dtype);'
                ' [print(k, f[k].attrs["unit"], f[k][:3]) for k in f if "unit" in f[k].attrs]\'',
                f"xxd -s 6 -l 6 {self.source}",
            ),
            seconds=1.0,
        )
        if not shows("^True ", screen):
            raise PuzzledError("time goes back")
        screen = yield Turn(
            hand.say("Time rises throughout, so the blocks are in their order.", "Order, units and types are right."),
            hand.say(
                "Swap nothing in the original: compare that the capture is as it was, and try the program as another user.",
                "Last, run the program as an ordinary user on a copy elsewhere.",
            ),
            (
                f"cp {self.source} /tmp/copy.bin && cd /tmp && runuser -u games -- /usr/bin/python3 {self.program} /tmp/copy.bin /tmp/games.h5; ls -l /tmp/games.h5",
                "rm -f /tmp/copy.bin /tmp/games.h5",
                f"ls -l {self.folder}",
            ),
            seconds=1.0,
        )
        if not shows(r" games +games .*games\.h5$", screen):
            raise PuzzledError("another user cannot run it")
        yield Turn(
            hand.say(
                f"The program works for any user, and {self.target} has all sound blocks, with {damaged} listed as damaged.",
                "Everything that was asked for is in place and was looked at.",
            ),
            hand.say("Done.", f"{self.ticket} is complete."),
            complete=True,
        )


_CHECKS = '''
DUMP = """
import h5py, json, sys
with h5py.File(sys.argv[1], "r") as file:
    result = {}
    for name, data in file.items():
        unit = data.attrs.get("unit")
        unit = unit.decode() if isinstance(unit, bytes) else None if unit is None else str(unit)
        result[name] = [data.dtype.kind + str(data.dtype.itemsize), unit, data[()].tolist()]
print(json.dumps(result))
"""


def dump(path):
    """Datasets of an HDF5 file: name to type, unit and values."""
    assert os.path.isfile(path), f"there is no file {path}"
    with open(path, "rb") as file:
        content = file.read(8_000_000)
    with bench({"read.h5": content}) as folder:
        return json.loads(as_nobody("/usr/bin/python3", "-I", "-c", DUMP, os.path.join(folder, "read.h5")))


def truth(raw):
    """Times, damaged blocks and channels of a capture."""
    order = "<>"[raw[5]]
    count, epoch = struct.unpack_from(order + "HI", raw, 6)
    channels, at = [], 12
    for _ in range(count):
        channels.append(struct.unpack_from(order + "8s4sdd", raw, at))
        at += 28
    blocks, damaged = {}, []
    while at < len(raw):
        _, number, records = struct.unpack_from(order + "HIH", raw, at)
        end = at + 8 + records * (4 + 2 * count)
        found = getattr(zlib, SUM)(raw[at if COVERS_HEAD else at + 8 : end])
        if raw[end : end + 4] == struct.pack(order + "I", found):
            blocks[number] = list(struct.iter_unpack(f"{order}I{count}h", raw[at + 8 : end]))
        else:
            damaged.append(number)
        at = end + 4
    rows = [row for number in sorted(blocks) for row in blocks[number]]
    table = {
        name.rstrip(b"\\0").decode(): (
            unit.rstrip(b"\\0").decode(),
            [math.nan if row[i] == FILL else row[i] * scale + offset for row in rows],
        )
        for i, (name, unit, scale, offset) in enumerate(channels, 1)
    }
    return [epoch + row[0] for row in rows], sorted(damaged), table


def close(a, b):
    """Equal within the tolerance, NaN being equal to NaN."""
    if not isinstance(a, (int, float)):
        return False
    return math.isnan(a) and math.isnan(b) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def compare(found, raw, what):
    """What an HDF5 file has is what the capture holds."""
    times, damaged, table = truth(raw)
    assert set(found) == {"time", "damaged", *table}, f"{what}: datasets {sorted(found)}"
    kinds = {found["time"][0], found["damaged"][0]}
    assert kinds <= {"i8", "u8"}, f"{what}: time and damaged are not 64-bit integers: {kinds}"
    assert found["damaged"][2] == damaged, f"{what}: damaged is {found['damaged'][2]}, not {damaged}"
    assert found["time"][2] == times, f"{what}: time has {len(found['time'][2])} values for {len(times)}, or another order"
    for name, (unit, values) in table.items():
        kind, said, numbers = found[name]
        assert kind == "f8", f"{what}: {name} has the type {kind}"
        assert said == unit, f"{what}: the unit of {name} is {said!r}"
        assert len(numbers) == len(values), f"{what}: {name} has {len(numbers)} values for {len(values)}"
        off = [i for i, (a, b) in enumerate(zip(numbers, values)) if not close(a, b)]
        assert not off, f"{what}: {name}[{off[0]}] is {numbers[off[0]]}, not {values[off[0]]}"


def check_capture_is_decoded():
    """The HDF5 file has every sound record in order, scaled, with fill values as NaN and damaged blocks listed."""
    compare(dump(TARGET), RAW, "the file")


def check_capture_is_unchanged():
    """The capture has the bytes that it had."""
    with open(SOURCE, "rb") as file:
        assert file.read() == RAW, f"{SOURCE} was changed"


def check_program_reads_another_capture():
    """The program decodes another capture, with the other byte order, other channels and other damage."""
    assert os.path.isfile(PROGRAM), f"there is no program {PROGRAM}"
    with bench({"other.bin": OTHER}) as folder:
        target = os.path.join(folder, "other.h5")
        as_nobody("/usr/bin/python3", PROGRAM, os.path.join(folder, "other.bin"), target)
        compare(dump(target), OTHER, "another capture")
'''
