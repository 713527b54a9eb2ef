"""Ends runs whose backend is silent for longer than its limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headway.core.backend import Backend
from headway.engines.engine import BackendSilent
from headway.engines.patience import Patience
from headway.engines.pool import BackendPool
from headway.gateway.work.work import Work

LOOK_EVERY_S = 1.0
LIKELY = 0.95
"""Quantile of an answer's predicted length that is likely not exceeded."""


class Silence:
    """Checks all running requests periodically, so that reads need no timers."""

    def __init__(self, pool: BackendPool) -> None:
        self._pool = pool
        self._looked_s = float("-inf")

    def look(self, works: Iterable[Work], backends: Mapping[str, Backend], now_s: float) -> None:
        """Stop reads from backends that are silent for too long: they raise BackendSilent."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        for work in works:
            turn, backend = work.turn, work.request.backend
            if turn.activity is None:
                continue
            if not turn.reading:
                turn.heard_s = now_s  # it waits for its client, not for the backend
                continue
            patience = self._pool.patience(backend)
            if turn.answering:
                limit_s = patience.idle_s()
            else:
                others = self._alternatives(work, backends)
                limit_s = patience.first_byte_s(
                    _service_s(work, backends[backend], moves=bool(others)), others
                )
            silent_s = now_s - turn.heard_s
            if silent_s > limit_s:
                turn.stop(BackendSilent(f"it sent nothing for {silent_s:.0f} s"))

    def _alternatives(self, work: Work, backends: Mapping[str, Backend]) -> list[Patience]:
        """The patience of other backends that could answer `work` now and have not failed on it."""
        retries = work.turn.retries
        avoid = retries.avoid if retries is not None else ()
        return [
            self._pool.patience(name)
            for name, backend in backends.items()
            if name != work.request.backend
            and name not in avoid
            and backend.slots
            and work.request.lane in backend.lanes
        ]


def _service_s(work: Work, backend: Backend, *, moves: bool) -> float:
    """Predicted time at the backend until the first byte of the answer.

    If the answer is not streamed, that includes all its tokens: the most that are likely if the
    request `moves` to another backend at the limit, the most that are possible if it fails then.
    """
    request, cost = work.request, backend.cost
    seconds = cost.prefill_s(request)
    if work.stream or work.generation is not None:
        return seconds
    if moves:
        tokens = request.estimate.quantile(LIKELY)
    elif request.max_tokens is not None:
        tokens = request.max_tokens
    else:
        tokens = request.estimate.longest
    return seconds + tokens * cost.decode_s_per_token
