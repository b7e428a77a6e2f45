"""The save format, a loader that reads it, and the checks."""

FORMAT = """\
# Saves of @GAME@

All numbers are @ORDER@ and unsigned. A save is a header and sections without gaps, and nothing after them.

Header: the four letters `@MAGIC@`, version (16 bits, @VERSION@), number of sections (16 bits, 4).
Section: tag (four letters), length of the content (32 bits), CRC-32 of the content (32 bits, as zlib.crc32), content.
The sections are, in this order: @TAGS@.

- `HERO` (18 bytes): name (12 bytes, filled up with zero bytes), x, y, hp (16 bits each)
- `BAG_`: number of kinds of items (16 bits), then for each kind its id and the amount (16 bits each), by ascending id; what
  is used up is not in it
- `FLAG` (4 bytes): 32 flags, flag 0 is the lowest bit
- `TIME` (4 bytes): seconds played

# journal.txt

One line for each thing that happened since the last automatic save:

- `go DX DY`: x and y change by so much
- `take ID N`, `use ID N`: items come into the bag or leave it
- `hurt N`: hp falls by N; `heal`: hp rises by @HEAL@, but never beyond @LIMIT@
- `set N`, `clear N`: flag N becomes 1 or 0
"""

LOADER = '''\
#!/usr/bin/python3
"""The loader of @GAME@: prints a save, or refuses it."""

import struct
import sys
import zlib

TAGS = [@LIST@]


def load(data):
    """The contents of the sections by tag."""
    if data[:4] != b"@MAGIC@" or struct.unpack("@SIGN@HH", data[4:8]) != (@VERSION@, len(TAGS)):
        raise ValueError("not a save of this version")
    found, at = {}, 8
    for tag in TAGS:
        if data[at : at + 4] != tag.encode():
            raise ValueError(f"no section {tag} at byte {at}")
        length, crc = struct.unpack("@SIGN@II", data[at + 4 : at + 12])
        found[tag] = data[at + 12 : at + 12 + length]
        at += 12 + length
        if at > len(data):
            raise ValueError(f"section {tag} is longer than the file")
        if zlib.crc32(found[tag]) != crc:
            raise ValueError(f"section {tag} has a wrong checksum")
    if at != len(data):
        raise ValueError("there is something behind the last section")
    return found


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    try:
        found = load(data)
        name, x, y, hp = struct.unpack("@SIGN@12sHHH", found["HERO"])
        numbers = struct.unpack(f"@SIGN@{len(found['BAG_']) // 2}H", found["BAG_"])
        if len(numbers) != 1 + 2 * numbers[0]:
            raise ValueError("the bag has another number of items than it says")
        flags, seconds = (struct.unpack("@SIGN@I", found[tag])[0] for tag in ("FLAG", "TIME"))
    except (ValueError, struct.error) as error:
        print("refused:", error)
        return 1
    print("hero", name.rstrip(b"\\0").decode(), "at", x, y, "hp", hp)
    print("bag", *(f"{item} x{amount}" for item, amount in zip(numbers[1::2], numbers[2::2])), sep="  ")
    print("flags", *(bit for bit in range(32) if flags >> bit & 1))
    print("played", seconds, "seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
'''

READ = """\
import struct
import zlib

TAGS = [@LIST@]


def sections(path):
    data, found = open(path, "rb").read(), {}
    for tag in TAGS:
        at = data.find(tag.encode())
        length, crc = struct.unpack("@SIGN@II", data[at + 4 : at + 12])
        content = data[at + 12 : at + 12 + length]
        if zlib.crc32(content) == crc:
            found[tag] = content
    return found


intact, older = sections("@NONE@"), sections("auto.sav")
"""

REBUILD = """\
name, x, y, hp = struct.unpack("@SIGN@12sHHH", older["HERO"])
flags = struct.unpack("@SIGN@I", older["FLAG"])[0]
numbers = struct.unpack(f"@SIGN@{len(older['BAG_']) // 2}H", older["BAG_"])[1:]
bag = dict(zip(numbers[::2], numbers[1::2]))
for line in open("journal.txt"):
    word, *rest = line.split()
    a, b = (*map(int, rest), 0, 0)[:2]
    if word == "go":
        x, y = x + a, y + b
    elif word == "take":
        bag[a] = bag.get(a, 0) + b
    elif word == "use":
        bag[a] -= b
    elif word == "hurt":
        hp -= a
    elif word == "heal":
        hp = min(@LIMIT@, hp + @HEAL@)
    else:
        flags = flags | 1 << a if word == "set" else flags & ~(1 << a)
items = [(item, bag[item]) for item in sorted(bag) if bag[item]]
content = {
    "HERO": struct.pack("@SIGN@12sHHH", name, x, y, hp),
    "BAG_": struct.pack("@SIGN@H", len(items)) + b"".join(struct.pack("@SIGN@HH", *item) for item in items),
    "FLAG": struct.pack("@SIGN@I", flags),
}
content = {**older, **content}
for tag in intact:
    content[tag] = intact[tag]
data = b"@MAGIC@" + struct.pack("@SIGN@HH", @VERSION@, len(TAGS))
for tag in TAGS:
    data += tag.encode() + struct.pack("@SIGN@II", len(content[tag]), zlib.crc32(content[tag])) + content[tag]
open("@SLOT@", "wb").write(data)
"""

CHECKSUMS = """\
import struct
import zlib

data, out = open("@SLOT@", "rb").read(), b""
starts = sorted(data.find(tag.encode()) for tag in [@LIST@]) + [len(data)]
out = data[:8]
for start, end in zip(starts, starts[1:]):
    content = data[start + 12 : end]
    out += data[start : start + 4] + struct.pack("@SIGN@II", len(content), zlib.crc32(content)) + content
open("@SLOT@", "wb").write(out)
"""

CHECKS = '''
def parts(data):
    """The contents of a save's sections by tag; asserts that the frame is right."""
    assert data[:4] == MAGIC, f"the save begins with {data[:4]}"
    assert struct.unpack(ORDER + "HH", data[4:8]) == (VERSION, len(TAGS)), f"the header is {data[:8].hex()}"
    found, at = {}, 8
    for tag in TAGS:
        assert data[at : at + 4] == tag.encode(), f"byte {at} does not begin section {tag}"
        length, crc = struct.unpack(ORDER + "II", data[at + 4 : at + 12])
        found[tag] = data[at + 12 : at + 12 + length]
        assert len(found[tag]) == length and zlib.crc32(found[tag]) == crc, f"length or checksum of section {tag} is wrong"
        at += 12 + length
    assert at == len(data), "there is something behind the last section"
    return found


def saved():
    path = os.path.join(FOLDER, SLOT)
    assert os.path.isfile(path), f"there is no {path}"
    with open(path, "rb") as file:
        return parts(file.read())


def replayed():
    """The state that the older save and the journal lead to."""
    older = parts(KEPT["auto.sav"])
    name, x, y, hp = struct.unpack(ORDER + "12sHHH", older["HERO"])
    flags = struct.unpack(ORDER + "I", older["FLAG"])[0]
    numbers = struct.unpack(f"{ORDER}{len(older['BAG_']) // 2}H", older["BAG_"])[1:]
    bag = dict(zip(numbers[::2], numbers[1::2]))
    for line in KEPT["journal.txt"].decode().splitlines():
        word, *rest = line.split()
        rest = [int(number) for number in rest]
        if word == "go":
            x, y = x + rest[0], y + rest[1]
        elif word in ("take", "use"):
            bag[rest[0]] = bag.get(rest[0], 0) + (rest[1] if word == "take" else -rest[1])
        elif word == "hurt":
            hp -= rest[0]
        elif word == "heal":
            hp = min(LIMIT, hp + HEAL)
        else:
            flags = flags | 1 << rest[0] if word == "set" else flags & ~(1 << rest[0])
    return (name, x, y, hp), sorted((item, amount) for item, amount in bag.items() if amount), flags


def check_frame():
    """The save has header, sections, lengths and checksums as described."""
    saved()


def check_hero():
    """Name, place and hp are those after the journal."""
    got, want = struct.unpack(ORDER + "12sHHH", saved()["HERO"]), replayed()[0]
    assert got == want, f"the hero is {got}, not {want}"


def check_bag():
    """The bag is that after the journal, by ascending id, without what is used up."""
    content = saved()["BAG_"]
    assert len(content) % 4 == 2, "the bag has an impossible length"
    numbers = struct.unpack(f"{ORDER}{len(content) // 2}H", content)
    want = replayed()[1]
    assert numbers[0] == len(want) and list(zip(numbers[1::2], numbers[2::2])) == want, f"the bag is {numbers}, not {want}"


def check_flags_and_time():
    """The flags are those after the journal, and the time played is that of the damaged save."""
    found = saved()
    got = struct.unpack(ORDER + "I", found["FLAG"])[0], struct.unpack(ORDER + "I", found["TIME"])[0]
    assert got == (replayed()[2], TIME), f"flags and time are {got}"


def check_loader_takes_it():
    """The game's own loader takes the save."""
    saved()
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(LOADER)
        file.flush()
        done = run("/usr/bin/python3", "-I", "-B", file.name, os.path.join(FOLDER, SLOT))
    assert done.returncode == 0, f"the loader says: {done.stdout[:200]}"


def check_other_files():
    """All other files are what they were, and there are no more."""
    for name, data in KEPT.items():
        with open(os.path.join(FOLDER, name), "rb") as file:
            assert file.read() == data, f"{name} was changed"
    assert sorted(os.listdir(FOLDER)) == sorted([*KEPT, SLOT]), sorted(os.listdir(FOLDER))
'''
