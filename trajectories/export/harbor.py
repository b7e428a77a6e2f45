"""A Harbor dataset: proven task folders, copied whole with their certificates, and the manifest that names them.

Harbor loads the folder as it is (`harbor run --path FOLDER`); `dataset.toml` pins each task by Harbor's own content
hash, for whoever publishes it.
"""

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

MANIFEST = "dataset.toml"
ORGANISATION = "synth"


def write_harbor(tasks: Mapping[str, Path], folder: Path, name: str) -> None:
    """Copy task folders into an empty or missing folder and write `dataset.toml`.

    Args:
        tasks: task folders by task id.
        folder: gets `<task id>/` for each, and the manifest.
        name: of the dataset, without its organisation; characters that Harbor does not take become hyphens.
    """
    from harbor.models.dataset.manifest import DatasetInfo, DatasetManifest, DatasetTaskRef
    from harbor.publisher.packager import Packager

    folder.mkdir(parents=True, exist_ok=True)
    references = []
    for task_id in sorted(tasks):
        copy = folder / task_id
        shutil.copytree(tasks[task_id], copy)
        named = tomllib.loads((copy / "task.toml").read_text(encoding="utf-8")).get("task", {}).get("name")
        digest, _ = Packager.compute_content_hash(copy)
        references.append(DatasetTaskRef(name=named or f"{ORGANISATION}/{task_id}", digest=f"sha256:{digest}"))
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "-" for letter in name)
    info = DatasetInfo(
        name=f"{ORGANISATION}/{plain.strip('-_') or 'dataset'}", description="Proven tasks; each has its certificate."
    )
    manifest = DatasetManifest(dataset=info, tasks=references)
    (folder / MANIFEST).write_text(manifest.to_toml(), encoding="utf-8")
