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
    """Looks at every running request now and then: reading a part of an answer costs no timer."""

    def __init__(self, pool: BackendPool) -> None:
        self._pool = pool
        self._looked_s = float("-inf")

    def look(self, works: Iterable[Work], backends: Mapping[str, Backend], now_s: float) -> None:
        """Stop reading where nothing came for too long: its reader gets BackendSilent."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        for work in works:
            turn, backend = work.turn, work.request.backend
            if turn.activity is None:
                continue
            if not turn.reading:
                turn.heard_s = now_s  # its client is slow to read: the backend is not to blame
                continue
            patience = self._pool.patience(backend)
            if turn.answering:
                limit_s = patience.idle_s()
            else:
                like = self._like(work, backends)
                limit_s = patience.first_byte_s(
                    _service_s(work, backends[backend], moves=bool(like)), like
                )
            silent_s = now_s - turn.heard_s
            if silent_s > limit_s:
                turn.stop(BackendSilent(f"nothing came from it for {silent_s:.0f} s"))

    def _like(self, work: Work, backends: Mapping[str, Backend]) -> list[Patience]:
        """Of the other backends that could answer `work` now, and have not failed on it."""
        return [
            self._pool.patience(name)
            for name, backend in backends.items()
            if name != work.request.backend
            and name not in work.turn.retries.avoid
            and backend.slots
            and work.request.lane in backend.lanes
        ]


def _service_s(work: Work, backend: Backend, *, moves: bool) -> float:
    """Predicted time at the backend before the first byte of the answer.

    A whole answer takes as long as its tokens: the most that it may have where the request would
    fail, the most that is likely where it `moves` to another backend.
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
