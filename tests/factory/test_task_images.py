"""The base images of task folders are looked for as a run would: by recipe, or by the packages of their domain."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from envs.engine import Engine, owner
from envs.folder import EVIDENCE, SOURCE_NAME
from envs.images import BaseImageError
from envs.images.store import Image
from synth import task_images
from taxonomy.catalog import load_catalog
from trajectories.evaluation.tasks import FoundTask

pytestmark = pytest.mark.docker


class Store:
    """An `ImageStore` that has the image of a domain of packages at once, and of no other one."""

    def __init__(self, client: Any, packages: Mapping[str, Sequence[str]]) -> None:
        self.packages = packages

    async def ensure(self, domain: str, log: Any) -> Image:
        return Image(f"synth-base/{domain}:{len(self.packages[domain])}-packages", "sha256:1", 1)


@pytest.mark.usefixtures("base")
async def test_a_domain_of_packages_has_its_base_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_images, "ImageStore", Store)
    packages = load_catalog().packages
    wanted = f"synth-base/coding:{len(packages['coding'])}-packages"

    def task(reference: str) -> FoundTask:
        folder = tmp_path / reference.rpartition(":")[2]
        evidence = folder / EVIDENCE / SOURCE_NAME
        evidence.parent.mkdir(parents=True)
        evidence.write_text(json.dumps({"base": {"reference": reference, "id": "sha256:1"}}))
        return FoundTask("coding-1", "coding", folder, "sha256:2")

    async with Engine.connect(owner("test-task-images")) as engine:
        await task_images.ensure_bases([task(wanted)], engine, packages, print)
        with pytest.raises(BaseImageError, match="older"):
            await task_images.ensure_bases([task("synth-base/coding:older")], engine, packages, print)
