"""One request on its way through the gateway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from headway.core.request import Request
from headway.engines.engine import Generation, Kind
from headway.gateway.errors import ApiError
from headway.gateway.keys import Admission, Caller
from headway.prediction.censored import cut_off
from headway.prediction.history import Origin
from headway.prediction.live import Forecast, Look
from headway.prediction.prompt import Prompt
from headway.prediction.refinement import CUTS


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
    renamed: bool = False
    """`fields` name another model than `body`: the client asked for `default` or an alias."""
    asked_model: str = ""
    """What its answer calls the model."""
    stream: bool = False
    include_usage: bool = False
    """The client wants usage at the end of its stream."""
    told: bool = False
    """The client said how long the answer will be."""
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
    reader: asyncio.Task[object] | None = None
    """Its task, while it does nothing but wait for the engine: then it may be interrupted."""
    interrupted: bool = False
    """It lost its slot and must stop reading from the engine."""
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
    output_tokens: int = 0
    failovers: int = 0
    settled: bool = False
    failed_runs: int = 0
    """Runs that failed in a row, without a new token."""

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

    def interrupt(self) -> None:
        """Make its task stop reading from the engine at once."""
        self.backend = ""
        if not self.interrupted:
            self.interrupted = True
            if self.reader is not None:
                self.reader_cancelled = True
                self.reader.cancel()
