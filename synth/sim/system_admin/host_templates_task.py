"""What HostTemplates is about: inventory, templates and drifted files as drawn, and the words."""

import re
from random import Random
from typing import ClassVar

from synth.sim.scenario import Scenario
from synth.sim.system_admin.machine import Machine, Request
from synth.sim.wording import number

_KINDS = {
    "metrics-agent.conf": (
        "listen ${address}:${agent_port}", "interval ${scrape_interval}", "label node=$$HOSTNAME", "buffer ${agent_buffer}",
    ),
    "timesync.conf": (
        "server ${time_server} iburst", "fallback ${time_fallback}", "maxdistance ${max_distance}", "state $$STATE/clock",
    ),
    "backup-agent.conf": (
        "source ${backup_source}", "target ${backup_target}", "keep ${keep_days} days", "exclude $$HOME/.cache",
    ),
    "mail-relay.conf": (
        "relayhost = [${relay_host}]:25", "message_size_limit = ${message_limit}", "myorigin = $$mydomain",
        "retries = ${mail_retries}",
    ),
    "log-shipper.conf": (
        "tail ${log_folder}/*.log", "send ${log_server}:6514", "queue $$SPOOL/out ${queue_size}",
    ),
    "cache.conf": (
        "memory ${cache_memory}", "evict ${evict_policy}", "port ${cache_port}", "prefix $$USER:",
    ),
    "web-front.conf": (
        "server_name ${server_name};", "root ${web_root};", "set $$pool ${web_pool};", "workers ${web_workers};",
    ),
    "job-runner.conf": (
        "slots ${job_slots}", "nice ${nice_level}", "shell $$SHELL", "spool ${job_spool}",
    ),
}  # fmt: skip
"""The files that a host has, as the lines of their templates; the first value of each is what two groups disagree on."""

_VALUES = {
    "agent_port": "9100 9117 9203 9342 9411", "scrape_interval": "10s 15s 30s 60s 90s",
    "agent_buffer": "256k 512k 1m 4m 8m", "time_server": "10.9.0.1 10.9.0.2 10.9.4.1 10.9.7.7 10.9.8.3",
    "time_fallback": "10.8.0.1 10.8.0.2 10.8.3.1 10.8.9.4", "max_distance": "0.5 1.0 1.5 3.0 16.0",
    "backup_source": "/srv /home /var/lib /opt/data /etc", "backup_target": "vault-a:/in vault-b:/in vault-c:/new depot:/b",
    "keep_days": "7 14 21 30 60", "relay_host": "10.2.0.25 10.2.0.26 10.2.8.25 10.2.9.4",
    "message_limit": "5m 10m 20m 35m 50m", "mail_retries": "3 5 8 12 20",
    "log_folder": "/var/log/app /srv/log /var/log/site /opt/log", "log_server": "10.3.0.1 10.3.0.9 10.3.5.1 10.3.7.2",
    "queue_size": "1000 2500 5000 8000 20000", "cache_memory": "64m 128m 256m 512m 1g",
    "evict_policy": "oldest random largest never", "cache_port": "6380 6381 6402 6455 6510",
    "server_name": "a&b.local www.local shop.local desk.local", "web_root": "/srv/www /var/www/site /opt/web /data/www",
    "web_pool": "north south spare blue green", "web_workers": "1 2 4 6 8 12",
    "job_slots": "1 2 3 5 8", "nice_level": "0 5 10 15 19", "job_spool": "/var/spool/jobs /srv/jobs /data/jobs /opt/jobs",
}  # fmt: skip

_MARKS = (
    ("# BEGIN LOCAL", "# END LOCAL"),
    ("# local: keep", "# local: end"),
    ("#>> exception", "#<< exception"),
    ("# -- agreed on site --", "# -- end of agreement --"),
    ("# KEEP FROM HERE", "# KEEP UP TO HERE"),
)
_WORDS = (("changed", "kept"), ("updated", "same"), ("written", "current"), ("renewed", "left"), ("mended", "fine"))


class HostTemplatesTask(Scenario):
    """Draws everything that differs from task to task, and writes the texts."""

    topic: ClassVar[str] = "configuration-management"
    focus: ClassVar[str] = "Idempotent rendering of per-host configuration from an inventory and templates"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = place = Machine(rng, people=3)
        self.ask = Request(rng, place, ticket)
        self.root = f"{place.home}/{rng.choice(('fleet', 'estate', 'rollout', 'machines', 'nodes'))}"
        self.name = rng.choice(
            ("apply-config", "push-config", "converge", "sync-hosts", "render-hosts", "bring-in-line")
        )
        self.script = f"{self.root}/bin/{self.name}"
        roles = rng.sample(("edge", "store", "queue", "front", "batch", "desk", "relay", "vault", "probe", "till"), 6)
        named = [f"{role}{rng.randrange(1, 40):02}" for role in roles]
        self.hosts, self.retired, self.late = named[:4], named[4], named[5]
        """Hosts of the inventory, of which the last has no folder yet; one with a folder alone; one that comes later."""
        self.groups = rng.sample(("dmz", "night", "lab", "branch", "canary", "archive", "kiosk", "depot", "legacy"), 3)
        self.kinds = rng.sample(sorted(_KINDS), rng.choice((2, 3)))
        self.first_wins = rng.random() < 0.5
        self.begin, self.end = rng.choice(_MARKS)
        self.changed, self.kept = rng.choice(_WORDS)
        self.mode = rng.choice(("0640", "0644", "0600"))
        self.option = rng.choice(("--check", "--dry-run", "--what-if", "-n")) if rng.random() < 0.6 else ""
        self.pending, self.missing = rng.sample(range(2, 10), 2)
        """Exit codes: of a dry run that would change something, and of a value that is not there."""
        self.keys = [key for kind in self.kinds for key in re.findall(r"\$\{(\w+)\}", "\n".join(_KINDS[kind]))]
        self.keys = [key for key in dict.fromkeys(self.keys) if key != "address"]
        self.choices = {key: rng.sample(_VALUES[key].split(), 4) for key in self.keys}
        self.stamp = rng.choice(("%H:%M:%S", "%d.%m. %H:%M", "%FT%T", "%s", "%j/%Y"))
        self.addresses = {
            host: f"10.{rng.randrange(20, 90)}.{rng.randrange(250)}.{rng.randrange(2, 250)}" for host in named
        }
        self.dispute = self.keys[0]
        """The key that two groups of one host give different values."""
        self.templates = {kind: self._template(kind) for kind in self.kinds}
        self.sections = self._sections()
        self.blocks = self._blocks()
        self.files = self._files()
        self._write_texts()

    def _template(self, kind: str) -> str:
        return "\n".join([f"# {kind} of ${{address}}, made from a template", *_KINDS[kind], "stamp ${stamp}", ""])

    def _sections(self) -> dict[str, dict[str, str]]:
        one, two, three = self.groups
        given = self.choices
        some = self.rng.sample(self.keys[1:], 4)
        own = {
            self.hosts[0]: {"groups": f"{one}, {two}", some[0]: given[some[0]][3]},
            self.hosts[1]: {"groups": self.rng.choice((f"{two}, {one}", f"{two}, {three}, {one}"))},
            self.hosts[2]: {"groups": f"{three}", self.dispute: given[self.dispute][3]},
            self.hosts[3]: self.rng.choice(({"groups": one}, {"groups": f"{three}, {two}"}, {})),
        }
        return {
            "defaults": {key: given[key][0] for key in self.keys} | {"stamp": self.stamp},
            f"group:{one}": {self.dispute: given[self.dispute][1], some[1]: given[some[1]][1]},
            f"group:{two}": {self.dispute: given[self.dispute][2], some[2]: given[some[2]][2]},
            f"group:{three}": {some[3]: given[some[3]][1]},
            **{f"host:{host}": {"address": self.addresses[host], **own[host]} for host in self.hosts},
        }

    def _blocks(self) -> dict[tuple[str, str], list[str]]:
        """Local exceptions by host and file: one in the first host, two in another."""
        who, year = self.place.someone().name, self.rng.randrange(2021, 2027)
        lines = self.rng.sample(
            (
                f"extra_peer 10.77.{self.rng.randrange(250)}.4",
                f"# agreed with {who}, {year}",
                f"limit_override {self.rng.randrange(20, 900)}",
                "debug_from ${ORIGIN}",
                f"skip /srv/{self.place.units[3]}",
                f"cost_centre $${self.rng.randrange(100, 999)}",
                f"note spare disk of {self.place.units[4]}",
            ),
            4,
        )
        texts = [
            f"{self.begin}\n{''.join(line + chr(10) for line in part)}{self.end}\n"
            for part in (lines[:2], lines[2:3], lines[3:])
        ]
        return {(self.hosts[0], self.kinds[0]): texts[:1], (self.hosts[2], self.kinds[1]): texts[1:]}

    def values(self, host: str) -> dict[str, str]:
        """What holds for a host: defaults, its groups by rank, its own."""
        own = self.sections[f"host:{host}"]
        groups = own["groups"].split(", ") if "groups" in own else []
        found = dict(self.sections["defaults"])
        for group in reversed(groups) if self.first_wins else groups:
            found |= self.sections[f"group:{group}"]
        return found | own

    def _render(self, kind: str, values: dict[str, str]) -> str:
        return re.sub(r"\$(?:\$|\{(\w+)\})", lambda m: values[m[1]] if m[1] else "$", self.templates[kind])

    def _files(self) -> dict[str, str]:
        """What lies below hosts/ at the start, by path: stale renderings, local blocks, and lines appended by each run."""
        found = {}
        for host in self.hosts[:3]:
            own = {key: value for key, value in self.sections[f"host:{host}"].items() if key != "groups"}
            run = "".join(f"{key} = {value}\n" for key, value in (self.sections["defaults"] | own).items())
            for kind in self.kinds:
                blocks = "".join(self.blocks.get((host, kind), []))
                if (host, kind) == (self.hosts[1], self.kinds[1]):  # one that is right already
                    found[f"{host}/etc/{kind}"] = self._render(kind, self.values(host))
                    continue
                stale = self.values(host) | {key: self.choices[key][3] for key in self.rng.sample(self.keys, 2)}
                found[f"{host}/etc/{kind}"] = self._render(kind, stale) + blocks + run * self.rng.randrange(1, 3)
        old = {key: values[2] for key, values in self.choices.items()}
        old |= {"address": self.addresses[self.retired], "stamp": self.stamp}
        found |= {f"{self.retired}/etc/{kind}": self._render(kind, old) for kind in self.kinds}
        found[f"{self.hosts[0]}/etc/motd"] = f"{self.hosts[0]}: ask {self.place.someone().name} before a restart\n"
        return found

    @staticmethod
    def inventory(sections: dict[str, dict[str, str]]) -> str:
        """The inventory file's text."""
        parts = ["# one section per host; what a host or its groups do not say comes from [defaults]\n"]
        for name, values in sections.items():
            parts.append(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
        return "\n".join(parts)

    def _write_texts(self) -> None:
        place, ask, say, name, root = self.place, self.ask, self.say, self.name, self.root
        count, slug, title = number(len(self.hosts)), place.slug, place.project.title
        wins = "first" if self.first_wins else "last"
        colleague, other = place.people[0], place.people[1]
        self.title = say(
            f"Make {name} [safe to repeat|idempotent] for the hosts of {title}",
            f"{title}: [end|stop] the configuration drift of {count} hosts",
            f"[Mend|Replace] the script {name}, which appends at [each|every] run",
            f"Bring {self.hosts[0]}, {self.hosts[1]} and the others [back in line|into line] with their inventory",
        )
        self.objective = say(
            f"Make {name} render each template for each host of the inventory, so that a second run changes nothing, and run"
            f" it on {root}.",
            f"Turn {name} into an idempotent script and leave the [host folders|hosts] of {slug} equal to template and"
            " inventory.",
            f"Have the configuration of {count} hosts follow from [inventory and templates|templates and inventory] alone,"
            f" local exceptions aside, [through|by means of] {name}.",
            f"Get rid of the drift between the hosts of {slug} and their inventory with a version of {name} that can be run [at any"
            " time|again and again].",
        )
        trouble = say(
            f"{colleague.first} [ran|started] {name} [a few times|twice too often] and every file grew: it appends the same"
            " lines at each run.",
            f"{name} was written in a hurry: it [adds to the files|appends], knows no groups, and says"
            f" '{self.changed}' [of every file|whatever happened].",
            f"[Nobody|No one] dares to run {name} any more, because [each run|every call] makes the files longer.",
            f"The files under {root}/hosts [say one thing in their first half and another|contradict themselves] at the end,"
            f" [thanks to|because of] {name}.",
        )
        drift = say(
            f"{self.hosts[1]} [still has|lives with] values from last year, and {self.hosts[3]} has no folder [yet|at all].",
            f"Some values on {self.hosts[0]} and {self.hosts[2]} [are out of date|were edited by hand], and"
            f" {self.hosts[3]} is [new|not set up yet].",
            f"[Besides|Also], {self.hosts[3]} [has to come in|joins], and nobody knows which values of {self.hosts[0]} hold.",
        )
        careful = say(
            f"{other.first} [needs|depends on] the local exceptions between their marker lines, [so keep them|and wants them"
            " kept].",
            f"What stands [between|inside] the marks of a local exception was agreed with {other.name} and [stays|must stay].",
            f"{self.retired} is [retired|out of service] but its folder is [evidence|still needed], and the marked"
            " exceptions [are wanted|have their reasons].",
            f"[Mind|Spare] the folder of {self.retired}, which left the inventory, and whatever is marked as local.",
        )
        self.story = say(
            f"{ask.opening} {trouble} {drift} {careful} {ask.closing}",
            f"{ask.opening} {drift} {trouble} {careful}",
            f"{ask.opening} On {place.host}, {root} holds [what|everything] the hosts of the {place.project.purpose} are"
            f" configured with. {trouble} {careful} {ask.closing}",
            f"{trouble} {ask.opening} {careful} {drift}",
        )
        dry = say(
            f"Teach {name} the option {self.option}, which [writes|changes] nothing",
            f"With {self.option}, only tell what would [change|be different]",
            f"Let {self.option} answer by [its exit code|exit code {self.pending}] whether anything is pending",
        )
        self.checklist = [
            ask.look,
            say(
                f"Run the old {name} on a copy and [see|watch] what it appends",
                f"Find out what {name} does to a host's files [when run twice|at a second run]",
                f"See how far {self.hosts[0]} [is|has drifted] from template and inventory",
                "Tell stale values, appended lines and local exceptions [apart|from one another]",
            ),
            say(
                f"Render every template for every host, the {wins} named group [winning|first in rank]",
                f"Give each key the value of host, group or defaults, in this order, of two groups the {wins} named",
                f"Let the {wins} named group decide where groups [disagree|contradict each other]",
            ),
            say(
                f"Keep the blocks between `{self.begin}` and `{self.end}`, at the end of the file",
                "Carry local exceptions over [word for word|unchanged]",
                "Lose no line [between|inside] the marks of a local exception",
            ),
            say(
                f"Have a second run of {name} write nothing and say {self.kept} for each file",
                f"Leave files that are right alone and report them as {self.kept}",
                f"Report each file as {self.changed} or {self.kept}, truthfully",
            ),
            *([dry] if self.option else []),
            say(
                f"Stop with exit code {self.missing} before anything is written where a value is missing",
                f"Refuse an inventory with a [gap|missing value], exit code {self.missing}, all files untouched",
                f"End with {self.missing} and no half-written tree when a placeholder has no value",
            ),
            say(
                f"[Run|Apply] the new {name} on {root}, so that {self.hosts[3]} gets its folder too",
                f"Bring all {count} hosts of {root} in line, {self.hosts[3]} included",
                f"Apply it to {root} and set mode {self.mode} on what it [renders|manages]",
            ),
            say(
                f"Leave {self.retired} and unmanaged files [alone|as they are]",
                f"Do not [touch|clean up] the folder of {self.retired}",
                "Change neither inventory nor templates",
            ),
            ask.verify,
        ]
        self.instruction = self._instruction(wins)

    def _instruction(self, wins: str) -> str:
        say, name, root = self.say, self.name, self.root
        told = f"`{self.changed} HOST/NAME` for a file that it wrote, `{self.kept} HOST/NAME` for one that it did not"
        usage = f"{name} [{self.option}] FOLDER" if self.option else f"{name} FOLDER"
        points = [
            f"`{usage}` works on FOLDER, which is `{root}` or any other folder of the same form (with `inventory.ini`,"
            " `templates` and `hosts`, perhaps without `bin`). For every `[host:HOST]` of the inventory and every"
            " `templates/NAME.tmpl` it makes `hosts/HOST/etc/NAME`, folders included: the template with its values, followed by"
            " the local blocks that the file had.",
            f"A key's value is the host's own, else that of its groups, else that of `[defaults]`; where several groups of the"
            f" host give the key, the {wins} one named in `groups` wins.",
            f"A local block goes from a line `{self.begin}` to the next line `{self.end}`, both included. All blocks of a file"
            " are kept byte for byte and in their order, nothing in them is replaced, and they end up after the rendered text."
            " Everything else that the file had is gone.",
            f"The files have mode {self.mode}. One that has the right text and mode already is not written and keeps its time"
            " of modification.",
            f"It prints one line per file, {told}, in any order; then, as the last line, the counts, as in"
            f" `3 {self.changed}, 1 {self.kept}`. The exit code is 0.",
            f"Where a placeholder has no value for some host, it ends with exit code {self.missing} and has changed nothing at"
            " all.",
            *(
                [
                    f"With `{self.option}` it prints what it would print without, changes and creates nothing, and ends with exit"
                    f" code {self.pending} where something would change, else with 0."
                ]
                if self.option
                else []
            ),
            "Nothing else below `hosts` is touched: folders of hosts that the inventory does not have, and files that no"
            " template makes, stay as they are. Inventory and templates stay unchanged.",
            f"In the end the new script has been run on `{root}`, so that its `hosts` is as described.",
        ]
        return "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. `{self.script}` has to be [replaced|rewritten]: it appends the same lines to"
                    " the hosts' files at every run.",
                    f"({self.ticket}) The script `{self.script}` makes the configuration of the hosts grow with every run."
                    " Mend it, in bash or Python.",
                    f"This is work order {self.ticket}: make `{self.script}` idempotent and bring the hosts' files in line.",
                ),
                f"What lies in `{root}`:\n\n"
                "- `inventory.ini`: sections `[defaults]`, `[group:GROUP]` and `[host:HOST]` with lines `key = value`; keys are"
                " lower-case, a value is taken as it stands, lines that begin with `#` are comments. A host's `groups`, where it"
                " has them, are separated by commas.\n"
                "- `templates/NAME.tmpl`: a dollar sign followed by a key in braces stands for that key's value, `$$` for one dollar"
                " sign.\n"
                "- `hosts/HOST/etc/NAME`: the hosts' files as they are now.",
                say("What is wanted:", "The state to reach:", f"How `{name}` has to behave, and what it leaves:"),
                "\n".join(f"{i}. {point}" for i, point in enumerate(points, 1)),
            ]
        )
