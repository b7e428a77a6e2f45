"""Terminus-2 with a way out: a subclass of Harbor's agent that stops where the original goes on without end.

Harbor makes it by its import path, `trajectories.agent:SynthTerminus`. Prompts, parser and the order of things stay
Harbor's. What is added:

- the model is reached through `GatewayLLM`: one request an answer, no retry here (the gateway alone retries);
- every ending is the agent's own and is named: see `trajectories.record.Ended`;
- everything sent, received and seen is written to the evidence file while it happens. That file is not in Harbor's
  logs folder: what the container has under `/logs/agent` is copied over that one.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harbor.agents.terminus_2.terminus_2 import Command as HarborCommand
from harbor.agents.terminus_2.terminus_2 import Terminus2, Terminus2Options
from harbor.agents.terminus_2.terminus_json_plain_parser import ParseResult, TerminusJSONPlainParser
from harbor.environments.base import BaseEnvironment
from harbor.llms.base import BaseLLM, ContextLengthExceededError, LLMResponse, OutputLengthExceededError
from harbor.llms.chat import Chat
from harbor.models.agent.context import AgentContext
from harbor.models.metric import UsageInfo
from harbor.models.trial.paths import EnvironmentPaths
from pydantic import Field, SecretStr

from trajectories import loops
from trajectories.evidence import EvidenceLog
from trajectories.loops import LoopRule, Move
from trajectories.record import Command, Ended
from trajectories.terminal import Terminal, TerminalError

_CONTEXT_SIGNS = (
    "context_length_exceeded",
    "context length",
    "context window",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
)
"""What servers say when a conversation no longer fits; compared in lower case with the body of a 400 or 413."""


class Stop(Exception):
    """The agent comes to an ending of its own."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended


class SynthOptions(Terminus2Options):
    """Terminus-2's options and ours; what `AgentConfig.kwargs` may hold."""

    token: SecretStr = Field(description="Token of this trial; written nowhere.")
    evidence: str = Field(description="Path of the evidence file to write, see trajectories.evidence.")
    seed: int = Field(description="Sent as `seed` with every request.")
    top_p: float | None = Field(default=None, description="Sampling top_p. Omit to use the server's default.")
    max_tokens: int | None = Field(default=None, description="Output limit of one answer.")
    request_seconds: float = Field(default=900.0, description="Longest wait for one answer, the gateway's retries in.")
    parse_failures: int = Field(default=3, description="Unreadable answers in a row that end the trial.")
    truncated_answers: int = Field(default=3, description="Cut-off answers in a row that end the trial.")
    settle_seconds: float = Field(default=1.0, description="Longest wait for the prompt beyond what was asked for.")
    loop: LoopRule = Field(default=LoopRule(), description="When repetition ends the trial.")


class GatewayLLM(BaseLLM):
    """One chat model behind an OpenAI-compatible server, asked once for each answer."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        model: str,
        parameters: Mapping[str, Any],
        seconds: float,
        log: EvidenceLog,
    ) -> None:
        """Hold what is needed; the connection is made with the first call.

        Args:
            base_url: the server, with `/v1`.
            token: sent as bearer token.
            model: name that requests carry.
            parameters: further fields of every request: `seed`, `temperature`, `top_p`, `max_tokens`.
            seconds: longest wait for one answer.
            log: gets an `answer` event for each answer.
        """
        super().__init__()
        self._base_url = base_url
        self._token = token
        self._model = model
        self._parameters = dict(parameters)
        self._seconds = seconds
        self._log = log
        self._client: Any = None

    def _connect(self) -> Any:
        import ssl

        import httpx
        from openai import AsyncOpenAI

        # For the loopback gateway: no proxy, and no certificates (loading them costs 30 ms of CPU a client).
        plain = self._base_url.startswith("http://")
        verify: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True
        timeout = httpx.Timeout(self._seconds, connect=10.0)
        return AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._token.get_secret_value(),
            max_retries=0,
            timeout=timeout,
            http_client=httpx.AsyncClient(verify=verify, trust_env=not plain, timeout=timeout),
        )

    async def call(self, prompt: str, message_history: Sequence[Mapping[str, Any]] = (), **_: Any) -> LLMResponse:
        """Send the history and the prompt, and return the answer.

        Raises:
            ContextLengthExceededError: the server says that the conversation is too long.
            OutputLengthExceededError: the answer was cut off at the output limit; carries what there is of it.
            openai.APIError: anything else that the server or the network did.
        """
        import openai

        if self._client is None:
            self._client = self._connect()
        began = time.monotonic()
        try:
            completion = await self._client.chat.completions.create(
                model=self._model, messages=[*message_history, {"role": "user", "content": prompt}], **self._parameters
            )
        except openai.APIStatusError as error:
            said = f"{error.message} {error.body}".lower()
            if error.status_code in (400, 413) and any(sign in said for sign in _CONTEXT_SIGNS):
                raise ContextLengthExceededError(error.message) from error
            raise
        seconds = time.monotonic() - began
        choice = completion.choices[0]
        content = _storable(choice.message.content or "")
        reasoning = getattr(choice.message, "reasoning_content", None) or getattr(choice.message, "reasoning", None)
        truncated = choice.finish_reason == "length"
        usage = _usage(completion.usage)
        self._log.write(
            "answer",
            prompt=prompt,
            content=content,
            reasoning=_storable(reasoning) if isinstance(reasoning, str) else None,
            truncated=truncated,
            model=completion.model or None,
            tokens={"prompt": usage.prompt_tokens, "completion": usage.completion_tokens, "cached": usage.cache_tokens},
            seconds=round(seconds, 3),
        )
        if truncated:
            raise OutputLengthExceededError("the answer was cut off at the output limit", truncated_response=content)
        return LLMResponse(content=content, reasoning_content=reasoning, model_name=completion.model, usage=usage)

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def get_model_context_limit(self) -> int:
        """Unknown here; only summarising asks, and that is off."""
        return 1_000_000

    def get_model_output_limit(self) -> int | None:
        """The limit that requests carry, if they do; the model is told it after a cut-off answer."""
        limit: int | None = self._parameters.get("max_tokens")
        return limit


def _storable(text: str) -> str:
    """Text that every encoding of it can hold: lone surrogates, which JSON can carry, become question marks."""
    return text.encode("utf-8", "replace").decode()


def _usage(reported: Any) -> UsageInfo:
    details = getattr(reported, "prompt_tokens_details", None)
    return UsageInfo(
        prompt_tokens=getattr(reported, "prompt_tokens", None) or 0,
        completion_tokens=getattr(reported, "completion_tokens", None) or 0,
        cache_tokens=getattr(details, "cached_tokens", None) or 0,
        cost_usd=0.0,  # the gateway counts money
    )


class _SteadyParser(TerminusJSONPlainParser):
    """Harbor's parser, for which no answer is a crash: what it cannot take is a parse error like any other."""

    def parse_response(self, response: str) -> ParseResult:
        try:
            result = super().parse_response(response)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            return ParseResult([], False, f"Invalid JSON: {error}", "")
        for number, command in enumerate(result.commands, start=1):
            if "\0" in command.keystrokes or command.keystrokes != _storable(command.keystrokes):
                return ParseResult([], False, f"Command {number}: keystrokes hold a character that cannot be typed", "")
        return result


def read_commands(text: str) -> tuple[Command, ...] | None:
    """What an answer would have the agent type; None where it cannot be read, so that nothing would be typed."""
    read = _SteadyParser().parse_response(text)
    if read.error:
        return None
    return tuple(Command(keystrokes=one.keystrokes, seconds=_wait(one.duration)) for one in read.commands)


class SynthTerminus(Terminus2):
    """Terminus-2 that names its endings and loses nothing on the way. `name()` stays `terminus-2`."""

    options_model = SynthOptions
    options: SynthOptions

    def __init__(self, logs_dir: Path, **kwargs: Any) -> None:
        """See `SynthOptions`; `model_name` is the name that requests carry and `api_base` the gateway."""
        self._log = EvidenceLog(Path(kwargs["evidence"]))
        super().__init__(logs_dir, **kwargs)
        self._answers = 0
        self._unreadable = 0
        self._truncated = 0
        self._confirmed = False
        self._moves: list[Move] = []

    def _init_llm(self, **_: Any) -> GatewayLLM:
        options = self.options
        if options.api_base is None:
            raise ValueError("api_base is missing: SynthTerminus speaks to the gateway alone")
        sampling = {"temperature": options.temperature, "top_p": options.top_p, "max_tokens": options.max_tokens}
        sampling = {name: value for name, value in sampling.items() if value is not None}
        self._log.write(
            "start",
            scaffold=self.name(),
            version=self.version(),
            model=self._model_name,
            seed=options.seed,
            sampling=sampling,
        )
        return GatewayLLM(
            base_url=options.api_base,
            token=options.token,
            model=self._model_name,
            parameters={"seed": options.seed, **sampling},
            seconds=options.request_seconds,
            log=self._log,
        )

    def _get_parser(self) -> Any:
        if self.options.parser_name != "json":
            raise ValueError("SynthTerminus answers in JSON: Harbor's XML parser crashes on cut-off answers")
        return _SteadyParser()

    async def setup(self, environment: BaseEnvironment) -> None:
        """Start the terminal."""
        self._session = Terminal(
            session_name=self.name(),
            environment=environment,
            logging_path=EnvironmentPaths.agent_dir / "terminus_2.pane",
            local_asciinema_recording_path=None,
            remote_asciinema_recording_path=None,
            pane_width=self.options.tmux_pane_width,
            pane_height=self.options.tmux_pane_height,
            extra_env=self._extra_env,
            user=environment.default_user,
        )
        self._session.settle = self.options.settle_seconds
        await self._session.start()

    async def run(self, instruction: str, environment: BaseEnvironment, context: AgentContext) -> None:
        """Work on the task until one of the endings, which goes into the evidence file.

        Raises:
            Exception: what broke outside the agent (server, network, container), after it is in the evidence file.
        """
        try:
            await super().run(instruction, environment, context)
            ended = await self._own_ending()
        except Stop as stop:
            ended = stop.ended
        except Exception as error:
            self._log.write(
                "failed",
                error=type(error).__name__,
                message=str(error)[:2000],
                status=getattr(error, "status_code", None),
            )
            # Harbor would take a TimeoutError for the end of the agent's time.
            raise (TerminalError(f"timed out: {error}") if isinstance(error, TimeoutError) else error) from error
        finally:
            await self._llm.close()
        self._log.write("ended", ended=ended)

    async def _own_ending(self) -> Ended:
        if self._confirmed:
            return "complete"
        alive = self._session is not None and await self._session.is_session_alive()
        return "max-turns" if alive else "session-closed"

    async def _query_llm(
        self, chat: Chat, prompt: str, original_instruction: str = "", session: Any = None
    ) -> LLMResponse:
        """Harbor's query without its retries; it calls itself again after a cut-off answer."""
        if self._answers >= self._max_episodes:
            raise Stop("max-turns")
        if self._truncated >= self.options.truncated_answers:
            raise Stop("output-length")
        self._answers += 1
        self._truncated += 1  # until the answer turns out whole
        try:
            response: LLMResponse = await Terminus2._query_llm.__wrapped__(
                self, chat, prompt, original_instruction, session
            )
        except ContextLengthExceededError:
            raise Stop("context") from None
        self._truncated = 0
        return response

    async def _handle_llm_interaction(
        self, chat: Chat, prompt: str, original_instruction: str = "", session: Any = None
    ) -> tuple[list[HarborCommand], bool, str, str, str, LLMResponse]:
        read = await super()._handle_llm_interaction(chat, prompt, original_instruction, session)
        commands, declared, feedback, analysis, plan, response = read
        parse_ok = "ERROR:" not in feedback  # Harbor's own test: such an answer is asked for again and not run
        commands = [HarborCommand(command.keystrokes, _wait(command.duration_sec)) for command in commands]
        self._log.write(
            "read",
            parse_ok=parse_ok,
            remark=_storable(feedback) or None,
            declared=parse_ok and bool(declared),
            commands=[{"keystrokes": command.keystrokes, "seconds": command.duration_sec} for command in commands],
        )
        self._unreadable = 0 if parse_ok else self._unreadable + 1
        if self._unreadable >= self.options.parse_failures:
            raise Stop("parse-failures")
        self._confirmed = parse_ok and bool(declared) and self._pending_completion
        return commands, declared, feedback, analysis, plan, response

    async def _execute_commands(self, commands: list[HarborCommand], session: Any) -> tuple[bool, str]:
        typed = [Command(keystrokes=command.keystrokes, seconds=command.duration_sec) for command in commands]
        await session.act(typed)
        screen = self._limit_output_length(await session.get_incremental_output())
        self._log.write("screen", screen=screen)
        self._moves.append(loops.move((command.keystrokes for command in typed), screen))
        if not self._confirmed and loops.closed(self._moves, self.options.loop):
            raise Stop("loop")
        return False, screen

    def _dump_trajectory_with_continuation_index(self, continuation_index: int) -> None:
        """Harbor writes the whole ATIF file again after each turn; the evidence file holds it all already."""


def _wait(seconds: float) -> float:
    """A wait that can be waited: 0 to 60 s."""
    return 0.0 if math.isnan(seconds) else max(0.0, min(seconds, 60.0))
