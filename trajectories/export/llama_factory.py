"""`dataset_info.json`: tells LLaMA-Factory what the columns are, when its `dataset_dir` is the export's folder."""

from collections.abc import Mapping
from typing import Any

FILE = "dataset_info.json"

_SHARED = {"formatting": "sharegpt"}
_SHAPES: Mapping[str, dict[str, Any]] = {
    "messages": {
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
    "sharegpt": {
        "columns": {"messages": "conversations"},
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "human",
            "assistant_tag": "gpt",
            "system_tag": "system",
        },
    },
}
"""By our format; LLaMA-Factory calls both `sharegpt`. The other formats are none of its own."""


def dataset_info(files: Mapping[str, str]) -> dict[str, Any]:
    """The document, for the files of rows that there are.

    Args:
        files: our format, by file name, such as `messages.jsonl`.

    Returns:
        An entry for each file that LLaMA-Factory reads, named like the file without its ending, with underscores.
    """
    return {
        name.removesuffix(".jsonl").replace(".", "_").replace("-", "_"): {"file_name": name, **_SHARED, **_SHAPES[made]}
        for name, made in files.items()
        if made in _SHAPES
    }
