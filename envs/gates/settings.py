"""How the gates run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from envs import folder as task_folder
from envs.engine import Limits


@dataclass(frozen=True)
class GateSettings:
    """How the gates run. The defaults are ours; what differs is what other people's folders ask for."""

    repeats: int = 2
    """How often the reference must score 1."""
    script_seconds: float = 300.0
    """Time limit of a solution, partial or wrong script."""
    tests_seconds: float = task_folder.VERIFIER_SECONDS
    build_network: bool = False
    """Whether RUN instructions get a network; ours need none, other people's folders may."""
    image: str | None = None
    """Run in this image of the engine's and build none; it is never removed."""
    network: bool = False
    """Whether the gates' containers get a network. What passes only so is no environment of ours."""
    script_user: str | int | None = None
    """Who runs solutions and other scripts; None is the image's own user."""
    tests_user: str | int | None = None
    """Who runs the tests; None is the image's own user."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of every command in them."""
    workdir: str | None = None
    """Of every command in them; None is the image's own."""
    limits: Limits | None = None
    """None is the engine's."""
