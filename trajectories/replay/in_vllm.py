"""A student in vLLM, in a worker process of the student's own Python."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from trajectories.replay import vllm_worker
from trajectories.replay.ask import ACTION, NEUTRAL, SAMPLING, weights_of
from trajectories.replay.progress import Progress
from trajectories.replay.result import Prediction
from trajectories.replay.step import Step
from trajectories.template import StudentTemplate
from trajectories.worker import run_worker


class VllmStudent:
    """See `ask.Student`."""

    backend: Literal["vllm", "endpoint"] = "vllm"

    def __init__(
        self,
        model: str,
        template: StudentTemplate,
        python: Path,
        *,
        tokenizer: str | None = None,
        max_tokens: int,
        max_model_len: int | None = None,
        dtype: str = "auto",
        tp: int = 1,
        structured: bool = False,
        engine: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Describe the student; nothing is loaded before it is asked.

        Args:
            model: a folder, or a name on the Hugging Face hub.
            template: renders the prompts.
            python: the interpreter that has vLLM.
            tokenizer: where that of the template lies, when not with the model.
            max_tokens: of an answer.
            max_model_len: tokens of prompt and answer; the model's own by default.
            dtype: of weights and activations, as vLLM names them.
            tp: GPUs that share each layer.
            structured: hold answers to the action's JSON schema.
            engine: further arguments of `vllm.LLM`.
        """
        folder = Path(model).expanduser()
        self.audit = template.audit
        self.identity = weights_of(folder) if folder.is_dir() else None
        self.settings: Mapping[str, JsonValue] = {
            **SAMPLING,
            **NEUTRAL,
            "max_tokens": max_tokens,
            "structured": structured,
            "max_model_len": max_model_len,
            "dtype": dtype,
            "tp": tp,
        }
        self._model = str(folder.absolute()) if folder.is_dir() else model
        self._template, self._python = template, python
        self._engine: dict[str, JsonValue] = {
            "dtype": dtype,
            "tensor_parallel_size": tp,
            **({} if max_model_len is None else {"max_model_len": max_model_len}),
            **({} if tokenizer is None else {"tokenizer": tokenizer}),
            **(engine or {}),
        }

    def ask(self, steps: Sequence[Step], progress: Progress) -> None:
        """See `ask.Student`.

        Raises:
            StudentMissing, WorkerFailed, WorkerRefused: see `worker.run_worker`.
            TokenizerUnusable: the template does not take a step's messages.
        """
        folder = progress.folder / "worker"
        folder.mkdir(exist_ok=True)
        prompts = folder / "prompts.jsonl"
        said_versions: dict[str, str] = {}

        def on_line(said: dict[str, Any]) -> None:
            if "loaded" in said:
                progress.begun(said["loaded"]["seconds"], said["loaded"]["max_model_len"])
            elif "skipped" in said:
                task, sample, step = said["key"]
                progress.set_aside((task, sample, step), said["prompt_tokens"])
            else:
                task, sample, step = said.pop("key")
                progress.answered(Prediction(task_id=task, sample_idx=sample, step_idx=step, **said))

        try:
            with prompts.open("w", encoding="utf-8") as file:
                for step in steps:
                    asked = {"key": step.key, "prompt": self._template.prompt(step.messages)}
                    file.write(json.dumps(asked) + "\n")
            said_versions = run_worker(
                self._python, Path(vllm_worker.__file__), self._worker_settings(prompts), folder, on_line
            )
        finally:
            prompts.unlink(missing_ok=True)
            progress.made_with(said_versions)

    def _worker_settings(self, prompts: Path) -> Mapping[str, Any]:
        return {
            "model": self._model,
            "engine": self._engine,
            "prompts": str(prompts.absolute()),
            "sampling": {**SAMPLING, **NEUTRAL, "max_tokens": self.settings["max_tokens"]},
            "end_of_turn": self._template.end_of_turn,
            "schema": ACTION if self.settings["structured"] else None,
        }
