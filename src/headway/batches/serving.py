"""What runs the lines of batches: the gateway, seen from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from headway.batches.batch import NO_USAGE, LineError, Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """One line, to be run."""

    batch: str
    endpoint: str
    tenant: str
    """Empty where the gateway has no keys."""
    key_name: str
    """Of the API key that began the batch; empty: none."""
    body: bytes
    left_s: float
    """Within how many seconds."""
    key: str
    """No other line has it, nor this one once it has failed: who knows it has the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a line got."""

    status: int
    """HTTP status that a client would have got."""
    request_id: str
    body: bytes
    """JSON in one line: the answer, or an error object."""
    usage: Usage = NO_USAGE
    again_after_s: float | None = None
    """The line was not answered, and may be asked again after so long; None: it was answered."""
    failed_runs: int = 0
    """How often it ran and failed, where it was not answered; 0: nothing ran it."""


class Pause(NamedTuple):
    """No lines begin."""

    why: str
    until: float
    """Seconds since 1970."""


class Serving(Protocol):
    """Runs lines as tier `batch`, beside what clients send."""

    async def wrong_model(self, endpoint: str, model: str) -> LineError | None:
        """Why lines for this model can never run; None: they can, or might."""

    def room(self, endpoint: str, model: str) -> int:
        """How many lines of this model should wait or run at the same time; 0: none can run."""

    def pause(self, tenant: str, key_name: str) -> Pause | None:
        """Why lines of batches of this tenant and this key begin no more; None: they may."""

    async def answer(self, asked: Asked) -> Answer:
        """Run one line."""

    async def written(self) -> None:
        """Wait until it is written down what the lines cost that were answered."""
