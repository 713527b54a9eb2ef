"""Which waiting requests start in free slots, and on which backends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headway.core.backend import Backend
from headway.core.backends import Backends
from headway.core.lanes import Lanes
from headway.core.request import Request

MOST_PASSED = 8
"""Requests that may be passed over because they failed on every backend with room."""


def placements(lanes: Lanes, backends: Backends, now_s: float) -> Iterator[tuple[Request, Backend]]:
    """Each waiting request that can start now, in order, and its backend.

    The caller must start each one before it asks for the next, and ask until there is none.
    """
    blocked: set[str] = set()
    passed: list[Request] = []
    while (request := lanes.next(now_s, blocked)) is not None:
        backend = _choose(request, backends.of_lane(request.lane))
        if backend is not None:
            yield request, backend
        elif request.avoid and len(passed) < MOST_PASSED:
            # Requests behind it may take the backend that it avoids.
            lanes.pull(request)
            passed.append(request)
        else:
            # Its KV cache does not fit yet: no smaller request overtakes it.
            blocked.add(request.lane)
    for request in passed:
        # Others of its tenant may have left meanwhile: then it is the one that waits again.
        lanes.enqueue(request)


def permitted(request: Request, backends: Sequence[Backend]) -> Sequence[Backend]:
    """The `backends` that may run `request`: all but those that it failed on before.

    All of them if no other has slots.
    """
    if not request.avoid:
        return backends
    others = [one for one in backends if one.slots and one.name not in request.avoid]
    return others or backends


def _choose(request: Request, backends: Sequence[Backend]) -> Backend | None:
    """The permitted backend with room that would finish `request` first; None if none has room.

    Finish times are in the backend's own seconds: the prompts it has yet to compute, its predicted
    remaining work per slot, and the request's own time, without the prefill of a prefix that it
    served recently. Ties go to the first.
    """
    candidates = [
        backend for backend in permitted(request, backends) if backend.has_room_for(request)
    ]
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda backend: backend.finish_s(request))
