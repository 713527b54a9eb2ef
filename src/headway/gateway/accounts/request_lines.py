"""The log line of each request.

Making a `logging.LogRecord` costs several times as much as writing the line. So a handler that
takes request records directly gets them in batches; other handlers get log records as usual.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from headway.store.request_record import RequestRecord

request_logger = logging.getLogger("headway.request")


@runtime_checkable
class TakesRequests(Protocol):
    """A log handler that takes request records directly."""

    def take_requests(self, records: Sequence[RequestRecord]) -> None:
        """Log a line for each record now, at level `info`."""


def wanted() -> bool:
    """Whether requests are logged."""
    return request_logger.isEnabledFor(logging.INFO)


def log_requests(records: Sequence[RequestRecord]) -> None:
    """Log one line for each request, without its prompt."""
    records = [_without_prompt(record) for record in records]
    handlers = list(_handlers())
    if not request_logger.filters and all(map(_takes_requests, handlers)):
        for handler in handlers:
            assert isinstance(handler, TakesRequests)
            handler.take_requests(records)
        return
    for record in records:
        # Not info(): it walks the stack for a file and line number that are not printed.
        request_logger.handle(
            request_logger.makeRecord(
                request_logger.name, logging.INFO, __file__, 0, "%s", (as_json(record),), None
            )
        )


def as_json(record: RequestRecord) -> str:
    """The record as one line of JSON."""
    try:
        return msgspec.json.encode(record).decode()
    except UnicodeEncodeError:  # a name that the client sent is not valid Unicode
        return json.dumps(msgspec.structs.asdict(record), separators=(",", ":"))


def _handlers() -> Iterator[logging.Handler]:
    """The handlers that a record of the request logger reaches."""
    logger: logging.Logger | None = request_logger
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _takes_requests(handler: logging.Handler) -> bool:
    return (
        isinstance(handler, TakesRequests) and not handler.filters and handler.level <= logging.INFO
    )


def _without_prompt(record: RequestRecord) -> RequestRecord:
    if record.prompt is None:
        return record
    return msgspec.structs.replace(record, prompt=None)
