"""Samples traces, and sends their spans beside whoever makes them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence

from headway.traces.otlp import Collector
from headway.traces.span import Context, Span, begun

logger = logging.getLogger(__name__)

MakeSpans = Callable[[], Sequence[Span]]
TOGETHER_S = 1.0
"""How long spans are collected for one message to the collector."""
MOST_TOGETHER = 200
"""Requests in one message."""
CLOSE_S = 3.0
"""How long the last spans may take when the gateway stops."""


class Tracer:
    """Sends spans in a thread of its own; never blocks, and never fails whoever writes.

    Args:
        collector: takes the spans.
        share: of new traces that are sampled, from 0 to 1. A trace that somebody else has begun is
            sampled if they said so.
        most_waiting: requests whose spans may wait for the collector; further ones are dropped.
    """

    def __init__(self, collector: Collector, share: float, most_waiting: int = 5000) -> None:
        self._collector = collector
        self._share = share
        self._most_waiting = most_waiting
        self.sent = 0
        """Spans that the collector took."""
        self.dropped = 0
        """Requests whose spans were not sent, or not taken."""
        self._waiting: queue.SimpleQueue[MakeSpans] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._warned = False
        self._thread = threading.Thread(target=self._run, name="headway-traces", daemon=True)
        self._thread.start()

    def begin(self, traceparent: str) -> Context | None:
        """The place of a new span under that W3C header; None: it is not sampled."""
        return begun(traceparent, self._share)

    def write(self, make: MakeSpans) -> None:
        """Send what `make` returns; it is called in the tracer's thread."""
        if self._closing.is_set() or self._waiting.qsize() >= self._most_waiting:
            self.dropped += 1
        else:
            self._waiting.put(make)

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        self._closing.set()
        self._thread.join(CLOSE_S)
        self._collector.close()

    def _run(self) -> None:
        while not self._closing.wait(TOGETHER_S) or not self._waiting.empty():
            while not self._waiting.empty():
                count = min(self._waiting.qsize(), MOST_TOGETHER)
                self._send([self._waiting.get() for _ in range(count)])

    def _send(self, makers: Sequence[MakeSpans]) -> None:
        try:
            spans = [span for make in makers for span in make()]
            taken = self._collector.send(spans)
        except Exception:  # the next ones may do better
            logger.exception("spans cannot be sent")
            taken = False
        if taken:
            self.sent += len(spans)
        else:
            self.dropped += len(makers)
            if not self._warned:
                logger.warning(
                    "the traces of %d requests were not taken; see whether traces.endpoint is the "
                    "address of a collector that is up",
                    len(makers),
                )
        self._warned = not taken
