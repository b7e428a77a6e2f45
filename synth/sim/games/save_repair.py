"""A damaged save: sections are rebuilt from an older save and the journal, what is intact is kept, the frame is put right."""

import struct
import zlib
from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.games.save_repair_program import CHECKS, CHECKSUMS, FORMAT, LOADER, READ, REBUILD
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Scenario, Script, Teacher, Turn, Write
from synth.sim.wording import listed
from synth.sim.workplace import Request, Workplace


class SaveRepair(Scenario):
    """Two damaged sections of four, in one of three ways each, and sometimes a torn end; byte order and order are drawn."""

    topic: ClassVar[str] = "save-file-repair"
    focus: ClassVar[str] = "Rebuilding a damaged binary save from an older one and a journal"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = Workplace(rng)
        self.ask = Request(rng, self.place, ticket)
        self.game = rng.choice(("delve", "lighthouse", "caravan", "saltmarsh", "observatory", "millstone"))
        self.folder = f"{self.place.folder}/{rng.choice(('saves', 'game/saves', 'profiles', 'slots'))}"
        self.slot, self.other = rng.sample(("slot1.sav", "slot2.sav", "slot3.sav", "slot4.sav"), 2)
        self.order = rng.choice("<>")
        self.magic = rng.choice(("SAVE", "GAME", "SLOT", "KEEP", "DATA"))
        self.version = rng.randrange(2, 40)
        self.tags = rng.sample(("HERO", "BAG_", "FLAG", "TIME"), 4)
        self.damaged = sorted(rng.sample(("HERO", "BAG_", "FLAG"), 2))
        self.damage = {tag: rng.choice(("zeroed", "flipped", "length")) for tag in self.damaged}
        self.heal, self.limit = rng.randrange(3, 8), rng.choice((40, 50, 60, 75))
        self.name = rng.choice(("Orla", "Pim", "Sorrel", "Tamsin", "Wick", "Brannoc"))
        self.old = {
            "x": rng.randrange(100),
            "y": rng.randrange(100),
            "hp": rng.randrange(15, self.limit),
            "flags": rng.randrange(2**16),
        }
        self.old_bag = {rng.randrange(10, 200): rng.randrange(2, 30) for _ in range(5)}
        self.old_time, self.time = rng.randrange(10_000), rng.randrange(20_000, 90_000)
        self.journal = self._journal()
        self._write_texts()

    def _journal(self) -> list[str]:
        """What happened since the older save; follows it so that every line makes sense."""
        rng, bag, lines = self.rng, dict(self.old_bag), []
        x, y, hp = self.old["x"], self.old["y"], self.old["hp"]
        for _ in range(rng.randrange(18, 30)):
            kind = rng.choice(("go", "go", "take", "use", "hurt", "heal", "set", "clear"))
            if kind == "go":
                dx, dy = rng.randrange(-9, 10), rng.randrange(-9, 10)
                dx, dy = max(dx, -x), max(dy, -y)
                x, y = x + dx, y + dy
                lines.append(f"go {dx} {dy}")
            elif kind == "take":
                item = rng.choice([*bag, rng.randrange(10, 200)])
                bag[item] = bag.get(item, 0) + (amount := rng.randrange(1, 6))
                lines.append(f"take {item} {amount}")
            elif kind == "use" and bag:
                item = rng.choice(sorted(bag))
                amount = bag[item] if rng.random() < 0.5 else rng.randrange(1, bag[item] + 1)
                bag[item] -= amount
                bag = {one: left for one, left in bag.items() if left}
                lines.append(f"use {item} {amount}")
            elif kind == "hurt" and hp > 8:
                hp -= (amount := rng.randrange(1, 8))
                lines.append(f"hurt {amount}")
            elif kind == "heal":
                hp = min(self.limit, hp + self.heal)
                lines.append("heal")
            elif kind in ("set", "clear"):
                lines.append(f"{kind} {rng.randrange(32)}")
        lines += [f"use {min(bag)} {bag[min(bag)]}"] if bag else []
        lines += ["heal"] * (self.limit // self.heal + 1)
        return [*lines, "hurt 3", "take 7 1", "take 3 2"]

    def _sections(self, new: bool) -> dict[str, bytes]:
        """The payloads of the older save, or of the present one."""
        state, bag, played = dict(self.old), dict(self.old_bag), self.old_time
        if new:
            played = self.time
            for line in self.journal:
                word, *rest = line.split()
                numbers = [int(number) for number in rest]
                if word == "go":
                    state["x"] += numbers[0]
                    state["y"] += numbers[1]
                elif word == "take":
                    bag[numbers[0]] = bag.get(numbers[0], 0) + numbers[1]
                elif word == "use":
                    bag[numbers[0]] -= numbers[1]
                elif word == "hurt":
                    state["hp"] -= numbers[0]
                elif word == "heal":
                    state["hp"] = min(self.limit, state["hp"] + self.heal)
                elif word == "set":
                    state["flags"] |= 1 << numbers[0]
                else:
                    state["flags"] &= ~(1 << numbers[0])
        items = sorted((item, amount) for item, amount in bag.items() if amount)
        return {
            "HERO": struct.pack(self.order + "12sHHH", self.name.encode(), state["x"], state["y"], state["hp"]),
            "BAG_": struct.pack(self.order + "H", len(items))
            + b"".join(struct.pack(self.order + "HH", *item) for item in items),
            "FLAG": struct.pack(self.order + "I", state["flags"]),
            "TIME": struct.pack(self.order + "I", played),
        }

    def _file(self, sections: dict[str, bytes]) -> bytes:
        data = self.magic.encode() + struct.pack(self.order + "HH", self.version, len(self.tags))
        for tag in self.tags:
            data += (
                tag.encode()
                + struct.pack(self.order + "II", len(sections[tag]), zlib.crc32(sections[tag]))
                + sections[tag]
            )
        return data

    def _broken(self) -> bytes:
        good = self._sections(new=True)
        data = self.magic.encode() + struct.pack(self.order + "HH", self.version, len(self.tags))
        for tag in self.tags:
            payload, length = good[tag], len(good[tag])
            crc = zlib.crc32(payload)
            if tag in self.damage:
                kind = self.damage[tag]
                if kind == "zeroed":
                    payload = bytes(length)
                elif kind == "flipped":
                    payload = bytes(byte ^ 0x55 if at % 3 == 1 else byte for at, byte in enumerate(payload))
                else:
                    payload, length = bytes(byte ^ 0x21 for byte in payload), 0xFFFF
            data += tag.encode() + struct.pack(self.order + "II", length, crc) + payload
        return data

    def _fill(self, text: str) -> str:
        sizes = {"H": "unsigned 16-bit", "I": "unsigned 32-bit"}
        for mark, value in (
            ("@GAME@", self.game), ("@MAGIC@", self.magic), ("@VERSION@", str(self.version)), ("@HEAL@", str(self.heal)), ("@LIMIT@", str(self.limit)),
            ("@ORDER@", "little-endian" if self.order == "<" else "big-endian"), ("@SIGN@", self.order), ("@H@", sizes["H"]), ("@I@", sizes["I"]),
            ("@LIST@", ", ".join(f'"{tag}"' for tag in self.tags)),
            ("@TAGS@", ", ".join(f"`{tag}`" for tag in self.tags)),
        ):  # fmt: skip
            text = text.replace(mark, value)
        return text

    def setup(self) -> list[Run | Write]:
        other = self._sections(new=False) | {"TIME": struct.pack(self.order + "I", 4711)}
        files = {
            "auto.sav": self._file(self._sections(new=False)),
            self.slot: self._broken(),
            self.other: self._file(other),
        }
        return [
            Write(f"{self.folder}/FORMAT.md", self._fill(FORMAT)),
            Write(f"{self.folder}/load.py", self._fill(LOADER), "0755"),
            Write(f"{self.folder}/journal.txt", "\n".join([*self.journal, ""])),
            *(
                Run(f"cd {self.folder} && echo {data.hex()} | xxd -r -p > {name} && chmod 644 {name}")
                for name, data in files.items()
            ),
        ]

    def _program(self) -> tuple[str, str]:
        """A repair in two halves: reading what is there, and rebuilding."""
        return self._fill(READ).replace("@NONE@", self.slot), self._fill(REBUILD).replace("@SLOT@", self.slot)

    def _script(self, *changes: tuple[str, str]) -> str:
        head, body = self._program()
        text = head + body
        for old, new in changes:
            if old not in text:
                raise ValueError(old)
            text = text.replace(old, new)
        return f"#!/bin/bash\nset -eu\ncd {self.folder}\nrepair=$(mktemp)\ncat > $repair <<'EOF'\n{text}EOF\npython3 -B $repair\nrm $repair\n"

    def solution(self) -> str:
        return self._script() + f"python3 -B load.py {self.slot}\n"

    def wrong(self) -> list[Script]:
        found = [
            Script("copies-the-older-save", f"cd {self.folder}\ncp auto.sav {self.slot}\n"),
            Script(
                "takes-the-time-from-the-older-save",
                self._script(("for tag in intact:", 'for tag in set(intact) - {"TIME"}:')),
            ),
            Script(
                "only-corrects-checksums",
                f"cd {self.folder}\npython3 -B - <<'EOF'\n{self._fill(CHECKSUMS).replace('@SLOT@', self.slot)}EOF\n",
            ),
        ]
        if "HERO" in self.damaged:
            found.append(
                Script(
                    "heals-beyond-the-limit",
                    self._script((f"min({self.limit}, hp + {self.heal})", f"hp + {self.heal}")),
                )
            )
        if "BAG_" in self.damaged:
            found.append(Script("keeps-items-that-are-used-up", self._script((" if bag[item]]", "]"))))
        return found

    def partial(self) -> list[Script]:
        first, second = self.damaged
        return [Script(f"rebuilds-{first.strip('_').lower()}-only", self._script((f'"{second}": ', '"none": ')))]

    def checks(self) -> str:
        kept = {
            "FORMAT.md": self._fill(FORMAT),
            "load.py": self._fill(LOADER),
            "journal.txt": "\n".join([*self.journal, ""]),
        }
        other = self._sections(new=False) | {"TIME": struct.pack(self.order + "I", 4711)}
        constants: dict[str, object] = {
            "FOLDER": self.folder, "SLOT": self.slot, "ORDER": self.order, "MAGIC": self.magic.encode(), "VERSION": self.version, "TAGS": self.tags,
            "KEPT": {name: text.encode() for name, text in kept.items()} | {"auto.sav": self._file(self._sections(new=False)), self.other: self._file(other)},
            "INTACT": [tag for tag in self.tags if tag not in self.damaged], "BROKEN": self._broken(), "HEAL": self.heal, "LIMIT": self.limit,
            "LOADER": self._fill(LOADER), "TIME": self.time,
        }  # fmt: skip
        return checks_file(constants, CHECKS, ["struct", "tempfile", "zlib"])

    def solve(self, rng: Random) -> Teacher:
        hand, slot = Hand(rng), self.slot
        yield Turn(
            hand.say(f"A save of {self.game} is damaged.", f"{slot} does not load any more."),
            hand.say("Read the format and see what lies there.", "Look at the folder and the description first."),
            (f"cd {self.folder}", rng.choice(("ls -l", "ls -la", "ls", "pwd; ls -l")), "cat FORMAT.md"),
        )
        screen = yield Turn(
            hand.say("The format has a checksum for each section.", "Each section carries its length and a CRC."),
            hand.say(
                "See what the loader says about the saves, and the journal.",
                "Let the loader try both saves and read the journal.",
            ),
            (
                f"python3 -B load.py {slot}",
                "python3 -B load.py auto.sav",
                "cat journal.txt",
                f"xxd {slot} | head -n 12",
            ),
            seconds=0.3,
        )
        reason = find(r"^refused: (.*)$", screen)
        head, body = self._program()
        screen = yield Turn(
            hand.say(f"The loader refuses it: {reason}. It stops at the first fault, so there may be more.", f"It says: {reason}. That need not be all."),
            hand.say(
                "Write a program that finds each section by its tag and says which are intact.",
                "First find out which sections hold: look for the tags and compare checksums.",
            ),
            (f"cp {slot} /tmp/broken.sav", f"cat > /tmp/repair.py <<'EOF'\n{head}print('intact:', *intact)\nEOF", "python3 -B /tmp/repair.py"),
            seconds=0.3,
        )  # fmt: skip
        intact = find(r"^intact: (.*)$", screen).split()
        if len(intact) != 2:
            raise PuzzledError("two intact sections")
        lost = [tag for tag in self.tags if tag not in intact]
        careless = hand.slips(0.5)
        written = body.replace(" if bag[item]]", "]") if careless else body
        screen = yield Turn(
            hand.say(
                f"{listed(intact)} are intact and must be kept; {listed(lost)} have to be rebuilt from auto.sav and the journal.",
                f"So {listed(lost)} are lost, and the journal after auto.sav says what was in them.",
            ),
            hand.say("Replay the journal over the older save and write the slot.", "Add the replay, and write a whole file again."),
            ("sed -i '$d' /tmp/repair.py", f"cat >> /tmp/repair.py <<'EOF'\n{written}EOF", "python3 -B /tmp/repair.py", f"python3 -B load.py {slot}"),
            seconds=0.3,
        )  # fmt: skip
        if shows(r" x0\b", screen):
            screen = yield Turn(
                "It loads, but the bag lists an item that is used up, with an amount of 0; the format says that such items are not in it.",
                hand.say("Leave those out. The slot has to be made from the broken file again.", "Correct the replay and start from the copy of the broken file."),
                ("sed -i 's/for item in sorted(bag)\\]/for item in sorted(bag) if bag[item]]/' /tmp/repair.py", f"cp /tmp/broken.sav {slot}", "python3 -B /tmp/repair.py", f"python3 -B load.py {slot}"),
                seconds=0.3,
            )  # fmt: skip
        if not shows(rf"^hero {self.name} at", screen) or shows(r" x0\b", screen):
            raise PuzzledError("the hero in the mended save")
        screen = yield Turn(
            hand.say("The loader takes it now.", "It loads."),
            hand.say(
                "Compare it with the older save, and clean up.",
                "See what differs from auto.sav and remove my scratch files.",
            ),
            (
                "python3 -B load.py auto.sav",
                f"xxd {slot}",
                f"python3 -B load.py {self.other} | tail -n 1",
                "rm -f /tmp/repair.py /tmp/broken.sav; ls",
            ),
            seconds=0.3,
        )
        yield Turn(
            hand.say(
                f"{slot} loads, with the state after the journal and the time that was played; the other files are as they were.",
                f"The state in {slot} is auto.sav plus the journal, and {listed(intact)} were kept byte for byte.",
            ),
            hand.say("Nothing is left to do.", "The save is mended."),
            complete=True,
        )

    def _write_texts(self) -> None:
        place, ask, say, slot, game = self.place, self.ask, self.say, self.slot, self.game
        player, helper = place.people[0], place.people[1]
        cause = say(
            f"The [battery|power] gave out while {game} was writing {slot}",
            f"A [crash|bug] of {game} spoiled parts of {slot}",
            f"{helper.first} [opened|edited] {slot} in the wrong editor",
            f"The disk of {place.team} lost a few blocks, some of them in {slot}",
        )
        self.title = say(
            f"[Rescue|Repair] {player.first}'s save of {game}",
            f"{slot} of {game} [no longer loads|is refused]",
            f"[Rebuild|Restore] the {game} save {slot} from its journal",
            f"{self.name}'s adventure in {game}: a damaged {slot}",
        )
        self.objective = say(
            f"Make {self.folder}/{slot} load again with exactly the state that {self.name} had [in the end|when it was written].",
            f"[Mend|Restore] {slot}: keep what is intact in it and rebuild the rest from auto.sav and the journal.",
            f"Give {player.first} back the game of {game} in {slot}, with {self.name}'s bag, place and flags as they were.",
        )
        self.story = say(
            f"{ask.opening} {player.name} has played {game} with {self.name} for {self.time // 3600} hours in the breaks of {place.team}. {cause}, and the loader refuses it. There are an older auto.sav and the journal of what happened after it. {ask.closing}",
            f"{ask.opening} {cause}. The {place.project.record} team's best {game} player, {player.first}, is [desperate|upset]: {self.name} was nearly through. {ask.closing} The journal was written up to the last moment.",
            f"{cause}. {ask.opening} {helper.name} says that auto.sav and journal.txt together [tell|hold] all that {self.name} did, except for the time played, which only {slot} knows. {ask.closing}",
            f"{ask.opening} For the {game} evening of {place.team} the save of {player.first} has to work. {cause}; parts of it [still hold|are fine], others are garbage. {ask.closing} FORMAT.md [describes|explains] every byte.",
        )
        self.checklist = [
            say(f"Read how {game} lays out its saves in FORMAT.md", f"Learn the sections of a {game} save", f"Understand header, sections and checksums of {slot}"),
            say(f"See why load.py refuses {slot}", f"Let load.py say what is wrong with {slot}", f"Look at {slot} with xxd and load.py"),
            say(f"Find out which sections of {slot} are intact", f"Compare the checksums of all sections in {slot}", f"Tell {self.name}'s intact sections from the damaged ones"),
            say(f"Replay journal.txt over auto.sav, with healing up to {self.limit}", f"Work out {self.name}'s state from auto.sav and the journal", f"Follow {self.name} through journal.txt line by line"),
            say("Write lengths and checksums of rebuilt sections anew", f"Give every section of {slot} its right length and CRC", f"Put the frame of {slot} right, {len(self.tags)} sections in their order"),
            say(f"Keep the time played, {self.name}'s name and all that is intact", f"Take over intact sections of {slot} byte for byte", "Do not take the time played from auto.sav"),
            say(f"Leave auto.sav, {self.other} and the journal [alone|as they are]", f"Do not touch {self.other} or auto.sav", f"Change no file of {game} but {slot}"),
            say(f"Load {slot} and compare it with the journal for {self.ticket}", f"Show that load.py takes {slot} and prints the right bag", f"Check the place, hp, bag and flags of {self.name} at last"),
        ]  # fmt: skip
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{self.folder}/{slot}` is a damaged save of the game {game}; `{self.folder}/FORMAT.md` describes saves and journals, and `load.py SAVE` is the game's loader.",
                    f"({self.ticket}) The game {game} refuses the save `{self.folder}/{slot}`. `FORMAT.md` in that folder describes the format, and `load.py SAVE` reads a save as the game does.",
                ),
                f"`auto.sav` is an older save of the same game, and `journal.txt` holds everything that happened between it and `{slot}`, but for the time played.",
                say("The end state:", "What is wanted:", "When you are done:"),
                "\n".join(
                    (
                        f"1. `{slot}` is a save as `FORMAT.md` describes it, with all its sections in the order given there, and `load.py` takes it.",
                        f"2. Sections whose checksum was right in the damaged `{slot}` have the content that they had there, byte for byte.",
                        "3. The other sections hold the state of `auto.sav` after all that `journal.txt` tells, with right lengths and checksums.",
                        f"4. `auto.sav`, `{self.other}`, `journal.txt`, `load.py` and `FORMAT.md` stay as they are, and no other files are left in the folder.",
                    )
                ),
            ]
        )
