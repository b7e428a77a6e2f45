"""Removing what dead owners left in the Docker engine."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.errors import EngineError, ImageMissing
from envs.owner import LABEL, alive, run_of
from envs.sdk import Sdk

BASE_LABEL = "synth.base"
"""Of a base image, and so of all that is built upon it: the base image's name."""

HALF_BUILT_S = 60.0
"""How old an image between two instructions of a build must be before its build is taken for dead: the next
instruction of a living one follows within milliseconds, as only the last, the owner's label, comes after the files."""


_MEANWHILE = "unrecognized image ID"
"""What the engine says where somebody else removes the same image, or one that it stands on, in the same moment."""


@dataclass(frozen=True)
class Reaped:
    """How much a reaper removed."""

    containers: int = 0
    images: int = 0
    networks: int = 0


async def reap(sdk: Sdk, owner: str, run_id: str | None = None, *, own: bool = False) -> Reaped:
    """Remove what dead owners left: containers, environment images, networks. What a living owner has stays.

    Args:
        sdk: the engine to go through.
        owner: who asks.
        run_id: of this run only; None is of any.
        own: also what the asking owner has, whether it lives or not.
    """

    def condemned(labels: Mapping[str, str] | None) -> bool:
        text = (labels or {}).get(LABEL, "")
        if not text:
            return False
        if text == owner:
            return own
        return (run_id is None or run_of(text) == run_id) and not alive(text)

    labelled = {"label": LABEL}
    containers = [c for c in await sdk.call(sdk.api.containers, all=True, filters=labelled) if condemned(c["Labels"])]
    for container in containers:
        await remove_container(sdk, container["Id"])
    # Not by name: an image whose build was killed before it was named has the label alone.
    images = [i for i in await sdk.call(sdk.api.images, filters=labelled) if condemned(i["Labels"])]
    for image in images:
        tags = [tag for tag in image["RepoTags"] or [] if tag != "<none>:<none>"]
        for reference in tags or [image["Id"]]:
            await remove_image(sdk, reference)
    for image in await sdk.call(sdk.api.images, filters={"dangling": True}):
        if _half_built(image) and await _remove_unused(sdk, image["Id"]):
            images.append(image)
    networks = [n for n in await sdk.call(sdk.api.networks, filters=labelled) if condemned(n["Labels"])]
    for network in networks:
        await sdk.call(sdk.api.remove_network, network["Id"])
    return Reaped(len(containers), len(images), len(networks))


def _half_built(image: Mapping[str, Any]) -> bool:
    """Whether a build that was killed left it: the owner's label comes with a build's last instruction."""
    labels = image["Labels"] or {}
    return BASE_LABEL in labels and LABEL not in labels and time.time() - float(image["Created"]) > HALF_BUILT_S


async def remove_container(sdk: Sdk, name: str) -> None:
    """Remove a container, running or not; that there is none of this name does no harm."""
    try:
        await sdk.call(sdk.api.remove_container, name, force=True, v=True)
    except ImageMissing:
        return
    except EngineError as error:
        if "already in progress" not in str(error):
            raise


async def remove_image(sdk: Sdk, reference: str) -> None:
    """Remove an image; that there is none of this name does no harm."""
    try:
        await sdk.call(sdk.api.remove_image, reference, force=True)
    except ImageMissing:
        return
    except EngineError as error:
        if _MEANWHILE not in str(error):
            raise


async def _remove_unused(sdk: Sdk, reference: str) -> bool:
    """Remove an image unless a container, such as a long build's, stands on it."""
    try:
        await sdk.call(sdk.api.remove_image, reference)
    except ImageMissing:
        return False
    except EngineError as error:
        if "conflict" not in str(error) and _MEANWHILE not in str(error):
            raise
        return False
    return True
