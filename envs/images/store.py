"""Base images in the Docker engine: found by content digest, or built once on demand."""

import asyncio
import fcntl
import io
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import docker
import docker.errors
from docker.models.containers import Container

from envs.engine import CAPABILITIES_LABEL
from envs.images.debian import BaseImageError, Log, debootstrap, pull, short
from envs.images.recipe import RULE, Layer, Recipe, known_domains, load_recipe
from envs.reaper import BASE_LABEL

BUILDER = "synth-base-build"
"""Name of the container in which an image is made. A label would be inherited by every container of that image."""

RECORD = "/etc/synth-image.json"
"""File in the image that names it and the version of every package in it."""

PROXIES = ("http_proxy", "https_proxy", "no_proxy")

INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
cat > /etc/dpkg/dpkg.cfg.d/synth <<'END'
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
END
apt-get update -q
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@"
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /tmp/* /var/tmp/*
find /var/log -type f -delete
"""


class Image(NamedTuple):
    """A base image that is in the engine."""

    reference: str
    """`synth-base/<domain>:<digest of the recipe>`."""
    id: str
    """The engine's `sha256:...`."""
    size: int
    """Bytes, the shared layer included."""


class ImageStore:
    """The base images of one Docker engine.

    Args:
        client: a Docker SDK client; a build may keep a request open for more than a minute on a slow disk.
        recipes: folder of the recipes; the package's own when None.
        locks: folder of the lock file that keeps two processes from building at once.
        packages: Debian packages by domain, for domains that have no recipe of their own.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        recipes: Path | None = None,
        locks: Path | None = None,
        packages: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._client = client
        self._recipes = recipes
        self._packages = packages or {}
        self._locks = locks or Path(tempfile.gettempdir()) / f"synth-{os.getuid()}"

    def domains(self) -> list[str]:
        """Domains that have a base image recipe, sorted."""
        named = {domain for domain, packages in self._packages.items() if packages}
        return sorted(named.union(known_domains(self._recipes)))

    def recipe(self, domain: str) -> Recipe:
        """What the domain's base image is made of.

        Raises:
            RecipeError: there is no usable recipe for it.
        """
        return load_recipe(domain, self._recipes, self._packages.get(domain, ()))

    def reference(self, domain: str) -> str:
        """Name of the domain's base image, whether it is there or not; errors as `recipe`."""
        return self.recipe(domain).reference

    def status(self, domain: str) -> Image | None:
        """The domain's base image if the engine has it; errors as `recipe`."""
        return self._find(self.reference(domain))

    def superseded(self) -> list[Image]:
        """Base images of synth that no recipe names any more (of this checkout; another may still use them)."""
        current = set[str]()
        for domain in self.domains():
            recipe = self.recipe(domain)
            current |= {recipe.debian_reference, recipe.shared_reference, recipe.reference}
        # Not `images.list`: it looks each image up after listing them, when another process may have removed it.
        return [
            Image(tag, str(image["Id"]), int(image["Size"]))
            for image in self._client.api.images(name="synth-base/*")
            for tag in image["RepoTags"] or []
            if tag not in current and not tag.startswith("<none>")
        ]

    async def ensure(self, domain: str, log: Log) -> Image:
        """`ensure_now` in a worker thread."""
        return await asyncio.to_thread(self.ensure_now, domain, log)

    def ensure_now(self, domain: str, log: Log) -> Image:
        """Give the domain's base image; build it first where the engine does not have it.

        Args:
            domain: key of the domain.
            log: is told each step in one line; nothing when the image is there.

        Raises:
            RecipeError: there is no usable recipe for the domain.
            BaseImageError: it cannot be built here; `mend` says what to do.
        """
        recipe = self.recipe(domain)
        found = self._find(recipe.reference)
        if found is not None:
            return found
        try:
            with self._alone(log):
                shared = self._find(recipe.shared_reference) or self._make_shared(recipe, log)
                return self._find(recipe.reference) or self._add(recipe.own, shared.id, recipe.reference, log)
        except (docker.errors.DockerException, subprocess.CalledProcessError, OSError) as error:
            why = getattr(error, "explanation", None) or error
            problem = f"{recipe.reference} could not be built: {short(str(why), 500)}"
            mend = "see the Docker engine's log and the free disk, then `make setup` again"
            raise BaseImageError(problem, mend) from error

    def _find(self, reference: str) -> Image | None:
        try:
            image = self._client.images.get(reference)
        except docker.errors.ImageNotFound:
            return None
        return Image(reference, str(image.id), int(image.attrs["Size"]))

    @contextmanager
    def _alone(self, log: Log) -> Iterator[None]:
        self._locks.mkdir(parents=True, exist_ok=True)
        with (self._locks / "base-images.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log("base images: another process is building; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever holds the lock is the only builder: what is left of another one died with its process.
            for left in self._client.containers.list(all=True, filters={"name": f"^/{BUILDER}$"}, ignore_removed=True):
                left.remove(force=True)
            yield

    def _make_shared(self, recipe: Recipe, log: Log) -> Image:
        shared = recipe.shared
        debian = recipe.debian_reference
        if self._find(debian) is None:
            log(f"base images: Debian {shared.suite} for the shared layer")
            if not pull(self._client, shared, debian, log):
                debootstrap(self._client, shared, debian, log)
        settings = [
            *(f"ENV {name}={json.dumps(value)}" for name, value in shared.environment.items()),
            f"WORKDIR {shared.workdir}",
        ]
        return self._add(shared, debian, recipe.shared_reference, log, settings)

    def _add(self, layer: Layer, below: str, reference: str, log: Log, settings: Sequence[str] = ()) -> Image:
        """Put a layer on an image and name the result.

        Args:
            layer: what to install.
            below: id or name of the image to start from.
            reference: name of the result.
            settings: Dockerfile instructions for the result's configuration; it keeps those of `below` otherwise.
        """
        log(f"base images: building {reference}: {layer.about}")
        started = time.monotonic()
        container = self._client.containers.run(
            below,
            ["sleep", "infinity"],
            detach=True,
            # An engine without a working bridge can still build; tasks get no network anyway.
            network_mode="host",
            name=BUILDER,
            hostname="synth",
        )
        try:
            if layer.packages:
                _install(container, layer)
            record = {"reference": reference, "rule": RULE, "packages": _packages(container)}
            container.put_archive("/", _tar({**layer.files, RECORD: json.dumps(record, indent=1) + "\n"}))
            for probe in layer.probes:
                _run(container, f"({probe}) >/dev/null </dev/null", f"the new image fails its probe `{probe}`")
            container.stop(timeout=0)
            repository, tag = reference.rsplit(":", 1)
            changes = [*settings, 'CMD ["bash"]', f"LABEL {BASE_LABEL}={reference}"]
            if layer.capabilities:
                changes.append(f"LABEL {CAPABILITIES_LABEL}={','.join(layer.capabilities)}")
            made = container.commit(repository, tag, changes=changes)
        finally:
            container.remove(force=True)
        image = Image(reference, str(made.id), int(made.attrs["Size"]))
        log(f"  {reference} is ready: {image.size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s")
        return image


def _install(container: Container, layer: Layer) -> None:
    proxies = {name: os.environ[name] for name in PROXIES if name in os.environ}
    packages = " ".join(layer.packages)
    _run(container, f"set -- {packages}\n{INSTALL}", "apt-get in the new image failed", proxies)


def _packages(container: Container) -> dict[str, str]:
    """Version of every Debian package in the container."""
    listed = _run(container, "dpkg-query -W -f '${Package}\\t${Version}\\n'", "dpkg-query failed")
    return dict(line.split("\t") for line in listed.splitlines())


def _run(container: Container, script: str, problem: str, environment: dict[str, str] | None = None) -> str:
    """Run a script of ours as root in the container.

    Raises:
        BaseImageError: it exits with anything but 0; the message ends with its last lines.
    """
    result = container.exec_run(["sh", "-euc", script], environment=environment)
    output = cast(bytes, result.output).decode(errors="replace")
    if result.exit_code != 0:
        last = short(" / ".join(output.strip().splitlines()[-3:]))
        mend = "see that containers reach a Debian mirror (try: apt-get update), then `make setup` again"
        raise BaseImageError(f"{problem}: {last}", mend)
    return output


def _tar(files: dict[str, str]) -> bytes:
    """Text files by absolute path, owned by root, as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
