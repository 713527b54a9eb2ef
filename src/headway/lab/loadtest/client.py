"""A load generator for any OpenAI-compatible server: open loop, streaming, cheap to run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.unreachable import why_unreachable

DATA = b"data:"
DONE = b"[DONE]"


class ServerError(Exception):
    """The server cannot be used at all; the message says why."""


@dataclass(slots=True)
class RequestResult:
    """The outcome of one request. Times are seconds after its planned arrival."""

    request: LoadRequest
    sent_s: float = 0.0
    """When it was really sent, in seconds after the start of the load."""
    ttft_s: float | None = None
    """Time to first token; None if none came."""
    latency_s: float = 0.0
    """End-to-end latency: until its last byte, or until it failed."""
    prompt_tokens: int = 0
    """0: the server did not say."""
    cached_tokens: int = 0
    """Of the prompt, those that it says it had computed before."""
    output_tokens: int = 0
    """As it says, else the number of pieces."""
    reasoning_tokens: int = 0
    """Of the output, those that it says are reasoning."""
    queue_s: float | None = None
    """Time spent waiting, if the server reports it (`usage.headway`)."""
    preemptions: int = 0
    finish_reason: str = ""
    text: str = ""
    token_s: list[float] = field(default_factory=list)
    """When each piece of text came."""
    counted: list[int] = field(default_factory=list)
    """Output tokens up to and with each piece, as the server counts them; 0: it does not say."""
    status: int = 0
    """HTTP status; 0: none came."""
    error: str = ""
    """Empty if the answer is complete."""

    @property
    def ok(self) -> bool:
        """Whether the whole answer came."""
        return not self.error


class LoadClient:
    """Sends requests to one server and measures the answers.

    Args:
        url: base URL of the API, `/v1` included.
        model: name of the model to ask for.
        api_key: sent as a bearer token unless empty.
        timeout_s: after so long a request is given up and counted as an error.
    """

    def __init__(self, url: str, model: str, api_key: str = "", timeout_s: float = 600.0) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._timeout_s = timeout_s
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
            headers=headers,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def models(self) -> list[str]:
        """The models that the server lists.

        Raises:
            ServerError: it cannot be reached or does not answer as an OpenAI server does.
        """
        url = f"{self._url}/models"
        try:
            async with (
                asyncio.timeout(10.0),
                self._session.get(url) as response,
            ):
                body = await response.read()
                if response.status != 200:
                    raise ServerError(f"{url} answered {response.status}: {_error_message(body)}")
                return [model.id for model in _MODELS.decode(body).data]
        except msgspec.DecodeError:
            raise ServerError(f"{url} is not an OpenAI API; does the URL end in /v1?") from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ServerError(
                f"no server at {self._url}: {why_unreachable(error)}; start it, or pass another "
                "address"
            ) from None

    async def run(
        self,
        workload: Workload,
        on_done: Callable[[RequestResult], None] | None = None,
        at_once: int = 0,
    ) -> list[RequestResult]:
        """Send every request at its time, whether others are answered or not.

        Args:
            workload: what to send.
            on_done: called with each outcome as it comes.
            at_once: requests that the server has at once, at most; the others wait here, first
                come first served. 0: any number.

        Returns:
            The outcomes, in the order of the requests.
        """
        start_s = time.monotonic()
        room = asyncio.Semaphore(at_once or len(workload.requests) + 1)

        async def at_its_time(request: LoadRequest) -> RequestResult:
            delay_s = start_s + request.at_s - time.monotonic()
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            async with room:
                outcome = await self.send(request, start_s)
            if on_done is not None:
                on_done(outcome)
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(at_its_time(request)) for request in workload.requests]
        return [task.result() for task in tasks]

    async def send(self, request: LoadRequest, start_s: float | None = None) -> RequestResult:
        """Send one request now and read its answer to the end; failures are in the outcome.

        Args:
            request: what to send.
            start_s: when the load started, by time.monotonic; None: `at_s` seconds ago.
        """
        now_s = time.monotonic()
        start_s = now_s - request.at_s if start_s is None else start_s
        outcome = RequestResult(request, sent_s=now_s - start_s)
        answer = _Answer(outcome, start_s + request.at_s)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(
                    f"{self._url}/chat/completions",
                    data=self._body(request),
                    headers=_headers(request),
                ) as response,
            ):
                outcome.status = response.status
                if response.status != 200:
                    message = _error_message(await response.read())
                    outcome.error = f"{response.status}: {message}"
                else:
                    async for chunk in response.content.iter_any():
                        answer.feed(chunk)
                    answer.end()
        except TimeoutError:
            outcome.error = f"no complete answer within {self._timeout_s:g} s"
        except (aiohttp.ClientError, OSError) as error:
            outcome.error = f"connection failed: {error or type(error).__name__}"
        except msgspec.DecodeError as error:
            outcome.error = f"not an OpenAI stream: {error}"
        outcome.latency_s = time.monotonic() - answer.arrival_s
        outcome.text = "".join(answer.pieces)
        outcome.output_tokens = outcome.output_tokens or len(outcome.token_s)
        return outcome

    def _body(self, request: LoadRequest) -> bytes:
        body: dict[str, object] = {
            "model": self._model,
            "messages": request.messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.count_pieces:
            body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
        if request.ignore_eos:
            body["ignore_eos"] = True
        if not request.cache_prompt:
            body["cache_prompt"] = False
        if request.repeat_penalty != 1.0:
            body["repeat_penalty"] = request.repeat_penalty
        return msgspec.json.encode(body)


class _Answer:
    """Reads one event stream into its outcome, chunk by chunk as bytes come."""

    def __init__(self, outcome: RequestResult, arrival_s: float) -> None:
        self.outcome = outcome
        self.arrival_s = arrival_s
        self.pieces: list[str] = []
        self._rest = b""
        self._done = False

    def feed(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(DATA):
                self._event(line[len(DATA) :].strip())

    def end(self) -> None:
        """The stream is over: was it all?"""
        if not (self._done or self.outcome.finish_reason or self.outcome.error):
            self.outcome.error = "the stream ended early"

    def _event(self, data: bytes) -> None:
        if data == DONE:
            self._done = True
            return
        chunk = _CHUNK.decode(data)
        outcome = self.outcome
        if chunk.error is not None:
            outcome.error = outcome.error or f"in the stream: {chunk.error.message}"
        for choice in chunk.choices:
            delta = choice.delta
            text = delta.content or delta.reasoning_content or delta.reasoning
            if text:
                now_s = time.monotonic() - self.arrival_s
                if outcome.ttft_s is None:
                    outcome.ttft_s = now_s
                outcome.token_s.append(now_s)
                outcome.counted.append(chunk.usage.completion_tokens if chunk.usage else 0)
                self.pieces.append(text)
            if choice.finish_reason:
                outcome.finish_reason = choice.finish_reason
                if outcome.ttft_s is None:
                    outcome.ttft_s = time.monotonic() - self.arrival_s
        if chunk.usage is not None:
            outcome.prompt_tokens = chunk.usage.prompt_tokens
            outcome.output_tokens = chunk.usage.completion_tokens
            if (of_prompt := chunk.usage.prompt_tokens_details) is not None:
                outcome.cached_tokens = of_prompt.cached_tokens or 0
            if (of_output := chunk.usage.completion_tokens_details) is not None:
                outcome.reasoning_tokens = of_output.reasoning_tokens or 0
            if (scheduling := chunk.usage.headway) is not None:
                outcome.preemptions = scheduling.preemptions
                if scheduling.queue_ms is not None:
                    outcome.queue_s = scheduling.queue_ms / 1000.0


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """Its name in vLLM since 0.11, and in Ollama and OpenRouter."""


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Scheduling(msgspec.Struct):
    queue_ms: float | None = None
    preemptions: int = 0


class _OfPrompt(msgspec.Struct):
    cached_tokens: int | None = None


class _OfOutput(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _OfPrompt | None = None
    completion_tokens_details: _OfOutput | None = None
    headway: _Scheduling | None = None


class _Error(msgspec.Struct):
    message: str = ""


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


class _Failure(msgspec.Struct):
    error: _Error


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


_CHUNK = msgspec.json.Decoder(_Chunk)
_FAILURE = msgspec.json.Decoder(_Failure)
_MODELS = msgspec.json.Decoder(_Models)


def _headers(request: LoadRequest) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if request.tier:
        headers["x-headway-tier"] = request.tier
    if request.tenant:
        headers["x-headway-tenant"] = request.tenant
    if request.expected_tokens is not None:
        headers["x-headway-expected-tokens"] = str(request.expected_tokens)
    return headers


def _error_message(body: bytes) -> str:
    """The message of an error in OpenAI's shape, else the body's beginning."""
    try:
        return _FAILURE.decode(body).error.message
    except msgspec.DecodeError:
        return body[:200].decode("utf-8", "replace").strip() or "no reason given"
