"""What the backends of a model can make of a request: it may run on any of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from headway.engines.continuation import continuable
from headway.engines.engine import Description, EngineError, Kind
from headway.engines.llamacpp_request import as_read
from headway.engines.pool import BackendPool
from headway.gateway.api.errors import from_engine

Fields = dict[str, msgspec.Raw]


def obstacle_of(pool: BackendPool, kind: Kind | None, model: str, fields: Fields) -> str | None:
    """Why some of them could not continue it exactly; None: all could."""
    if kind is None:
        return "generates nothing"
    reason: str | None = "is served by no backend that has answered yet"
    for description in _descriptions(pool, model):
        reason = continuable(kind, fields, description)
        if reason is not None:
            return reason
    return reason


def refuse_ignored(pool: BackendPool, model: str, fields: Fields) -> None:
    """Refuse at once what some of them would ignore in silence. Raises ApiError 400."""
    for description in _descriptions(pool, model):
        if description.engine == "llama.cpp":
            try:
                as_read(fields, description)
            except EngineError as error:
                raise from_engine(error.status, error.body, error.headers) from None


def _descriptions(pool: BackendPool, model: str) -> Iterator[Description]:
    for status in pool.statuses.values():
        description = status.description
        if description is not None and model in description.models and not status.leaving:
            yield description
