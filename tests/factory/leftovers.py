"""What a run may have left in the Docker engine."""

import docker

from envs.engine import LABEL
from envs.owner import run_of


def of_run(name: str) -> list[str]:
    """Containers and images whose owner is a run folder of this name."""
    client = docker.from_env()
    try:
        # One request each: other tests' containers and images go while they would be looked up one by one.
        containers = client.api.containers(all=True, filters={"label": LABEL})
        images = client.api.images(filters={"label": LABEL})
        labels = [(f"container {one['Names']}", one["Labels"]) for one in containers]
        labels += [(f"image {one['RepoTags']}", one["Labels"]) for one in images]
        return [what for what, label in labels if run_of(label[LABEL]).startswith(f"{name}-")]
    finally:
        client.close()
