"""Which backend takes a request that is next."""

from __future__ import annotations

from collections.abc import Iterable

from headway.core.backend import Backend
from headway.core.request import Request


def choose(request: Request, backends: Iterable[Backend]) -> Backend | None:
    """The backend with room that would be done first, or None where none has room.

    Done first: by the prompts that it has yet to compute, the predicted remaining work per slot and
    the request's own time, in the backend's own seconds, less the prefill that is saved where the
    request's prefix was served last. Ties go to the first.
    """
    candidates = [backend for backend in backends if backend.has_room_for(request)]
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda backend: backend.finish_s(request))
