"""The worker that asks a student in vLLM, in process. Run by the student's Python; imports nothing of ours.

    python vllm_worker.py SETTINGS.json

Settings: `model` and what else `vllm.LLM` is given (`engine`); `prompts`, a JSONL file of `key` and `prompt`, asked in
the file's order; `sampling`, as `vllm.SamplingParams` takes it; `end_of_turn`, the token at which an answer ends;
`schema`, a JSON schema that answers have to keep to, or null.

Lines out: the versions; `loaded` with the seconds and the model length; for each prompt its `key` with `text` and token
counts, as each is finished, or with `skipped`. The official vLLM on a GPU and its CPU build go one way here.
"""

import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# One process, so that the same prompts are scheduled in the same way; and nobody outside is told of the run.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")

AHEAD = 512
"""Prompts that the engine is given beyond what it has answered: enough for its largest batch, few enough to hold."""


def main(settings: dict[str, Any]) -> None:
    """Load the model, ask everything, and say each answer as it comes."""
    say({"versions": versions()})
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]
    from vllm.platforms import current_platform  # type: ignore[import-not-found]

    began = time.monotonic()
    given = dict(settings["engine"])
    if current_platform.is_cpu():
        given["enforce_eager"] = True
        # GiB of the cache; otherwise it takes nearly all memory of the machine.
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    if settings["schema"] is not None:
        # Weak models write blanks without end where a grammar lets them.
        given["structured_outputs_config"] = {"backend": "xgrammar", "disable_any_whitespace": True}
    try:
        llm = LLM(model=settings["model"], **given)
    except (ValueError, OSError) as error:
        say({"refused": f"vLLM does not load {settings['model']}: {' '.join(str(error).split())[:400]}"})
        return
    longest = llm.llm_engine.model_config.max_model_len
    say({"loaded": {"seconds": round(time.monotonic() - began, 2), "max_model_len": longest}})

    tokenizer = llm.get_tokenizer()
    sampling = dict(settings["sampling"])
    end = tokenizer.encode(settings["end_of_turn"], add_special_tokens=False)
    if len(end) == 1:
        sampling["stop_token_ids"] = end
    else:
        sampling["stop"] = [settings["end_of_turn"]]
    if settings["schema"] is not None:
        from vllm.sampling_params import StructuredOutputsParams  # type: ignore[import-not-found]

        sampling["structured_outputs"] = StructuredOutputsParams(json=settings["schema"])
    engine = llm.llm_engine
    keys: dict[str, list[Any]] = {}
    with Path(settings["prompts"]).open(encoding="utf-8") as file:
        waiting = True
        while waiting or engine.has_unfinished_requests():
            while waiting and len(keys) < AHEAD:
                line = file.readline()
                if not line:
                    waiting = False
                    break
                asked = json.loads(line)
                ids = tokenizer.encode(asked["prompt"], add_special_tokens=False)
                if len(ids) + sampling["max_tokens"] > longest:
                    say({"key": asked["key"], "skipped": "too-long", "prompt_tokens": len(ids)})
                    continue
                name = json.dumps(asked["key"])
                keys[name] = asked["key"]
                engine.add_request(name, {"prompt_token_ids": ids}, SamplingParams(**sampling))
            if engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        say({"key": keys.pop(output.request_id), **answer(output)})


def answer(output: Any) -> dict[str, Any]:
    """What is said of a finished request."""
    first = output.outputs[0]
    return {
        "text": first.text,
        "prompt_tokens": len(output.prompt_token_ids),
        "completion_tokens": len(first.token_ids),
        "cached_tokens": output.num_cached_tokens,
        "finish_reason": first.finish_reason,
    }


def versions() -> dict[str, str]:
    """Of what bears on the answers. The CPU build of vLLM goes by another name."""
    found = {"python": sys.version.split()[0]}
    for name in ("vllm", "vllm-cpu", "torch", "transformers", "xgrammar"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def say(said: dict[str, Any]) -> None:
    """One line to whoever started this."""
    OUT.write(json.dumps(said) + "\n")
    OUT.flush()


if __name__ == "__main__":
    OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print, and their processes, is for the log
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
