"""The program that several copies of run at once, the pieces that are planted in it, and the checks."""

OPERATION = """\
@TOOL@ FOLDER COMMAND ...

  @VERB@ FROM TO N   take N @UNITS@ from one @THING@ and put them into another; FROM and TO may be the same
  add NAME N         put N new @UNITS@ into a @THING@
  show               one line for each @THING@, name and number, in the order of the names

Exit status: 0; 2 for a wrong call; 3 where FROM has fewer than N @UNITS@, and then nothing is changed; 4 for an unknown @THING@.

FOLDER/@THING@s/NAME holds the number of @UNITS@ in decimal. FOLDER/journal gets a line for each operation that succeeded:
`FROM TO N`, or `- NAME N` for an addition. FOLDER/locks and FOLDER/tmp are for the program's own use.

Where the environment has @PREFIX@_PAUSE, the program pauses for so many seconds between reading and writing, as it does
on a slow disk. rehearse.sh runs operations at once on a copy of data/, with such pauses:

  ./rehearse.sh 'add @A@ 5' 'add @A@ 5' show
"""

REHEARSE = """\
#!/bin/bash
# Runs all the operations given at once on a copy of data/, with a slow disk, and shows what they leave.
# STAGGER: seconds between the starts.
here=$(dirname "$(readlink -f "$0")")
rm -rf /tmp/rehearsal && cp -r "$here/data" /tmp/rehearsal
failed=/tmp/rehearsal/failed
: > $failed
for operation in "$@"; do
    @PREFIX@_PAUSE=0.05 timeout 5 "$here/@TOOL@" /tmp/rehearsal $operation > /dev/null 2>&1 || echo "$operation: status $?" >> $failed &
    sleep "${STAGGER:-0}"
done
wait
cat $failed
[ -s $failed ] || echo "all $# operations ended with status 0"
"$here/@TOOL@" /tmp/rehearsal show
echo "journal: $(wc -l < /tmp/rehearsal/journal) lines"
"""

SOURCE = '''\
#!/usr/bin/python3
"""Keeps @UNITS@ in @THING@s. Several copies may run at once; see @DOC@."""

import contextlib
import fcntl
import os
import sys
import time

PAUSE = float(os.environ.get("@PREFIX@_PAUSE", "0"))


def path(*parts):
    return os.path.join(sys.argv[1], *parts)


def slow():
    """What a slow disk does."""
    time.sleep(PAUSE)


@contextlib.contextmanager
def locked(*names):
    """Hold the locks of these @THING@s."""
    held = []
    for name in sorted(set(names)):
        held.append(open(path("locks", name), "a"))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
        slow()
    try:
        yield
    finally:
        for file in held:
            file.close()


def level(name):
    """Number of @UNITS@ in a @THING@."""
    with open(path("@THING@s", name)) as file:
        return int(file.read())


def store(name, value):
    """Write the number of a @THING@."""
    new = path("tmp", f"{name}.{os.getpid()}")
    with open(new, "w") as file:
        slow()
        file.write(f"{value}\\n")
    os.replace(new, path("@THING@s", name))


def note(line):
    """Add a line to the journal."""
    slow()
    with open(path("journal"), "a") as file:
        file.write(line + "\\n")


def move(source, target, amount):
    """Take from one @THING@ and put into another."""
    with locked(source, target):
        have = level(source)
        slow()
        if have < amount:
            return 3
        store(source, have - amount)
        store(target, level(target) + amount)
        note(f"{source} {target} {amount}")
    return 0


def add(name, amount):
    """Put new ones into a @THING@."""
    with locked(name):
        value = level(name) + amount
        slow()
        store(name, value)
        note(f"- {name} {amount}")
    return 0


def show():
    """All @THING@s."""
    for name in sorted(os.listdir(path("@THING@s"))):
        print(name, level(name))
    return 0


def main(command, *arguments):
    amount = arguments[-1] if arguments else ""
    for name in arguments[:-1]:
        if not os.path.exists(path("@THING@s", name)):
            return 4
    if command == "show" and not arguments:
        return show()
    if command == "@VERB@" and len(arguments) == 3 and amount.isdigit():
        return move(arguments[0], arguments[1], int(amount))
    if command == "add" and len(arguments) == 2 and amount.isdigit():
        return add(arguments[0], int(amount))
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[2:]) if len(sys.argv) > 2 else 2)
'''

PIECES = {
    "half-written": (
        '    new = path("tmp", f"{name}.{os.getpid()}")\n    with open(new, "w") as file:\n        slow()\n        file.write(f"{value}\\n")\n    os.replace(new, path("@THING@s", name))\n',
        '    with open(path("@THING@s", name), "w") as file:\n        slow()\n        file.write(f"{value}\\n")\n',
        '    new = path("@THING@s", name + ".new")\n    with open(new, "w") as file:\n        slow()\n        file.write(f"{value}\\n")\n    os.replace(new, path("@THING@s", name))\n',
        "[show sometimes dies with a ValueError|now and then show fails while others write|show reads an empty number while a @VERB@ is under way]",
        "store() empties the file before it writes, and show takes no lock: it must be replaced in one step, from a file that show does not list.",
    ),
    "lock-order": (
        "    for name in sorted(set(names)):\n",
        "    for name in names:\n",
        "    for name in sorted(names):\n",
        "[two copies that @VERB@ in opposite directions hang for ever|a @VERB@ from @A@ to @B@ and one back wait for each other|copies get stuck when the directions cross]",
        "locked() takes the locks in the order of the arguments: crossing directions wait for each other, and so does a @THING@ with itself.",
    ),
    "removed-lock": (
        "        for file in held:\n            file.close()\n",
        "        for file in held:\n            with contextlib.suppress(OSError):\n                os.unlink(file.name)\n            file.close()\n",
        "        for file in held:\n            file.close()\n            with contextlib.suppress(OSError):\n                os.unlink(file.name)\n",
        "[a late-comer gets in although somebody holds the lock|with copies that start one after another, locks do not exclude each other|a third copy that starts a little later spoils what the second one does]",
        "The lock file is removed on release: whoever waits holds a file without a name, and the next one makes a new file and locks that.",
    ),
    "stale-level": (
        "    with locked(source, target):\n        have = level(source)\n        slow()\n        if have < amount:\n            return 3\n",
        "    have = level(source)\n    slow()\n    if have < amount:\n        return 3\n    with locked(source, target):\n",
        "    with locked(source):\n        have = level(source)\n        slow()\n        if have < amount:\n            return 3\n",
        "[a @THING@ gives away more than it has|several copies that @VERB@ from @A@ take it down only once|@UNITS@ multiply when many @VERB@ from one @THING@]",
        "move() reads the level before it holds the locks, so the number is old by the time it is written back; both @THING@s have to be locked first.",
    ),
    "unlocked-add": (
        '    with locked(name):\n        value = level(name) + amount\n        slow()\n        store(name, value)\n        note(f"- {name} {amount}")\n',
        '    value = level(name) + amount\n    slow()\n    store(name, value)\n    note(f"- {name} {amount}")\n',
        '    value = level(name) + amount\n    slow()\n    with locked(name):\n        store(name, value)\n        note(f"- {name} {amount}")\n',
        "[of several additions at once only one remains|additions get lost|what was added at the same moment is missing afterwards]",
        "add() holds no lock at all between reading and writing.",
    ),
    "lost-lines": (
        '    slow()\n    with open(path("journal"), "a") as file:\n        file.write(line + "\\n")\n',
        '    with open(path("journal")) as file:\n        lines = file.read()\n    slow()\n    with open(path("journal"), "w") as file:\n        file.write(lines + line + "\\n")\n',
        '    with open(path("journal")) as file:\n        lines = file.read()\n    slow()\n    new = path("tmp", f"journal.{os.getpid()}")\n    with open(new, "w") as file:\n        file.write(lines + line + "\\n")\n    os.replace(new, path("journal"))\n',
        "[the journal lacks lines|lines vanish from the journal when different @THING@s are busy|fewer lines than operations are in the journal]",
        "note() rewrites the whole journal, and copies that work on other @THING@s hold other locks: it has to append.",
    ),
}

RUNNER = """
import contextlib, fcntl, json, os, runpy, sys, time, traceback

program, folder, stagger, jobs = sys.argv[1], sys.argv[2], float(sys.argv[3]), json.loads(sys.argv[4])
read, write = os.pipe()
children = []
for number, arguments in enumerate(jobs):
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        time.sleep(stagger * number)
        code = 99
        try:
            with open(os.path.join(folder, f"{number}.out"), "w") as sys.stdout:
                sys.argv = [program, *arguments]
                try:
                    runpy.run_path(program, run_name="__main__")
                    code = 0
                except SystemExit as end:
                    code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code if isinstance(code, int) else 1)
    children.append(child)
os.close(write)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""

CHECKS = '''
@contextlib.contextmanager
def books(levels):
    """A data folder with these numbers."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("locks", "tmp", "out", THINGS):
            os.mkdir(os.path.join(folder, name))
        open(os.path.join(folder, "journal"), "w").close()
        for name, level in levels.items():
            with open(os.path.join(folder, THINGS, name), "w") as file:
                file.write(f"{level}\\n")
        yield folder


def together(folder, operations, pause=0.01, stagger=0.0, seconds=25):
    """Run operations at once; exit status and output of each."""
    out = os.path.join(folder, "out")
    jobs = json.dumps([[folder, *operation.split()] for operation in operations])
    try:
        done = run(
            "/usr/bin/python3", "-I", "-B", "-c", RUNNER, TOOL, out, str(stagger), jobs, seconds=seconds, env={f"{PREFIX}_PAUSE": str(pause)}
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{operations} at once do not end within {seconds} s") from None
    assert done.returncode == 0, done.stderr[-300:]
    found = json.loads(done.stdout.splitlines()[-1])
    return [(status, read(os.path.join(out, f"{number}.out"))) for number, status in enumerate(found)], done.stderr[-300:]


def levels(folder):
    names = os.listdir(os.path.join(folder, THINGS))
    return {name: int(read(os.path.join(folder, THINGS, name))) for name in names}


def journal(folder):
    return sorted(read(os.path.join(folder, "journal")).splitlines())


def settle(start, operations, **options):
    """All operations succeed and leave what any order of them would leave."""
    with books(start) as folder:
        results, said = together(folder, operations, **options)
        assert all(status == 0 for status, _ in results), f"{operations} at once end with {[status for status, _ in results]}: {said}"
        want, lines = dict(start), []
        for operation in operations:
            command, *names, amount = operation.split()
            if command == "add":
                want[names[0]] += int(amount)
                lines.append(f"- {names[0]} {amount}")
            else:
                want[names[0]] -= int(amount)
                want[names[1]] += int(amount)
                lines.append(f"{names[0]} {names[1]} {amount}")
        assert levels(folder) == want, f"{operations} at once on {start} leave {levels(folder)}"
        assert journal(folder) == sorted(lines), f"{operations} at once leave the journal {journal(folder)}"


def additions():
    for stagger in (0, 0.015):
        settle({"a": 5, "b": 0}, [f"add a {amount}" for amount in range(1, 9)], stagger=stagger)


def moves():
    for stagger in (0, 0.025):
        settle({"a": 900, "b": 3, "c": 4}, [f"{VERB} a {'bc'[amount % 2]} {amount}" for amount in range(1, 8)], stagger=stagger)


def crossing():
    start = {"a": 100, "b": 100, "c": 100}
    settle(start, [f"{VERB} {one} {other} 5" for one, other in ("ab", "ba", "bc", "ca", "cb", "ba", "ac", "ab")])
    settle(start, [f"{VERB} a a 5", f"{VERB} b b 100"])


def scarce():
    """Of moves that there is not enough for, exactly those succeed that there is enough for."""
    with books({"a": 50, "b": 0}) as folder:
        results, said = together(folder, [f"{VERB} a b 10"] * 9)
        assert sorted(status for status, _ in results) == [0] * 5 + [3] * 4, f"nine times 10 out of 50: {results} {said}"
        assert levels(folder) == {"a": 0, "b": 50} and journal(folder) == ["a b 10"] * 5, levels(folder)


def lines():
    """Copies that work on different places leave all their lines in the journal."""
    start = {name: 100 for name in "abcdefgh"}
    for stagger in (0,):
        settle(start, [f"{VERB} {pair[0]} {pair[1]} {number + 1}" for number, pair in enumerate(("ab", "cd", "ef", "gh") * 2)], stagger=stagger)


def readers():
    """Writers all the time, and somebody looking every few hundredths of a second."""
    writers = [f"{VERB} a b 1", "add c 1", f"{VERB} b c 1", f"{VERB} a b 1", f"{VERB} a c 1", f"{VERB} b c 1", "add a 1", f"{VERB} c b 1"]
    operations = [one for writer in writers for one in (writer, *["show"] * 5)]
    with books({"a": 500, "b": 500, "c": 500}) as folder:
        results, said = together(folder, operations, pause=0.05, stagger=0.03)
        for status, shown in results:
            rows = [line.split() for line in shown.splitlines()]
            assert status == 0, f"beside others, show ends with {status}: {said}"
            if rows:
                assert [row[0] for row in rows] == ["a", "b", "c"], f"show beside others prints {shown!r}"
                assert all(row[1].isdigit() and 490 < int(row[1]) < 510 for row in rows), f"show beside others prints {shown!r}"


def check_copies_at_once():
    """Many copies at once end, lose nothing, show only what was there, and leave a complete journal."""
    # One verdict for all of it, without its details: which of the rounds a race spoils first is not the same every time.
    try:
        for part in (additions, moves, crossing, scarce, lines, readers):
            part()
    except (AssertionError, OSError, ValueError):
        raise AssertionError("copies that run at once lose updates, hang, or show what was never there") from None


def check_killed_copy():
    """A copy that is killed in the middle holds up nobody."""
    with books({"a": 50, "b": 50}) as folder:
        killed = subprocess.Popen([TOOL, folder, VERB, "a", "b", "1"], env={"PATH": PATH, f"{PREFIX}_PAUSE": "30"}, start_new_session=True)
        time.sleep(1.0)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        for call in (f"{VERB} b a 1", "add b 1", "show"):
            try:
                done = run(TOOL, folder, *call.split(), seconds=10)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{call} waits for a copy that was killed") from None
            assert done.returncode == 0, f"{call} after a killed copy ends with {done.returncode}"


def check_alone_as_before():
    """Statuses, output and files of single runs are what they were."""
    with books({"x": 10, "y": 0}) as folder:
        calls = [f"{VERB} x y 4", f"{VERB} x y 7", f"{VERB} x z 1", "add q 1", "add x", f"{VERB} x y -1", "show", "nonsense"]
        done = [run(TOOL, folder, *call.split()) for call in calls]
        assert [one.returncode for one in done] == [0, 3, 4, 4, 2, 2, 0, 2], [one.returncode for one in done]
        assert done[6].stdout == "x 6\\ny 4\\n", done[6].stdout
        assert read(os.path.join(folder, THINGS, "x")) == "6\\n"
        assert journal(folder) == ["x y 4"]


def check_pauses_are_there():
    """The program still pauses where it is told to."""
    with books({"x": 10, "y": 0}) as folder:
        began = time.monotonic()
        together(folder, [f"{VERB} x y 4", "add x 1"], pause=0.3)
        assert time.monotonic() - began > 0.55, "the pauses are gone"


def check_data_untouched():
    """The real numbers, their journal and the description are what they were."""
    assert levels(DATA) == LEVELS, levels(DATA)
    assert read(os.path.join(DATA, "journal")) == JOURNAL, "the journal was changed"
    assert read(DOC[0]) == DOC[1], "the description was changed"
'''
