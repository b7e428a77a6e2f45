"""What the first process of a container does itself for a verdict: look at what changed, make room for the tests.

An agent that was root may have changed every program and library of the image. Nothing of them is run or loaded for
this: it is done in a fork of an interpreter that was there before the agent was. This text is sent into the container
with the courier's (see `channel.py`) and likewise needs Python 3.8 and the standard library only.
"""

# Old Pythons, few imports, and faults that must reach whoever waits: several rules of the host side do not fit here.
# ruff: noqa: BLE001, SIM105, TRY301, PTH101, PTH102, PTH106, PTH108, PTH123, PTH208, UP031
from __future__ import annotations

import os
import signal
import stat
from typing import Any

FOUND = 500  # changed paths that are told at most


def guard(spec: dict[str, Any], stdin: int, out: int, err: int) -> None:  # noqa: ARG001
    """In the courier's child: make room for the tests and tell what changed of what they rest on; never return."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        if spec["end"] and others():
            raise OSError("processes do not end")
        for path, mode in spec["clear"]:
            make_room(path, mode)
        view = memoryview(b"\0".join(map(os.fsencode, changed(spec["protected"], spec["since"]))))
        while view:
            view = view[os.write(out, view) :]
        code = 0
    except BaseException as error:
        os.write(err, ("%s: %s\n" % (type(error).__name__, error)).encode(errors="replace"))
    os._exit(code)


def others() -> list[int]:
    """Living processes but the first, this one and those that it descends from."""
    living, parents = [], {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            parents[int(name)] = int(parent)
            if state not in "ZX":
                living.append(int(name))
    keep, pid = {1}, os.getpid()
    while pid > 1:
        keep.add(pid)
        pid = parents.get(pid, 0)
    return [pid for pid in living if pid not in keep]


def changed(patterns: list[str], since: float) -> list[str]:
    """Paths at and below those given whose inode changed at or after `since`; what cannot be looked at counts.

    On an overlay only folders are asked for their time, which is a quarter of the work: whoever changes a file of the
    image makes the kernel copy it, and so makes a new entry in its folder.
    """
    found: dict[str, None] = {}
    todo = []
    for pattern in patterns:
        for path in expand(pattern):
            # A folder on the way that became a link would lead past everything that lies there.
            names = path.strip("/").split("/")
            for count in range(1, len(names) + 1):
                head = "/" + "/".join(names[:count])
                try:
                    facts = os.lstat(head)
                except FileNotFoundError:
                    break
                except OSError:
                    found[head] = None
                    break
                if facts.st_ctime >= since and (head == path or not stat.S_ISDIR(facts.st_mode)):
                    found[head] = None
                if head == path and stat.S_ISDIR(facts.st_mode):
                    todo.append(path)
    deep = not on_overlay()
    while todo and len(found) < FOUND:
        folder = todo.pop()
        try:
            new = os.lstat(folder).st_ctime >= since
            if new:
                found[folder] = None
            with os.scandir(folder) as entries:
                for entry in entries:
                    if (new or deep) and entry.stat(follow_symlinks=False).st_ctime >= since:
                        found[entry.path] = None
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:
            found[folder] = None
    return list(found)


def expand(pattern: str) -> list[str]:
    """The paths that a pattern stands for: itself, or what begins with it where its last character is `*`."""
    if not pattern.endswith("*"):
        return [pattern]
    folder, _, start = pattern[:-1].rpartition("/")
    try:
        return [folder + "/" + name for name in os.listdir(folder) if name.startswith(start)]
    except FileNotFoundError:
        return []


def on_overlay() -> bool:
    kinds = ""
    with open("/proc/mounts") as file:
        for line in file:
            fields = line.split()
            if fields[1] == "/":
                kinds = fields[2]
    return kinds == "overlay"


def make_room(path: str, mode: int) -> None:
    """An empty folder at this path, on a way of real folders; links there are not followed but replaced."""
    os.chdir("/")
    *parents, name = path.strip("/").split("/")
    for parent in parents:
        if not is_folder(parent):
            remove(parent)
            os.mkdir(parent, 0o755)
        os.chdir(parent)
    remove(name)
    os.mkdir(name, mode)
    os.chmod(name, mode)


def is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def remove(name: str) -> None:
    """Remove whatever has this name in the current folder, however deep it goes; links are not followed."""
    if not is_folder(name):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
        return
    # Folders still to be emptied, level by level, and the names that lead to the level that this process stands on.
    levels, way = [[name]], []
    while levels:
        if levels[-1]:
            way.append(levels[-1].pop())
            os.chdir(way[-1])
            folders = []
            with os.scandir(".") as entries:
                for entry in list(entries):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        os.unlink(entry.name)
            levels.append(folders)
        else:
            levels.pop()
            if way:
                os.chdir("..")
                os.rmdir(way.pop())
