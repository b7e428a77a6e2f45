"""Task texts that no offline container can serve, for trying the feasibility judge."""

from random import Random

from synth.sim.vocabulary import Names
from synth.sim.wording import vary


def infeasible_task(rng: Random, focus: str) -> tuple[str, str, str, str, list[str]]:
    """Title, focus, objective, story and checklist of a task that cannot be done in one offline container."""
    names = Names(rng)
    project, owner = names.project, names.person()
    need, title, step = rng.choice(
        (
            (
                f"a cluster of {rng.choice((4, 8, 16))} A100 GPUs on which a model of its work is trained",
                f"Train a failure predictor for {project.title} on the GPU cluster",
                "Start the distributed training on all GPUs and watch the loss",
            ),
            (
                "the company's AWS account, where everything lies in an S3 bucket",
                f"Move all of {project.title} into the AWS account",
                "Log in to the AWS console and create the bucket policy",
            ),
            (
                "a GitHub organisation with paid seats, and the API token of its owner",
                f"Migrate {project.title} to a new GitHub organisation",
                "Create the organisation on github.com and invite the team",
            ),
            (
                "a 400 GB mirror that has to be downloaded from the internet first",
                f"Mirror everything on {project.title} from the internet",
                "Download all of it from the public internet over night",
            ),
            (
                "the hardware signing token in the safe of the head office",
                f"Sign the releases of {project.title} with the hardware token",
                "Plug the USB signing token into the build host and enter its PIN",
            ),
        )
    )
    opening = vary(
        rng,
        f"[{owner.name} of the {names.team} team|The {names.team} team around {owner.name}] [wants|needs] {need}"
        f" [for|in the service of] the {project.purpose} in {names.folder}.",
    )
    steps = [
        f"[Look at|Inspect] what lies in {names.folder}",
        step,
        f"[Write down|Record] what changed for {project.subject}",
        f"[Ask|Write to] {owner.first} for [approval|a go-ahead]",
        f"[Roll out|Publish] the outcome to {rng.randrange(3, 40)} sites",
        "[Compare|Check] the [numbers|figures] [with last month|once more]",
        f"Report [back|] to the {names.team} team",
    ]
    return (
        title,
        focus,
        vary(rng, f"[Use|Make use of] {need} [to serve|on behalf of] {project.slug}."),
        vary(rng, f"{opening} [It has been promised for months.|Nobody has done it before.] [The rest is up to you.|]"),
        [vary(rng, item) for item in steps],
    )
