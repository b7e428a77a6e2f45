"""Base images on a real Docker engine: what is in them, and how they are built."""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import docker
import docker.errors
import pytest
import yaml

from envs import images
from envs.images import BaseImageError, Image, ImageStore
from envs.images.store import BUILDER, RECORD
from envs.reaper import BASE_LABEL

pytestmark = pytest.mark.docker

PACKAGED = Path(images.__file__).parent


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    try:
        connected = docker.from_env(timeout=600)
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield connected
    connected.close()


@pytest.fixture
def image(client: docker.DockerClient) -> Image:
    there = ImageStore(client).status("version_control")
    if there is None:
        pytest.skip("the base image of version_control is not there; `make setup` builds it")
    return there


@pytest.fixture
def recipes(client: docker.DockerClient, image: Image, tmp_path: Path) -> Iterator[Path]:
    """Recipes with a small domain of this test's own, named like the folder, on the real shared layer."""
    folder = tmp_path / f"d{secrets.token_hex(6)}"
    folder.mkdir()
    shutil.copy(PACKAGED / "base.yaml", folder)
    write(folder, files={"/etc/marker": "first\n"}, probes=["grep -q . /etc/marker"])
    yield folder
    for left in client.images.list(name=f"synth-base/{folder.name}"):
        for tag in left.tags:
            client.images.remove(tag)


def write(folder: Path, **own: object) -> None:
    (folder / f"{folder.name}.yaml").write_text(yaml.safe_dump({"about": "a test's own domain", **own}))


def in_image(client: docker.DockerClient, reference: str, command: str) -> str:
    """What the command prints in a fresh container without a network."""
    output = client.containers.run(reference, ["bash", "-c", command], network_mode="none", remove=True, stderr=True)
    return output.decode()


def test_every_tool_answers_without_a_network(client: docker.DockerClient, image: Image) -> None:
    recipe = images.load_recipe("version_control")
    probes = [*recipe.shared.probes, *recipe.own.probes]
    script = "\n".join(f"({probe}) >/dev/null 2>&1 </dev/null || echo 'failed: {probe}'" for probe in probes)
    assert len(probes) > 20
    assert in_image(client, image.reference, script) == ""


def test_surroundings_of_a_task(client: docker.DockerClient, image: Image) -> None:
    version, locale, folder, branch, lists, manuals, scratch, record = in_image(
        client,
        image.reference,
        "tmux -V; locale charmap; pwd; git config --system init.defaultBranch; ls /var/lib/apt/lists | wc -l; "
        "find /usr/share/man -type f 2>/dev/null | wc -l; ls -A /app /tmp /root/.cache 2>/dev/null | wc -w; "
        f"cat {RECORD}",
    ).split("\n", 7)
    assert float(version.split()[1].rstrip("abc")) >= 3.2
    assert (locale, folder, branch) == ("UTF-8", "/app", "main")
    assert (lists, manuals) == ("0", "0")
    assert scratch == "2"  # the names of the two folders themselves, and nothing in them
    written = json.loads(record)
    assert written["reference"] == image.reference
    assert {"git", "git-lfs", "tmux", "python3"} <= set(written["packages"])


def test_it_tells_nothing_of_the_machine_that_built_it(client: docker.DockerClient, image: Image) -> None:
    config = client.images.get(image.reference).attrs["Config"]
    assert config["Labels"] == {BASE_LABEL: image.reference}
    assert config["Hostname"] in ("", "synth")
    assert config["Cmd"] == ["bash"]
    assert not [line for line in config["Env"] if "proxy" in line.lower()]


def test_built_once_and_then_found(client: docker.DockerClient, recipes: Path) -> None:
    store, said = ImageStore(client, recipes), list[str]()
    assert store.status(recipes.name) is None
    built = store.ensure_now(recipes.name, said.append)
    assert [line for line in said if "building" in line]
    assert all("\n" not in line for line in said)
    assert built == store.status(recipes.name)
    assert in_image(client, built.reference, "cat /etc/marker; stat -c '%a %U' /etc/marker") == "first\n644 root\n"
    said.clear()
    assert store.ensure_now(recipes.name, said.append) == built
    assert said == []


def test_domains_share_the_lower_layer(client: docker.DockerClient, image: Image, recipes: Path) -> None:
    built = ImageStore(client, recipes).ensure_now(recipes.name, lambda _: None)
    layers = [client.images.get(each).attrs["RootFS"]["Layers"] for each in (image.reference, built.reference)]
    assert layers[0][:-1] == layers[1][:-1]
    assert layers[0][-1] != layers[1][-1]


async def test_the_asynchronous_door_does_the_same(client: docker.DockerClient, recipes: Path) -> None:
    store = ImageStore(client, recipes)
    assert await store.ensure(recipes.name, lambda _: None) == store.status(recipes.name)


def test_a_changed_recipe_supersedes_the_image(client: docker.DockerClient, recipes: Path) -> None:
    store = ImageStore(client, recipes)
    old = store.ensure_now(recipes.name, lambda _: None)
    assert old.reference not in [each.reference for each in store.superseded()]
    write(recipes, files={"/etc/marker": "second\n"})
    assert store.status(recipes.name) is None
    assert old in store.superseded()


def test_two_processes_build_once(client: docker.DockerClient, recipes: Path) -> None:
    program = (
        "import sys, docker; from pathlib import Path; from envs.images import ImageStore;"
        "print(ImageStore(docker.from_env(), Path(sys.argv[1])).ensure_now(sys.argv[2], print).id)"
    )
    write(recipes, files={"/etc/marker": "x"}, probes=["sleep 2"])
    command = [sys.executable, "-c", program, str(recipes), recipes.name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(output.count(f"building synth-base/{recipes.name}") for output in outputs) == 1
    assert len({output.splitlines()[-1] for output in outputs}) == 1


def test_a_failing_probe_leaves_nothing(client: docker.DockerClient, recipes: Path) -> None:
    write(recipes, probes=["echo not there; false"])
    store = ImageStore(client, recipes)
    with pytest.raises(BaseImageError, match="fails its probe `echo not there; false`") as caught:
        store.ensure_now(recipes.name, lambda _: None)
    assert caught.value.mend
    assert store.status(recipes.name) is None


def test_a_builder_that_a_dead_process_left_is_no_hindrance(client: docker.DockerClient, recipes: Path) -> None:
    store = ImageStore(client, recipes)
    with store._alone(lambda _: None):
        left = client.containers.run(_shared(recipes), ["sleep", "600"], detach=True, name=BUILDER, network_mode="none")
    built = store.ensure_now(recipes.name, lambda _: None)
    assert built == store.status(recipes.name)
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(left.id)


def _shared(recipes: Path) -> str:
    return images.load_recipe(recipes.name, recipes).shared_reference


@pytest.mark.slow
def test_the_shared_layer_from_nothing(client: docker.DockerClient, recipes: Path) -> None:
    """The whole way without a registry: debootstrap, packages, a domain on top. Needs a Debian mirror."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("this needs root and debootstrap")
    shared = yaml.safe_load((recipes / "base.yaml").read_text())
    shared.update(packages=["tmux", "python3"], probes=["tmux -V", "python3 -c ''"])
    shared["registry_image"] = f"debian:{recipes.name}"  # no registry has it
    (recipes / "base.yaml").write_text(yaml.safe_dump(shared))
    write(recipes, packages=["less"], probes=["less --version"])
    said = list[str]()
    try:
        built = ImageStore(client, recipes).ensure_now(recipes.name, said.append)
        assert (
            in_image(client, built.reference, "pwd; head -1 /etc/gitconfig; less --version >/dev/null && echo less")
            == "/app\n[init]\nless\n"
        )
        assert built.size < 200e6
    finally:
        recipe = images.load_recipe(recipes.name, recipes)
        for reference in (recipe.reference, recipe.shared_reference, recipe.debian_reference):
            if client.images.list(name=reference):
                client.images.remove(reference)


def digest_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


class Registry(BaseHTTPRequestHandler):
    """A registry of one image, read only: what the engine asks of one in a pull."""

    blobs: ClassVar[dict[str, Path]] = {}
    manifest: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if self.path == "/v2/":
            self.answer("application/json", b"{}")
        elif "/manifests/" in self.path:
            self.answer("application/vnd.docker.distribution.manifest.v2+json", self.manifest)
        else:
            self.answer("application/octet-stream", self.blobs[name].read_bytes())

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("docker-content-digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.slow
def test_debian_from_a_registry_that_answers(
    client: docker.DockerClient, image: Image, recipes: Path, tmp_path: Path
) -> None:
    layer = tmp_path / "layer.tar"
    source = client.containers.create(_shared(recipes), network_mode="none")
    with layer.open("wb") as file:
        file.writelines(source.export())
    source.remove()
    rootfs = {"type": "layers", "diff_ids": [digest_of(layer)]}
    config = tmp_path / "config.json"
    machine = client.images.get(image.reference).attrs["Architecture"]
    config.write_text(json.dumps({"architecture": machine, "os": "linux", "config": {}, "rootfs": rootfs}))
    Registry.blobs = {digest_of(path): path for path in (config, layer)}
    named = [{"size": path.stat().st_size, "digest": digest} for digest, path in Registry.blobs.items()]
    kind = "application/vnd.docker"
    Registry.manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.distribution.manifest.v2+json",
            "config": {"mediaType": f"{kind}.container.image.v1+json", **named[0]},
            "layers": [{"mediaType": f"{kind}.image.rootfs.diff.tar", **named[1]}],
        }
    ).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pulled = f"127.0.0.1:{server.server_port}/debian:{recipes.name}"
        shared = yaml.safe_load((recipes / "base.yaml").read_text())
        shared.update(packages=[], registry_image=pulled)
        (recipes / "base.yaml").write_text(yaml.safe_dump(shared))
        said = list[str]()
        recipe = images.load_recipe(recipes.name, recipes)
        try:
            built = ImageStore(client, recipes).ensure_now(recipes.name, said.append)
            assert f"  pulled {pulled}" in said
            assert not [line for line in said if "debootstrap" in line]
            assert in_image(client, built.reference, "pwd; cat /etc/marker; echo $LANG") == "/app\nfirst\nC.UTF-8\n"
        finally:
            for reference in (recipe.reference, recipe.shared_reference, recipe.debian_reference, pulled):
                if client.images.list(name=reference):
                    client.images.remove(reference)
            server.shutdown()


def test_a_domain_without_a_recipe_is_made_of_the_packages_that_it_names(
    client: docker.DockerClient, recipes: Path
) -> None:
    name = f"d{secrets.token_hex(6)}"
    store = ImageStore(client, recipes, packages={name: ("hello",), recipes.name: ("never-used",), "none": ()})
    assert store.domains() == sorted([name, recipes.name])
    assert store.recipe(name).own.packages == ["hello"]
    assert "never-used" not in store.recipe(recipes.name).own.packages, "a recipe comes before packages"
    said: list[str] = []
    built = store.ensure_now(name, said.append)
    try:
        assert client.containers.run(built.reference, ["hello"], remove=True) == b"Hello, world!\n"
        assert built.reference not in [old.reference for old in store.superseded()]
        assert store.ensure_now(name, said.append) == built
    finally:
        client.images.remove(built.reference)
