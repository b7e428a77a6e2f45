"""The state layer: canonical whatever order it is read in, whole whatever lies in it, the same when rebuilt."""

import io
import random
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import state
from envs.engine import Engine
from envs.errors import EngineError
from envs.folder import write_folder
from envs.state import StateError, StateLayer, canonical, capture, differs, volatile

from .conftest import Sample

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
ENTRIES = st.dictionaries(
    PATHS,
    st.tuples(
        st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE]),
        st.binary(max_size=700),
        st.integers(0, 0o7777),
        st.integers(0, 2**31 - 2),
        st.integers(0, 2**33),
    ),
    max_size=8,
)


def tar_of(entries: dict[str, tuple[bytes, bytes, int, int, int]], order: list[str], form: int, prefix: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name in order:
            kind, content, mode, ident, mtime = entries[name]
            member = tarfile.TarInfo(prefix + name)
            member.type, member.mode, member.uid, member.gid, member.mtime = kind, mode, ident, ident // 2, mtime
            member.uname, member.gname = "whoever", "wherever"
            if kind == tarfile.SYMTYPE:
                member.linkname = "target ü"
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@given(ENTRIES, st.randoms(use_true_random=False))
def test_a_tar_has_one_canonical_form(
    entries: dict[str, tuple[bytes, bytes, int, int, int]], rng: random.Random
) -> None:
    order = list(entries)
    first = canonical(tar_of(entries, order, tarfile.GNU_FORMAT, ""))
    rng.shuffle(order)
    assert canonical(tar_of(entries, order, tarfile.PAX_FORMAT, "./")) == first
    assert canonical(first) == first
    members = {member.name: member for member in StateLayer(first).members()}
    assert list(members) == sorted(entries, key=str.encode)
    for name, (kind, content, mode, ident, mtime) in entries.items():
        member = members[name]
        assert (member.type, member.mode, member.uid, member.gid) == (kind, mode, ident, ident // 2)
        assert member.mtime == (0 if name == "etc" else mtime)
        assert member.size == (len(content) if kind == tarfile.REGTYPE else 0)


@given(st.permutations(["b", "a", "d", "c"]))
def test_hard_links_have_their_content_at_the_first_name(order: list[str]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in order:
            member = tarfile.TarInfo(name)
            if name == order[0]:
                member.size = 3
                tar.addfile(member, io.BytesIO(b"abc"))
            else:
                member.type, member.linkname = tarfile.LNKTYPE, order[0]
                tar.addfile(member)
    members = StateLayer(canonical(buffer.getvalue())).members()
    assert [(member.name, member.type, member.linkname) for member in members] == [
        ("a", tarfile.REGTYPE, ""),
        *((name, tarfile.LNKTYPE, "a") for name in "bcd"),
    ]


def test_a_link_to_nowhere_is_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = tarfile.LNKTYPE, "missing"
        tar.addfile(member)
    with pytest.raises(EngineError, match="missing"):
        canonical(buffer.getvalue())


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("/run", True), ("/run/lock/x", True), ("/runs", False), ("/app/run", False), ("/tmp/tmux-0/default", True),
        ("/tmp/x", False), ("/tests/a", True), ("/home/ann/.cache/x", True), ("/home/ann/.cached", False), ("/", False),
        ("/root/.bash_history", True), ("/root", False), ("/etc/hosts", True), ("/etc/hosts.allow", False),
    ],
)  # fmt: skip
def test_volatile_paths_are_left_out_and_no_others(path: str, left_out: bool) -> None:
    assert volatile(path) is left_out


def test_deletions_are_part_of_the_digest() -> None:
    tar = canonical(tar_of({}, [], tarfile.GNU_FORMAT, ""))
    layers = [StateLayer(tar), StateLayer(tar, ("/a",)), StateLayer(tar, ("/a", "/b"))]
    assert len({layer.digest for layer in layers}) == 3


def test_a_layer_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    layer = StateLayer(canonical(tar_of({}, [], tarfile.GNU_FORMAT, "")), ("/a\nb", "/ä", "/\udcff"))
    state.write(layer, tmp_path)
    assert state.read(tmp_path) == layer
    with pytest.raises(FileNotFoundError):
        state.read(tmp_path / "nowhere")


def test_some_files_of_a_layer_are_taken_with_their_content() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in (("a/x", b"abc"), ("c", b"de")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("b")
        link.type, link.linkname = tarfile.LNKTYPE, "a/x"
        tar.addfile(link)
    layer = StateLayer(canonical(buffer.getvalue()))
    with tarfile.open(fileobj=io.BytesIO(layer.only(["/b", "/a/x", "/b"]))) as tar:
        assert [(member.name, member.type, member.size) for member in tar] == [
            ("a/x", tarfile.REGTYPE, 3),
            ("b", tarfile.REGTYPE, 3),
        ]
    with pytest.raises(KeyError):
        layer.only(["/nowhere"])


@pytest.mark.docker
async def test_an_environment_built_anew_has_the_digest_that_it_was_written_with(
    sample: Sample, engine: Engine, tmp_path: Path
) -> None:
    environment = await sample.make()
    digests = set()
    for name in ("one", "other"):
        write_folder(environment, tmp_path / name)
        tag = engine.tag(name)
        await engine.build(tmp_path / name / "environment", tag)
        async with engine.container(tag) as container:
            names = [f"/{member.name}" for member in environment.state.members()]
            again = StateLayer(canonical(await container.collect(names)), environment.state.deletions)
        digests.add(again.digest)
        # What the engine keeps of the first build must not be what the second one gets.
        await engine.remove_image(tag)
    assert digests == {environment.state.digest}


@pytest.mark.docker
async def test_capture_has_owners_modes_times_links_and_deletions(sample: Sample) -> None:
    layer = (await sample.make()).state
    assert layer.deletions == ("/etc/issue.net",)
    assert not layer.empty
    found = {member.name: member for member in layer.members()}
    file = found["data/leer/Überblick/ä ö.txt"]
    assert (file.uid, file.gid, found["data/hard"].size) == (1234, 4321, 3)
    assert (file.type, file.linkname) == (tarfile.LNKTYPE, "data/hard")
    assert (found["srv"].mode, found["data/empty"].mode) == (0o2750, 0o1777)
    assert found["data/dangling"].linkname == "../data/nowhere"
    assert (found["data/large.bin"].size, found["data/large.bin"].mtime) == (3_000_000, 981_173_106)
    assert found["data/pipe"].type == tarfile.FIFOTYPE
    assert not [name for name in found if name.startswith(("tests", "root/.cache", "proc"))]


@pytest.mark.docker
async def test_the_rebuilt_image_has_the_same_state(sample: Sample, engine: Engine, tmp_path: Path) -> None:
    environment = await sample.make()
    write_folder(environment, tmp_path)
    tag = engine.tag("rebuilt")
    await engine.build(tmp_path / "environment", tag)
    async with engine.container(tag) as container:
        assert await differs(container, environment.state) is None
        assert (
            await container.run("git --no-optional-locks -C /app/repo status --short --branch")
        ).output == "## main\n"
        assert (await container.run("stat -c %h /data/hard; ls -A /.state.deleted")).output.splitlines()[0] == "2"
        await container.run("chmod 640 /data/large.bin")
        assert "mode" in str(await differs(container, environment.state))
        await container.run("chmod 644 /data/large.bin; touch /etc/issue.net")
        assert "/etc/issue.net" in str(await differs(container, environment.state))
    # Independently of what was captured: the image's layers beyond the base hold nothing else.
    assert added_paths(tag, sample.base) <= {member.name for member in environment.state.members()} | {
        ".state.deleted", ".wh..state.deleted", "etc/.wh.issue.net", "etc",
    }  # fmt: skip


def added_paths(tag: str, base: str) -> set[str]:
    """Names in the layers that an image has beyond its base, from the engine's own export."""
    saved = subprocess.run(["docker", "save", tag, base], check=True, capture_output=True).stdout
    import json

    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        layers = {image["RepoTags"][0]: image["Layers"] for image in manifest}
        found: set[str] = set()
        for layer in layers[tag][len(layers[base]) :]:
            with tarfile.open(fileobj=tar.extractfile(layer)) as content:
                found |= {member.name.strip("/") for member in content if member.name.strip("/")}
    return found


@pytest.mark.docker
async def test_a_state_captured_twice_has_one_digest(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        await container.run("mkdir /data && seq 1000 >/data/x")
        assert (await capture(container)).digest == (await capture(container)).digest


@pytest.mark.docker
@pytest.mark.parametrize(
    ("command", "empty"),
    [
        ("true", True),
        ("touch /app/x && rm /app/x", True),
        ("echo x >/root/.bash_history; mkdir -p /run/x /tests", True),
        ("mkdir /app/x", False),
        ("rm /etc/issue.net", False),
        ("echo more >>/etc/issue", False),
    ],
)
async def test_a_difference_that_is_none_is_seen(engine: Engine, base: str, command: str, empty: bool) -> None:
    async with engine.container(base) as container:
        await container.run(command)
        assert (await capture(container)).empty is empty


@pytest.mark.docker
async def test_a_folder_in_the_place_of_a_file_and_the_other_way_round_are_rebuilt(
    sample: Sample, engine: Engine, tmp_path: Path
) -> None:
    environment = await sample.make(
        "rm /etc/issue && mkdir /etc/issue && echo x >/etc/issue/y; rm -r /etc/skel && echo z >/etc/skel;"
        " rm -r /usr/share/git-core/templates && mkdir /usr/share/git-core/templates"
    )
    write_folder(environment, tmp_path)
    tag = engine.tag("replaced")
    await engine.build(tmp_path / "environment", tag)
    async with engine.container(tag) as container:
        assert await differs(container, environment.state) is None
        listed = await container.run("cat /etc/issue/y /etc/skel; find /usr/share/git-core/templates")
        assert listed.output == "x\nz\n/usr/share/git-core/templates\n"


@pytest.mark.docker
async def test_a_state_that_cannot_be_read_is_a_state_error(engine: Engine, base: str) -> None:
    async with engine.container(base) as container:
        await container.run("mkdir /data && for i in 1 2; do head -c 40000000 /dev/zero >/data/$i; done")
        with pytest.raises(StateError, match="64 MiB"):
            await capture(container)
