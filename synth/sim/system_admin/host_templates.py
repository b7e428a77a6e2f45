"""A script that pushes configuration to hosts appends at every run, and has to render from inventory and templates."""

import re
from collections.abc import Mapping
from random import Random
from shlex import quote

from synth.sim.checking import checks_file
from synth.sim.git import put, script
from synth.sim.hand import Hand, PuzzledError, find, shows
from synth.sim.scenario import Run, Script, Teacher, Turn, Write
from synth.sim.system_admin.host_templates_checks import CHECKS
from synth.sim.system_admin.host_templates_task import HostTemplatesTask
from synth.sim.system_admin.machine import file
from synth.sim.wording import listed, number

_OLD = r"""#!/bin/bash
# Brings the values of the inventory into the files of all hosts. Usage: NAME FOLDER
root=${1:?folder}
section() { sed -n "/^\[$1\]/,/^$/p" "$root/inventory.ini" | grep ' = ' | grep -v '^groups'; }
for folder in "$root"/hosts/*/; do
    host=$(basename "$folder")
    for file in "$folder"etc/*.conf; do
        { section defaults; section "host:$host"; } >> "$file"
        echo "CHANGED $host/$(basename "$file")"
    done
done
"""

_NEW = r'''#!/usr/bin/env python3
"""Make the hosts' files what inventory and templates say. Usage: USAGE"""
import configparser
import pathlib
import re
import string
import sys

*options, folder = sys.argv[1:]
root = pathlib.Path(folder)
inventory = configparser.ConfigParser(interpolation=None)
inventory.read(root / "inventory.ini")
local = re.compile(r"^BEGIN\n(?:.*\n)*?END\n", re.M)
planned = []
try:
    for section in inventory.sections():
        kind, _, host = section.partition(":")
        if kind == "host":
            own = inventory[section]
            groups = own.get("groups", "").replace(",", " ").split()
            values = dict(inventory["defaults"])
            for group in ORDER:
                values.update(inventory["group:" + group])
            values.update(own)
            for template in sorted((root / "templates").glob("*.tmpl")):
                file = root / "hosts" / host / "etc" / template.stem
                old = file.read_text() if file.exists() else ""
                text = string.Template(template.read_text()).substitute(values)
                text += "".join(local.findall(old))
                right = file.exists() and old == text and file.stat().st_mode & 0o777 == 0oMODE
                planned.append((file, f"{host}/{file.name}", text, right))
except KeyError as key:
    print(f"no value for {key}", file=sys.stderr)
    sys.exit(MISSING)
for file, name, text, right in planned:
    print("KEPT" if right else "CHANGED", name)
    if not rightDRY:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0oMODE)
changed = sum(not right for *_, right in planned)
print(f"{changed} CHANGED, {len(planned) - changed} KEPT")
'''

_KEEPS_BLOCKS = '                text += "".join(local.findall(old))\n'
_RAW, _COOKED = "ConfigParser(interpolation=None)", "ConfigParser()"


class HostTemplates(HostTemplatesTask):
    """The script is written anew: values by rank, local blocks kept, and a second run that writes nothing."""

    def setup(self) -> list[Run | Write]:
        modes = {f"{self.hosts[1]}/etc/{self.kinds[1]}": self.mode, f"{self.hosts[0]}/etc/motd": "0644"}
        files = [file(f"{self.root}/hosts/{path}", text, modes.get(path, "0644")) for path, text in self.files.items()]
        return [
            script(*(put(f"{self.root}/templates/{kind}.tmpl", text) for kind, text in self.templates.items())),
            Write(f"{self.root}/inventory.ini", self.inventory(self.sections)),
            script(*files, f"find {self.root}/hosts -exec touch -d '2026-02-03 04:05:06 UTC' {{}} +"),
            Write(self.script, _OLD.replace("NAME", self.name).replace("CHANGED", self.changed), "0755"),
            script("ls -lR hosts", "cat inventory.ini", folder=self.root),
        ]

    def _program(self, changes: Mapping[str, str] | None = None) -> str:
        """The new script; `changes` replace parts of it before anything else is filled in."""
        text = _NEW
        if self.option:
            text += f'if changed and "{self.option}" in options:\n    sys.exit({self.pending})\n'
        for old, new in (changes or {}).items():
            if old not in text:
                raise ValueError(f"the script has no {old!r}")
            text = text.replace(old, new)
        filled = {
            "USAGE": f"{self.name} [{self.option}] FOLDER" if self.option else f"{self.name} FOLDER",
            "BEGIN": self.begin,
            "END": self.end,
            "ORDER": "reversed(groups)" if self.first_wins else "groups",
            "MODE": self.mode[1:],
            "MISSING": str(self.missing),
            "CHANGED": self.changed,
            "KEPT": self.kept,
            "DRY": f' and "{self.option}" not in options' if self.option else "",
        }
        return re.sub("|".join(filled), lambda match: filled[match[0]], text)

    def _install(self, changes: Mapping[str, str] | None = None) -> str:
        return f"cat > {self.script} <<'EOF'\n{self._program(changes)}EOF\nchmod 0755 {self.script}\n"

    def solution(self) -> str:
        return (
            f"#!/bin/bash\nset -euo pipefail\ncd {self.root}\ncat inventory.ini\n"
            f"{self._install()}"
            "# on a copy first: the second run has to say that nothing changed\n"
            'copy=$(mktemp -d)\ncp -a . "$copy"\n'
            f'{self.script} "$copy"\n{self.script} "$copy" | tail -n 1\nrm -rf "$copy"\n'
            f"{self.script} {self.root}\n{self.script} {self.root}\nls -l hosts/*/etc\n"
        )

    def wrong(self) -> list[Script]:
        go = f"{self.script} {self.root}\n"
        other = "groups" if self.first_wins else "reversed(groups)"
        shout = {'"KEPT" if right else "CHANGED"': '"CHANGED"', "if not rightDRY": "if TrueDRY"}
        scripts = [
            Script("loses-the-local-blocks", self._install({_KEEPS_BLOCKS: ""}) + go),
            Script("ranks-the-groups-the-other-way", self._install({"ORDER": other}) + go),
            Script("writes-every-file-each-time", self._install(shout) + go),
            Script("fills-gaps-with-nothing", self._install({".substitute(": ".safe_substitute("}) + go),
            Script("tidies-the-retired-host-away", self._install() + go + f"rm -r {self.root}/hosts/{self.retired}\n"),
        ]
        if self.option:
            scripts.append(Script("writes-in-a-dry-run", self._install({"DRY": ""}) + go))
        return scripts

    def partial(self) -> list[Script]:
        once = (
            f"cp -a {self.script} /root/old\n{self._install()}{self.script} {self.root}\nmv /root/old {self.script}\n"
        )
        return [
            Script("new-script-that-was-never-run", self._install()),
            Script("right-files-and-the-old-script", once),
        ]

    def _second_tree(self) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """Sections and files of a tree that the agent has not seen: other values, hosts that came and left."""
        left, came = self.hosts[1], self.late
        sections = {name: dict(values) for name, values in self.sections.items() if name != f"host:{left}"}
        for key in self.keys[::2]:
            sections["defaults"][key] = self.choices[key][3]
        first = sections[f"host:{self.hosts[0]}"]
        first["groups"] = ", ".join(reversed(first["groups"].split(", ")))
        sections[f"host:{came}"] = {"groups": ", ".join(self.groups), "address": self.addresses[came]}
        block = f"{self.begin}\nkept $$ and ${{{self.dispute}}} as they are\n\n{self.end}\n"
        path = f"{self.hosts[0]}/etc/{self.kinds[0]}"
        return sections, self.files | {path: f"{block}old = 1\n{self.files[path]}"}

    def checks(self) -> str:
        second, files = self._second_tree()
        gap = {name: dict(values) for name, values in self.sections.items()}
        del gap[f"host:{self.hosts[3]}"]["address"]
        constants: dict[str, object] = {
            "ROOT": self.root,
            "SCRIPT": self.script,
            "TEMPLATES": self.templates,
            "INVENTORY": self.inventory(self.sections),
            "FILES": self.files,
            "SECOND": self.inventory(second),
            "SECOND_FILES": files,
            "GAP": self.inventory(gap),
            "MARKS": (self.begin, self.end),
            "FIRST_WINS": self.first_wins,
            "MODE": int(self.mode, 8),
            "WORDS": (self.changed, self.kept),
            "OPTION": self.option,
            "PENDING": self.pending,
            "MISSING": self.missing,
        }
        return checks_file(constants, CHECKS, ["re", "shutil", "stat", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        hand, name, root = Hand(rng), self.name, self.root
        copy = hand.rng.choice((f"/root/{self.place.slug}-try", "/root/try", f"/root/{name}.copy"))
        host, kind = self.hosts[0], self.kinds[0]
        screen = yield Turn(
            hand.say(
                f"{self.ticket}: {name} appends at each run. I have not seen any of it [yet|so far].",
                f"I am at the prompt and start with what {root} [holds|looks like].",
            ),
            hand.say("List the tree and read the inventory.", "[Look at|See] the folders and the inventory first."),
            (f"cd {root}", "find . -type f | sort", "cat inventory.ini"),
        )
        values = re.findall(rf"^{self.dispute} = (\S+)\s*$", screen, re.MULTILINE)
        groups = find(rf"^\[host:{host}\]\n(?:.+\n)*?groups = (.+?)\s*$", screen)
        screen = yield Turn(
            hand.say(
                f"{host} is in the groups {groups}, and {self.dispute} is given {number(len(values))} times: {listed(values)}.",
                f"The inventory is clear: {host} has groups {groups}. {self.retired} has a folder but no section.",
            ),
            hand.say("Read the script and the templates.", f"See what {name} does and what the templates ask for."),
            (f"cat bin/{name}", "tail -n +1 templates/*", f"cat hosts/{host}/etc/{kind}"),
        )
        if not shows(r">> .\$file", screen):
            raise PuzzledError("the line that appends")
        screen = yield Turn(
            hand.say(
                "The script only ever appends (>>), reads no template and no group, and takes every folder for a host.",
                f"That >> is the fault. Templates and groups are not used at all, and {self.retired} would be touched, too.",
            ),
            hand.say("Watch it on a copy, twice.", "Take a copy and run the old script there, to see what it does."),
            (f"cp -a {root} {copy}", f"for i in 1 2; do bin/{name} {copy} | tail -n 1; done",
             f"diff hosts/{host}/etc/{kind} {copy}/hosts/{host}/etc/{kind} | head -n 20"),
        )  # fmt: skip
        extra = find(r"^> (\w+ = .*?)\s*$", screen)
        careless: dict[str, str] = {}
        percent, blocks, order = hand.slips(0.3), hand.slips(0.3), hand.slips(0.3)
        if percent:
            careless[_RAW] = _COOKED
        if blocks:
            careless[_KEEPS_BLOCKS] = ""
        ranked, turned = ("reversed(groups)", "groups") if self.first_wins else ("groups", "reversed(groups)")
        if order:
            careless["ORDER"] = turned
        yield Turn(
            hand.say(
                f"Two runs append {extra!r} and its neighbours twice. A rendering from the templates replaces all that.",
                f"As [expected|thought]: lines such as {extra!r} come with each run. It has to be written anew.",
            ),
            hand.say(
                "Write the script in Python: plan all files first, then write those that differ.",
                "Put a Python script in its place, with string.Template for the templates.",
            ),
            (f"cat > bin/{name} <<'EOF'\n{self._program(careless)}EOF",),
        )
        trial = (
            f"rm -rf {copy}; cp -a {root} {copy}; bin/{name} {copy} | tail -n {4 * len(self.kinds) + 1}",
            f"bin/{name} {copy} | tail -n 1",
            f"cat {copy}/hosts/{host}/etc/{kind}",
            f"for i in hosts {copy}/hosts; do echo marks: $(grep -rFe {quote(self.begin)} $i | wc -l); done",
        )
        screen = yield Turn(
            hand.say("The file is written.", "The new script is in its place."),
            hand.say(
                f"Try it on a fresh copy, twice, and look at {host}.",
                f"Run it on a copy, again on the same one, and compare {kind} of {host} and the number of local blocks.",
            ),
            trial,
            seconds=0.4,
        )
        if shows(r"^configparser\.Interpolation\w+", screen):
            fault = find(r"^(configparser\.Interpolation\w+)", screen)
            screen = yield Turn(
                hand.say(
                    f"{fault}: configparser takes the percent signs of a value for its own.",
                    f"It ends with {fault}; a value with % is not to be interpolated.",
                ),
                "Turn interpolation off and try again.",
                (f"sed -i 's/{_COOKED}/{_RAW}/' bin/{name}", *trial),
                seconds=0.4,
            )
        marks = re.findall(r"^marks: (\d+)\s*$", screen, re.MULTILINE)
        if len(marks) < 2:
            raise PuzzledError("the number of local blocks")
        before, after = marks[-2:]
        if after != before:
            screen = yield Turn(
                hand.say(
                    f"There were {before} local blocks and the copy has {after}: my script drops them.",
                    f"Local blocks: {before} before, {after} after. I forgot to carry them over.",
                ),
                hand.say(
                    "Append the blocks of the old file to the rendered text.",
                    "Add the missing line after the rendering.",
                ),
                (f"sed -i '/substitute(values)$/a\\{_KEEPS_BLOCKS.rstrip()}' bin/{name}", *trial),
                seconds=0.4,
            )
        wanted = self._render(kind, self.values(host)).splitlines()[1:]
        line = next(line for line, source in zip(wanted, self.templates[kind].splitlines()[1:], strict=True)
                    if f"${{{self.dispute}}}" in source)  # fmt: skip
        if not shows(f"^{re.escape(line)}", screen):
            screen = yield Turn(
                hand.say(
                    f"{host} lacks `{line}`: of {groups}, the wrong group won. The {'first' if self.first_wins else 'last'}"
                    " named one has to be applied last.",
                    f"The value of {self.dispute} is from the wrong one of {groups}; I walk the groups in the wrong order.",
                ),
                hand.say(
                    "Turn the order round and try again.", "Correct the loop over the groups, then the same trial."
                ),
                (f"sed -i 's/for group in {turned}:/for group in {ranked}:/' bin/{name}", *trial),
                seconds=0.4,
            )
        total = len(self.hosts) * len(self.kinds)
        if not shows(f"^{re.escape(line)}", screen) or not shows(rf"^0 {self.changed}, {total} {self.kept}", screen):
            raise PuzzledError("a second run that changes nothing")
        dry = (f"bin/{name} {self.option} {root} | tail -n 1; echo code ${{PIPESTATUS[0]}}",) if self.option else ()
        screen = yield Turn(
            hand.say(
                f"`{line}` is right, all {before} blocks are there, and the second run says 0 {self.changed}.",
                f"The second run leaves all {total} files alone, and {host} has the values it should have.",
            ),
            hand.say(
                "Now a missing value on the copy: the exit code, and no file touched.",
                f"Take the address of {self.hosts[3]} out of the copy's inventory and see that nothing is written.",
            ),
            (
                f"sed -i '/^address = {self.addresses[self.hosts[3]]}$/d' {copy}/inventory.ini",
                f"echo >> {copy}/hosts/{host}/etc/{kind}; cp -a {copy}/hosts {copy}/saved",
                f"bin/{name} {copy}; echo code $?; diff -r {copy}/hosts {copy}/saved && echo untouched",
                *dry,
            ),
            seconds=0.4,
        )
        if not shows(rf"^code {self.missing}\b", screen) or not shows("^untouched", screen):
            raise PuzzledError("a refusal that leaves the tree alone")
        if self.option and not shows(rf"^code {self.pending}\b", screen):
            raise PuzzledError("the exit code of a dry run with something pending")
        screen = yield Turn(
            hand.say(
                f"Exit code {self.missing}, and the copy was left as it was.",
                "A gap in the inventory ends the run before anything is written.",
            ),
            hand.say(f"Run it on {root} itself, twice.", "Now the real tree, and a second run right after it."),
            (f"bin/{name} {root}", f"bin/{name} {root} | tail -n 1", f"rm -rf {copy}",
             f"ls -l bin hosts hosts/{self.hosts[3]}/etc; tail -n 4 hosts/{self.hosts[2]}/etc/{self.kinds[1]}"),
        )  # fmt: skip
        if not shows(rf"^0 {self.changed}, {total} {self.kept}", screen):
            raise PuzzledError("a second run that changes nothing")
        yield Turn(
            hand.say(
                f"{self.hosts[3]} has its files, {self.retired} is still there, and the second run changed nothing.",
                f"All {total} files are {self.kept} at the second run; the local block stands at the end of its file.",
            ),
            hand.say("Nothing is left to do.", f"{self.ticket} is done."),
            complete=True,
        )
