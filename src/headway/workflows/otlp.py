"""Sends the spans of runs that have ended to an OpenTelemetry collector."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway.traces.otlp import Collector
from headway.traces.span import Span
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.spans import spans_of

logger = logging.getLogger(__name__)

CONTENTS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""Set to true, messages and answers are sent, too."""


class Exporter:
    """Sends spans in a thread of its own.

    Args:
        endpoint: of the collector, such as http://127.0.0.1:4318; `/v1/traces` may follow.

    Raises:
        NoExporter: OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str) -> None:
        self._collector = Collector(endpoint)
        self._contents = os.environ.get(CONTENTS, "").lower() == "true"
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="headway-spans")

    def send(self, run: RunRow, steps: Iterable[StepRow]) -> Any:
        """Send a run that has ended; the future returns how many spans were taken."""
        spans = spans_of(run, steps, contents=self._contents)
        return self._threads.submit(self._export, spans)

    def close(self) -> None:
        """Send what waits, and stop."""
        self._threads.shutdown()
        self._collector.close()

    def _export(self, spans: list[Span]) -> int:
        if not self._collector.send(spans):
            logger.warning("%d spans of run %s were not taken", len(spans), spans[0].name)
            return 0
        return len(spans)
