"""Logging of a running gateway: JSON lines on stderr, written by a thread of their own."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

MAX_WAITING = 10_000
"""Lines that may wait for a slow terminal or pipe; more are dropped, so that it never blocks."""

WRITE_EVERY_S = 0.1
"""Lines are gathered for so long and written together."""


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
        self._handler.setFormatter(JsonLines())
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
            with contextlib.suppress(OSError, ValueError):  # whoever read them is gone
                self._stream.write(text)
                self._stream.flush()


class WaitingLines(logging.Handler):
    """Keeps records until they are taken, and drops them rather than wait for a place."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        super().__init__()
        self._records: deque[logging.LogRecord] = deque()
        self._most = most

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._records) < self._most:
            self._records.append(record)

    def take(self) -> str:
        """The lines of all records so far; they are not kept any more."""
        records = [self._records.popleft() for _ in range(len(self._records))]
        return "".join(f"{self.format(record)}\n" for record in records)


class JsonLines(logging.Formatter):
    """One JSON object a line. A message that is one already, as every request's is, goes inside."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._time = ""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if int(record.created) != self._second:
            self._second = int(record.created)
            self._time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._second))
        when = f"{self._time}.{int(record.msecs):03d}Z"
        level = record.levelname.lower()
        if record.name == "headway.request" and message.startswith("{"):
            return (
                f'{{"time": "{when}", "level": "{level}", "logger": "{record.name}", '
                f'"request": {message}}}'
            )
        fields = {"time": when, "level": level, "logger": record.name, "message": message}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)
