"""Logging of a running gateway: JSON lines on stderr, written by a thread."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from headway.gateway.accounts.request_lines import as_json, request_logger
from headway.redaction import masked
from headway.store.request_record import RequestRecord

MAX_WAITING = 10_000
"""Lines that may wait for a slow terminal or pipe; more are dropped, to never block."""

WRITE_EVERY_S = 0.1
"""Lines are collected for this long and written together."""


class Logs:
    """Logging, for as long as the `with` block takes.

    Args:
        level: `debug`, `info` (one line for every request), `warning` or `error`.
    """

    def __init__(self, level: str) -> None:
        self._root = logging.getLogger("headway")
        self._level = level.upper()
        self._handler = WaitingLines()
        self._stream = sys.stderr
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headway-logs", daemon=True)

    def __enter__(self) -> Self:
        self._level_before = self._root.level
        self._root.setLevel(self._level)
        self._root.addHandler(self._handler)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._root.removeHandler(self._handler)
        self._root.setLevel(self._level_before)
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        # Waking up for every single line would take the interpreter from the event loop, each
        # time: with thousands of requests a second that costs more than serving them.
        while not self._closing.wait(WRITE_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        if text := self._handler.take():
            with contextlib.suppress(OSError, ValueError):  # the reader is gone
                self._stream.write(text)
                self._stream.flush()


class WaitingLines(logging.Handler):
    """Keeps log lines until they are written; drops lines instead of waiting for room."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        super().__init__()
        self._lines = JsonLines()
        self._waiting: deque[logging.LogRecord | tuple[float, RequestRecord]] = deque()
        """Log records, and requests with the time at which they were logged."""
        self._most = most

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._waiting) < self._most:
            self._waiting.append(record)

    def take_requests(self, records: Sequence[RequestRecord]) -> None:
        """Log a line for each request; see `headway.gateway.accounts.request_lines`."""
        room = max(0, self._most - len(self._waiting))
        now_s = time.time()
        self._waiting.extend([(now_s, record) for record in records[:room]])

    def take(self) -> str:
        """Take the lines that were logged so far."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        return "".join(
            f"{self._lines.request(*one) if isinstance(one, tuple) else self._lines.format(one)}\n"
            for one in waiting
        )


class JsonLines(logging.Formatter):
    """One JSON object a line. A request is an object inside it."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._time = ""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name == request_logger.name and message.startswith("{"):
            return self._line_of_request(record.created, message)
        fields = {
            "time": self._when(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(message),
        }
        if record.exc_info:
            fields["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)

    def request(self, logged_unix_s: float, record: RequestRecord) -> str:
        """The line of a request."""
        return self._line_of_request(logged_unix_s, as_json(record))

    def _line_of_request(self, logged_unix_s: float, request: str) -> str:
        return (
            f'{{"time": "{self._when(logged_unix_s)}", "level": "info", '
            f'"logger": "{request_logger.name}", "request": {request}}}'
        )

    def _when(self, unix_s: float) -> str:
        second = int(unix_s)
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._time}.{int((unix_s - second) * 1000.0):03d}Z"
