"""Logging of a running gateway: JSON lines on stderr, written by a thread of their own."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import sys
import time
from logging.handlers import QueueHandler, QueueListener
from types import TracebackType
from typing import Self

MAX_WAITING = 10_000
"""Lines that may wait for a slow terminal or pipe; more are dropped, so that it never blocks."""


class Logs:
    """Logging, for as long as the `with` block takes.

    Args:
        level: `debug`, `info` (one line for every request), `warning` or `error`.
    """

    def __init__(self, level: str) -> None:
        lines: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING)
        self._root = logging.getLogger("headway")
        self._level = level.upper()
        self._handler = LossyQueueHandler(lines)
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(logging.Formatter("%(message)s"))
        self._listener = QueueListener(lines, stream)

    def __enter__(self) -> Self:
        self._handler.setFormatter(JsonLines())
        self._root.setLevel(self._level)
        self._root.addHandler(self._handler)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._root.removeHandler(self._handler)
        self._listener.stop()


class LossyQueueHandler(QueueHandler):
    """Drops a line rather than wait for a place in the queue."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


class JsonLines(logging.Formatter):
    """One JSON object a line. A message that is one already, as every request's is, goes inside."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        head = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if message.startswith("{") and record.name == "headway.request":
            return f'{json.dumps(head)[:-1]}, "request": {message}}}'
        fields: dict[str, str] = {**head, "message": message}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)
