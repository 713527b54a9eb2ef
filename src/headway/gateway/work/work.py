"""One request in progress in the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from headway.core.request import Request
from headway.engines.engine import Generation, Kind
from headway.gateway.keys.keys import Admission, Caller
from headway.gateway.work.bill import Bill
from headway.gateway.work.predicted import Predicted
from headway.gateway.work.served import EndedRun, Lost, Served
from headway.gateway.work.turn import Turn
from headway.prediction.live.censored import cut_off
from headway.prediction.live.history import Origin
from headway.prompts.prompt import PromptId
from headway.traces.span import Context

BYTES_PER_TOKEN = 4
"""Approximate bytes of JSON per token, for scheduling until an engine has counted."""


@dataclass(slots=True, eq=False)
class Work:
    """A client's request and its progress.

    Intake writes what the client asked for. The Scheduler writes `request`, the engine client
    `generation`. The Dispatcher, the Slot and the writer of the answer write `turn` and `served`;
    Foresight and ClaimedLengths write `predicted`, Pricing writes `bill`.
    """

    request: Request
    """The request as the Scheduler sees it; replaced when it is retried after a pause."""
    kind: Kind | None
    """None: embeddings, which generate no text."""
    path: str
    """Path in the backend's API, such as `chat/completions`."""
    origin: Origin
    body: bytes
    """The body as the client sent it."""
    fields: dict[str, msgspec.Raw]
    """The fields of the body, with their values unchanged."""
    user_agent: str = ""
    trace: Mapping[str, str] = field(default_factory=dict)
    """Tracing headers: sent to the backend, and returned to the client."""
    span: Context | None = None
    """Its place in its trace; None: it is not sampled."""
    idempotency_key: str | None = None
    """Sent to the backend, which may know the answer already; it is that of no other request."""
    renamed: bool = False
    """Whether `fields` names another model than `body`: the client used `default` or an alias."""
    asked_model: str = ""
    """The model's name in the answer."""
    stream: bool = False
    include_usage: bool = False
    """Whether the client wants usage at the end of its stream."""
    claimed_tokens: int | None = None
    """The output length that the client claims, at most its limit; None: no claim."""
    claimed_to_come_ms: int | None = None
    """What comes after it in its run, as the client says; None: it does not say."""
    obstacle: str | None = None
    """Why it cannot be stopped and continued; None: it can."""
    caller: Caller | None = None
    prompt: PromptId | None = None
    """The registered prompt that it was made from."""
    batch: str = ""
    """The batch that it is a line of; empty: none."""
    key_name: str = ""
    """Of its key, or of that which began its batch; empty: none."""
    admission: Admission | None = None
    """What it has reserved of its key's rates; None: it is not counted."""
    generation: Generation | None = None
    """Its text generation, if it can be continued exactly; None: it is forwarded."""

    bill: Bill | None = None
    """What its runs cost; None: it has not run."""
    turn: Turn = field(default_factory=Turn)
    served: Served = field(default_factory=Served)
    predicted: Predicted = field(default_factory=Predicted)

    def lost_slot(self, why: Lost, now_s: float) -> None:
        """Its run ended, but its answer did not; the scheduler still has it running."""
        served, turn = self.served, self.turn
        if served.began_s >= 0.0:
            first_s = served.began_s + turn.first_byte_s if turn.arrived else -1.0
            run = (served.backend, served.began_s, first_s, now_s, why, self.output_tokens)
            served.runs += (EndedRun(*run),)
            served.began_s = -1.0
        turn.end(now_s)

    @property
    def prompt_tokens(self) -> int:
        """Number of prompt tokens: the backend's count if it has sent one, else our estimate."""
        counted = self.served.prompt_tokens
        return self.request.prompt_tokens if counted is None else counted

    @property
    def output_tokens(self) -> int:
        """Number of output tokens: the backend's count if it has sent one, else ours so far."""
        billed = self.served.billed_tokens
        return self.request.output_tokens if billed is None else billed

    @property
    def tpot_s(self) -> float | None:
        """Time per output token of an ended request; None: interrupted, or too few tokens."""
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
        """Whether its own limit ended its answer, which might have become longer."""
        return cut_off(self.output_tokens, self.request.max_tokens)
