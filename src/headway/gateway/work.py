"""One request on its way through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from headway.core.request import Request
from headway.engines.activity import Activity
from headway.engines.engine import Generation, Kind
from headway.gateway.errors import ApiError
from headway.gateway.keys import Admission, Caller
from headway.gateway.retries import Retries
from headway.prediction.live.censored import cut_off
from headway.prediction.live.history import Origin
from headway.prediction.live.live_predictor import Forecast, Look
from headway.prediction.models.refinement import CUTS
from headway.prediction.texts.prompt import Prompt

T = TypeVar("T")


class Interrupted(Exception):
    """The request lost its slot, and waits for another turn."""


@dataclass(slots=True, eq=False)
class Work:
    """A request as the scheduler sees it, the client's call, and how far it has come.

    All times are seconds on the dispatcher's clock; -1 before they happened.
    """

    request: Request
    kind: Kind | None
    """None for embeddings, which generate nothing."""
    path: str
    """Of the endpoint at the backend's API, such as `chat/completions`."""
    origin: Origin
    body: bytes
    """As the client sent it."""
    fields: dict[str, msgspec.Raw]
    """The same by field, values untouched."""
    trace: Mapping[str, str] = field(default_factory=dict)
    """Headers by which it is followed: sent to the backend, and back to the client."""
    renamed: bool = False
    """`fields` name another model than `body`: the client asked for `default` or an alias."""
    asked_model: str = ""
    """What its answer calls the model."""
    stream: bool = False
    include_usage: bool = False
    """The client wants usage at the end of its stream."""
    claim_counts: bool = False
    """The client said how long the answer will be, and is believed."""
    claimed_tokens: int | None = None
    """How long it said, at most the answer's limit; None: it said nothing."""
    foreseen: bool = False
    """The predictor was asked."""
    asking: Prompt | None = None
    """What of its prompt is read again with every look at its answer, once the predictor has it:
    short, however long the prompt is."""
    forecast: Forecast | None = None
    """What it answered, once it has."""
    looks: list[Look] = field(default_factory=list)
    """What its unfinished answer said of its rest."""
    look_at: int = CUTS[0]
    """Output tokens at which what is left of its answer is foreseen anew."""
    obstacle: str | None = None
    """Why it cannot be stopped and continued; None: it can."""
    caller: Caller | None = None
    admission: Admission | None = None
    """What it holds of its key's rates; None: nobody counts."""
    generation: Generation | None = None
    """Where it stands, if it runs in a way that can be continued."""

    backend: str = ""
    """Where it runs; empty while it waits."""
    served_by: str = ""
    """The last backend it ran on."""
    turn: asyncio.Future[None] | None = None
    """What its task waits on for its next start."""
    activity: Activity | None = None
    """What flows from the backend it runs on; None while it asks none."""
    reader: asyncio.Task[object] | None = None
    """Its task, while it does nothing but wait for the engine: then it may be stopped."""
    stopped: Exception | None = None
    """Why it must stop reading from the engine: Interrupted, or what is wrong."""
    reader_cancelled: bool = False
    """Its task was cancelled for that reason, and has not seen it yet."""
    failure: ApiError | None = None
    """Why it never gets another turn."""

    started_s: float = -1.0
    first_token_s: float = -1.0
    last_token_s: float = -1.0
    ended_s: float = -1.0
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    billed_tokens: int | None = None
    """Output tokens by the backend's usage, or counted in its whole answer; None before."""
    failovers: int = 0
    retries: Retries = field(default_factory=Retries)
    settled: bool = False
    heard_s: float = -1.0
    """When this run began, or something last came from the backend."""
    answering: bool = False
    """Whether something of the answer has come in this run."""
    first_byte_s: float = 0.0
    """Time that took."""
    longest_gap_s: float = 0.0
    """Longest time between two parts of the answer in this run."""

    @property
    def output_tokens(self) -> int:
        """Output tokens: by the backend's own count where it has sent one, else as they came."""
        if self.billed_tokens is not None:
            return self.billed_tokens
        return self.request.output_tokens

    @property
    def tpot_s(self) -> float | None:
        """Time per output token, of a request that ran in one go and has ended."""
        tokens = self.output_tokens
        if tokens <= 0 or self.request.preemptions or self.failovers:
            return None
        if not self.stream and self.generation is None:
            return (self.ended_s - self.started_s) / tokens
        if tokens == 1:
            return None
        return (self.last_token_s - self.first_token_s) / (tokens - 1)

    @property
    def interrupted(self) -> bool:
        """Whether it lost its slot and must stop reading from the engine."""
        return isinstance(self.stopped, Interrupted)

    @property
    def cut_off(self) -> bool:
        """Whether its own limit ended its answer: it might have become longer."""
        return cut_off(self.output_tokens, self.request.max_tokens)

    async def waited(self) -> None:
        """Wait until it may run, or never will (`failure`)."""
        while self.failure is None and not self.backend:
            self.turn = asyncio.get_running_loop().create_future()
            try:
                await self.turn
            finally:
                self.turn = None

    def wake(self) -> None:
        """Let its task see that something changed."""
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(None)

    def asks(self, activity: Activity, now_s: float) -> None:
        """A run begins: the engine is asked."""
        self.activity = activity
        activity.began(now_s)
        self.heard_s = now_s
        self.answering = False
        self.longest_gap_s = 0.0

    def hears(self, now_s: float) -> None:
        """A part of the answer came."""
        if self.activity is not None:
            self.activity.heard(now_s)
        gap_s = now_s - self.heard_s
        if not self.answering:
            self.answering = True
            self.first_byte_s = gap_s
            if self.first_token_s < 0.0:
                self.first_token_s = now_s
        elif gap_s > self.longest_gap_s:
            self.longest_gap_s = gap_s
        self.heard_s = self.last_token_s = now_s

    def leaves(self, now_s: float) -> None:
        """The run is over."""
        if self.activity is not None:
            self.activity.ended(now_s)
            self.activity = None

    async def read(self, coming: Awaitable[T]) -> T:
        """What comes from the engine.

        Raises:
            Exception: what `stop` was given.
        """
        task = asyncio.current_task()
        assert task is not None
        if self.stopped is not None:
            if asyncio.iscoroutine(coming):
                coming.close()
            raise self.stopped
        self.reader = task
        try:
            return await coming
        except asyncio.CancelledError:
            # Cancelled by us, to stop reading; by others as well if its client is gone.
            if not self.reader_cancelled or task.uncancel() > 0 or self.stopped is None:
                raise
            self.reader_cancelled = False
            raise self.stopped from None
        finally:
            self.reader = None

    def stop(self, why: Exception) -> None:
        """Make its task stop reading from the engine at once: `read` raises `why`."""
        if self.stopped is None:
            self.stopped = why
            if self.reader is not None:
                self.reader_cancelled = True
                self.reader.cancel()

    def interrupt(self) -> None:
        """It lost its slot: its task stops reading from the engine, and waits for another."""
        self.backend = ""
        if not self.interrupted:
            self.stop(Interrupted())
