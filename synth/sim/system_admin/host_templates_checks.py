"""The checks of HostTemplates: the new script on the live tree, on others that the agent has not seen, and its reports."""

CHECKS = r'''
def sections(text):
    """Sections of an inventory: name to key to value."""
    found = {}
    for line in text.splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip()[1:-1], {})
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            current[key.strip()] = value.strip()
    return found


def wanted(inventory, before):
    """Files that the script manages, by path below hosts/, worked out from inventory, templates and what was there."""
    parts, files = sections(inventory), {}
    block = re.compile(rf"^{re.escape(MARKS[0])}\n(?:.*\n)*?{re.escape(MARKS[1])}\n", re.M)
    for name, own in parts.items():
        kind, _, host = name.partition(":")
        if kind != "host":
            continue
        groups = [group.strip() for group in own.get("groups", "").split(",") if group.strip()]
        layers = [own, *(parts[f"group:{group}"] for group in (groups if FIRST_WINS else groups[::-1])), parts["defaults"]]
        for template, text in TEMPLATES.items():
            path = f"{host}/etc/{template}"
            filled = re.sub(
                r"\$(?:\$|\{(\w+)\})", lambda m: next(layer[m[1]] for layer in layers if m[1] in layer) if m[1] else "$", text
            )
            files[path] = filled + "".join(block.findall(before.get(path, "")))
    return files


def tree(folder):
    """Everything below hosts/ of a folder: path to (kind of file and mode, time of modification, text)."""
    found, top = {}, os.path.join(folder, "hosts")
    for place, folders, names in os.walk(top):
        for name in [*folders, *names]:
            path = os.path.join(place, name)
            state = os.lstat(path)
            plain = stat.S_ISREG(state.st_mode)
            time = None if stat.S_ISDIR(state.st_mode) else state.st_mtime_ns
            found[os.path.relpath(path, top)] = (stat.filemode(state.st_mode), time, read(path) if plain else None)
    return found


@contextlib.contextmanager
def planted(inventory, files):
    """A folder of the same form, made for one trial."""
    folder = tempfile.mkdtemp()
    try:
        for path, text in {
            "inventory.ini": inventory,
            **{f"templates/{name}.tmpl": text for name, text in TEMPLATES.items()},
            **{f"hosts/{path}": text for path, text in files.items()},
        }.items():
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        yield folder
    finally:
        shutil.rmtree(folder)


def call(folder, *options):
    """The script's exit code and the lines that it prints."""
    assert os.access(SCRIPT, os.X_OK), f"{SCRIPT} cannot be run"
    try:
        done = run(SCRIPT, *options, folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssertionError(f"{SCRIPT} does not start or does not end ({type(error).__name__})") from None
    return done.returncode, done.stdout.splitlines()


def compare(folder, files):
    """The files below hosts/ of a folder are these and no others."""
    found = {path: text for path, (mode, _, text) in tree(folder).items() if mode[0] not in "d"}
    for path in sorted(files):
        assert path in found, f"hosts/{path} is missing"
        assert found[path] == files[path], f"hosts/{path} is not as asked"
    assert sorted(found) == sorted(files), f"there are other files: {sorted(set(found) - set(files))}"


def report(files, before):
    """What has to be printed: sorted lines for the files, then the counts."""
    lines = []
    for path, text in files.items():
        host, _, name = path.partition("/etc/")
        lines.append(f"{WORDS[1] if before.get(path) == (text, MODE) else WORDS[0]} {host}/{name}")
    changed = sum(line.startswith(f"{WORDS[0]} ") for line in lines)
    return [*sorted(lines), f"{changed} {WORDS[0]}, {len(lines) - changed} {WORDS[1]}"]


def said(lines):
    """Lines printed, those for the files in order."""
    return [*sorted(lines[:-1]), *lines[-1:]]


def modes(folder, files):
    """Text and mode of those of the files that are there."""
    found = tree(folder)
    full = {path: os.path.join(folder, "hosts", path) for path in files if path in found}
    return {path: (found[path][2], stat.S_IMODE(os.lstat(place).st_mode)) for path, place in full.items()}


def check_sources_are_unchanged():
    """Inventory and templates read as they did."""
    assert read(f"{ROOT}/inventory.ini") == INVENTORY, "the inventory changed"
    found = {name: read(f"{ROOT}/templates/{name}") for name in sorted(os.listdir(f"{ROOT}/templates"))}
    assert found == {f"{name}.tmpl": text for name, text in sorted(TEMPLATES.items())}, "the templates changed"


def check_hosts_are_in_line():
    """Each host's files are the rendering and the local blocks, with the asked mode, and all other files are there still."""
    files = wanted(INVENTORY, FILES)
    compare(ROOT, {**FILES, **files})
    for path, (_, mode) in modes(ROOT, files).items():
        assert mode == MODE, f"hosts/{path} has mode {mode:04o}"


def check_a_second_run_changes_nothing():
    """Run again, the script writes no file and says so, on the live tree's copy."""
    with planted(INVENTORY, FILES) as folder:
        shutil.rmtree(f"{folder}/hosts")
        shutil.copytree(f"{ROOT}/hosts", f"{folder}/hosts", symlinks=True)
        files, before = wanted(INVENTORY, FILES), tree(folder)
        code, lines = call(folder)
        assert code == 0, f"exit code {code}"
        assert tree(folder) == before, "a second run wrote something"
        assert said(lines) == report(files, modes(folder, files)), f"it prints {said(lines)}"


def check_another_tree_is_brought_in_line():
    """A tree with other values, hosts and blocks is brought in line, with a true report, and left alone at the second run."""
    with planted(SECOND, SECOND_FILES) as folder:
        files = wanted(SECOND, SECOND_FILES)
        expected = report(files, modes(folder, files))
        code, lines = call(folder)
        assert code == 0, f"exit code {code}"
        compare(folder, {**SECOND_FILES, **files})
        assert {mode for _, mode in modes(folder, files).values()} == {MODE}, "modes are not as asked"
        assert said(lines) == expected, f"it prints {said(lines)}"
        before = tree(folder)
        code, lines = call(folder)
        assert code == 0 and tree(folder) == before, "a second run wrote something"
        assert said(lines) == report(files, modes(folder, files)), f"at the second run it prints {said(lines)}"


def check_a_missing_value_stops_it():
    """Where a value is missing the script ends with the asked code and has written nothing."""
    with planted(GAP, FILES) as folder:
        before = tree(folder)
        code, _ = call(folder)
        assert code == MISSING, f"exit code {code}"
        assert tree(folder) == before, "it wrote something"


def check_dry_run():
    """With its option, if one is asked for, the script reports what is pending and writes nothing."""
    if not OPTION:
        return
    with planted(INVENTORY, FILES) as folder:
        files, before = wanted(INVENTORY, FILES), tree(folder)
        code, lines = call(folder, OPTION)
        assert code == PENDING, f"exit code {code} with something pending"
        assert tree(folder) == before, "it wrote something"
        assert said(lines) == report(files, modes(folder, files)), f"it prints {said(lines)}"
        call(folder)
        code, lines = call(folder, OPTION)
        assert code == 0, f"exit code {code} with nothing pending"
'''
