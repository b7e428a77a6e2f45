"""Upload an export to the Hugging Face hub, or say what would be uploaded where there is no token."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trajectories.export.order import ExportError


class PushFailed(Exception):
    """The hub did not take the upload; one line, without any secret."""


@dataclass(frozen=True)
class Pushed:
    """What an upload did, or would do."""

    repo: str
    uploaded: bool
    """False for a dry run: no token was found."""
    files: dict[str, int]
    """Bytes by path in the repository."""
    url: str | None = None
    """Of the commit."""


def check_repo(repo: str) -> None:
    """See that a name can be one of a dataset on the hub.

    Raises:
        ExportError: it cannot.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ExportError(f"--push {repo}: no name of a dataset on the hub: {error}") from None


def push(files: Mapping[str, Path], repo: str, message: str) -> Pushed:
    """Upload exactly the files of an export as one commit; a dataset that is not there is made, private.

    The token is the one that `hf auth login` or HF_TOKEN left. Without one nothing is sent, and what would be sent is
    returned.

    Args:
        files: as `write_rows` returned them: files, and folders whose names end in a slash, all in one folder.
        repo: `owner/name`, or a name of one's own.
        message: of the commit.

    Raises:
        ExportError: the name cannot be one of a dataset.
        PushFailed: the hub refused, or is not there.
    """
    from huggingface_hub import HfApi, get_token

    check_repo(repo)
    sizes = _sizes(files)
    token = get_token()
    if not token:
        return Pushed(repo, False, sizes)
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    folder = next(iter(files.values())).parent
    api = HfApi(token=token)
    try:
        made = api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        done = api.upload_folder(
            repo_id=made.repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=sorted(sizes),
            commit_message=message,
        )
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        said = " ".join(str(error).split()).replace(token, "[token]")
        raise PushFailed(f"{repo}: not uploaded: {type(error).__name__}: {said[:300]}") from None
    return Pushed(made.repo_id, True, sizes, str(done.commit_url))


def _sizes(files: Mapping[str, Path]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, path in sorted(files.items()):
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file():
                inside = each.relative_to(path).as_posix() if path.is_dir() else ""
                sizes[f"{name}{inside}"] = each.stat().st_size
    return sizes
