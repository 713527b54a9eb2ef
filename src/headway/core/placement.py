"""Which backend takes a request that is next."""

from __future__ import annotations

from collections.abc import Sequence

from headway.core.backend import Backend
from headway.core.request import Request


def permitted(request: Request, backends: Sequence[Backend]) -> Sequence[Backend]:
    """Those of `backends` that may run `request`: all but the ones that it failed on before.

    All of them where it has no other choice: the rest has no slots now.
    """
    if not request.avoid:
        return backends
    others = [one for one in backends if one.slots and one.name not in request.avoid]
    return others or backends


def choose(request: Request, backends: Sequence[Backend]) -> Backend | None:
    """The permitted backend with room that would be done first, or None where none has room.

    Done first: by the prompts that it has yet to compute, the predicted remaining work per slot and
    the request's own time, in the backend's own seconds, less the prefill that is saved where the
    request's prefix was served last. Ties go to the first.
    """
    candidates = [
        backend for backend in permitted(request, backends) if backend.has_room_for(request)
    ]
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda backend: backend.finish_s(request))
