"""What four trainers ask of a row, written down from their published sources, for those that are not installed here.

Each `*_reads` takes a row as the trainer's loader would and returns what it makes of it, or raises `Refused` where the
trainer would skip the row or stop. Facts, not code:

- LLaMA-Factory (hiyouga/LLaMA-Factory, data/README.md and src/llamafactory/data/{parser,converter}.py): an entry of
  `dataset_info.json` has `file_name`, `formatting` (alpaca or sharegpt), `ranking`, `columns` and `tags`; with `tags`
  given, a tag that is left out is none. After an optional system message, user and assistant take turns, the user
  first, and their number is even; any other row is skipped with a warning.
- axolotl (axolotl-ai-cloud/axolotl, src/axolotl/utils/schemas/datasets.py, docs/dataset_loading.qmd and
  docs/dataset-formats): `path` is a file or folder, `ds_type` json, csv, parquet or arrow; `type: chat_template` reads
  `field_messages` (default `messages`) with `message_property_mappings` (default role: role, content: content); roles
  map by default from human and user, gpt and assistant, system, tool; `field_tools` (default `tools`) is a list of
  dicts where there is one.
- ms-swift (modelscope/ms-swift, docs/source_en/Customization/Custom-dataset.md): `messages` of role and content, the
  roles system, user, assistant and those of tools; other keys than its own are removed by default.
- prime-rl (PrimeIntellect-ai/prime-rl, src/prime_rl/trainer/sft/data.py): `messages`, or both `prompt` and
  `completion`; roles user, assistant, system, tool, and any other stops it; `tools` a JSON string or a list, empty for
  none.
"""

from collections.abc import Mapping
from typing import Any

ENTRY_KEYS = {"file_name", "formatting", "ranking", "subset", "split", "folder", "num_samples", "columns", "tags"}
COLUMN_KEYS = {"prompt", "query", "response", "history", "messages", "system", "tools", "images", "videos", "audios",
               "chosen", "rejected", "kto_tag"}  # fmt: skip
TAG_KEYS = {"role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag"}
DEFAULT_TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
                "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system"}  # fmt: skip
AXOLOTL_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system",
                 "tool": "tool"}  # fmt: skip
AXOLOTL_KEYS = {"path", "ds_type", "data_files", "name", "split", "type", "chat_template", "field_messages",
                "field_tools", "message_property_mappings", "roles", "roles_to_train", "train_on_eos"}  # fmt: skip
SWIFT_ROLES = {"system", "user", "assistant", "tool_call", "tool_response", "tool"}
PRIME_ROLES = {"user", "assistant", "system", "tool"}


class Refused(Exception):
    """The trainer would skip the row or stop."""


def llama_factory_reads(entry: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """System prompt, prompt and response, as SFT takes them."""
    if set(entry) - ENTRY_KEYS or set(entry.get("columns", {})) - COLUMN_KEYS or set(entry.get("tags", {})) - TAG_KEYS:
        raise Refused(f"unknown keys in {entry}")
    if entry.get("formatting", "alpaca") != "sharegpt":
        raise Refused("rows of turns are of the formatting sharegpt")
    tags = dict.fromkeys(TAG_KEYS) | entry["tags"] if "tags" in entry else DEFAULT_TAGS
    turns = list(row[entry.get("columns", {}).get("messages", "conversations")])
    system = ""
    if tags["system_tag"] and turns and turns[0][tags["role_tag"]] == tags["system_tag"]:
        system = turns.pop(0)[tags["content_tag"]]
    for place, turn in enumerate(turns):
        odd = {tags["user_tag"], tags["observation_tag"]}
        even = {tags["assistant_tag"], tags["function_tag"]}
        if turn[tags["role_tag"]] not in (odd, even)[place % 2] - {None}:
            raise Refused(f"message {place} is by {turn[tags['role_tag']]}")
    if not turns or len(turns) % 2:
        raise Refused(f"{len(turns)} messages")
    texts = [turn[tags["content_tag"]] for turn in turns]
    return {"system": system, "prompt": texts[:-1], "response": texts[-1]}


def axolotl_reads(config: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages that go into the chat template."""
    if set(config) - AXOLOTL_KEYS:
        raise Refused(f"unknown keys in {config}")
    if config.get("type") != "chat_template" or config.get("ds_type") not in ("json", "csv", "parquet", "arrow"):
        raise Refused("turns are read by type: chat_template, out of a file of a known kind")
    properties = {"role": "role", "content": "content"} | config.get("message_property_mappings", {})
    tools = row.get(config.get("field_tools", "tools"))
    if tools and not all(isinstance(tool, dict) for tool in tools):
        raise Refused("tools is a list of dicts")
    messages = []
    for message in row[config.get("field_messages", "messages")]:
        role = AXOLOTL_ROLES.get(message[properties["role"]])
        if role is None or not isinstance(message[properties["content"]], str):
            raise Refused(f"no role or no text in {message}")
        messages.append({"role": role, "content": message[properties["content"]]})
    return messages


def swift_reads(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages of the standard format."""
    messages = row.get("messages")
    if not messages:
        raise Refused("messages is required")
    for message in messages:
        if message["role"] not in SWIFT_ROLES or not isinstance(message["content"], str):
            raise Refused(f"no role or no text in {message}")
    if messages[-1]["role"] != "assistant":
        raise Refused("nothing to learn: the last message is not the assistant's")
    return list(messages)


def prime_reads(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages of a sample."""
    if "messages" in row:
        messages = list(row["messages"])
    elif "prompt" in row and "completion" in row:
        messages = [*row["prompt"], *row["completion"]]
    else:
        raise Refused("neither messages nor prompt and completion")
    for message in messages:
        if message["role"] not in PRIME_ROLES:
            raise Refused(f"invalid role {message['role']}")
    if not isinstance(row.get("tools") or [], list | str):
        raise Refused("tools is a list or a JSON string")
    return messages
