"""One request on its way through the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from headway.core.request import Request
from headway.engines.engine import Generation, Kind
from headway.gateway.keys.keys import Admission, Caller
from headway.gateway.work.predicted import Predicted
from headway.gateway.work.served import Served
from headway.gateway.work.turn import Turn
from headway.prediction.live.censored import cut_off
from headway.prediction.live.history import Origin

BYTES_PER_TOKEN = 4
"""Of JSON, about: good enough to schedule by, before an engine has counted."""


@dataclass(slots=True, eq=False)
class Work:
    """What a client asked for, and how far it has come.

    Intake writes what was asked. The Scheduler writes `request`, the engine's client `generation`.
    `turn` and `served` are written by the Dispatcher and the Slot, and by those that write the
    answer: its tokens and its failure. `predicted` is written by what predicts.
    """

    request: Request
    """As the Scheduler sees it; replaced if it is tried again after a pause."""
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
    """Headers for tracing: sent to the backend, and back to the client."""
    renamed: bool = False
    """`fields` name another model than `body`: the client asked for `default` or an alias."""
    asked_model: str = ""
    """What its answer calls the model."""
    stream: bool = False
    include_usage: bool = False
    """The client wants usage at the end of its stream."""
    claimed_tokens: int | None = None
    """The length that the client claims for the answer, at most its limit; None: no claim."""
    obstacle: str | None = None
    """Why it cannot be stopped and continued; None: it can."""
    caller: Caller | None = None
    admission: Admission | None = None
    """What it holds of its key's rates; None: nobody counts."""
    generation: Generation | None = None
    """Where it stands, if it runs in a way that can be continued."""

    turn: Turn = field(default_factory=Turn)
    served: Served = field(default_factory=Served)
    predicted: Predicted = field(default_factory=Predicted)

    @property
    def output_tokens(self) -> int:
        """Output tokens: by the backend's own count where it has sent one, else as they came."""
        billed = self.served.billed_tokens
        return self.request.output_tokens if billed is None else billed

    @property
    def tpot_s(self) -> float | None:
        """Time per output token, of a request that ran in one go and has ended."""
        tokens, served = self.output_tokens, self.served
        if tokens <= 0 or self.request.preemptions or served.failovers:
            return None
        if not self.stream and self.generation is None:
            return (served.ended_s - self.request.started_s) / tokens
        if tokens == 1:
            return None
        return (served.last_token_s - served.first_token_s) / (tokens - 1)

    @property
    def cut_off(self) -> bool:
        """Whether its own limit ended its answer: it might have become longer."""
        return cut_off(self.output_tokens, self.request.max_tokens)
