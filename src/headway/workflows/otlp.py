"""Sends the spans of runs to an OpenTelemetry collector, by OTLP over HTTP."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headway import __version__
from headway.extras import install_extra
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.spans import Span, spans_of

logger = logging.getLogger(__name__)

CONTENTS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""Set to true, messages and answers are sent, too."""


class NoExporter(Exception):
    """What sends spans is not installed; says how to."""


class Exporter:
    """Sends spans in a thread of its own.

    Args:
        endpoint: of the collector, such as http://127.0.0.1:4318; `/v1/traces` may follow.

    Raises:
        NoExporter: OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ModuleNotFoundError:
            raise NoExporter(f"sending spans needs `{install_extra('traces')}`") from None
        url = endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
        self._exporter = OTLPSpanExporter(url)
        self._contents = os.environ.get(CONTENTS, "").lower() == "true"
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="headway-spans")

    def send(self, run: RunRow, steps: Iterable[StepRow]) -> Any:
        """Send a run that has ended; the future returns how many spans were taken."""
        spans = spans_of(run, steps, contents=self._contents)
        return self._threads.submit(self._export, spans)

    def close(self) -> None:
        """Send what waits, and stop."""
        self._threads.shutdown()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _export(self, spans: list[Span]) -> int:
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = self._exporter.export([_readable(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            logger.warning("%d spans of run %s were not taken", len(spans), spans[0].name)
            return 0
        return len(spans)


def _readable(span: Span) -> Any:
    """The span as OpenTelemetry's own."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: int) -> SpanContext:
        return SpanContext(span.trace_id, span_id, False, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=None if span.parent_id is None else context(span.parent_id),
        resource=Resource.create({"service.name": "headway"}),
        attributes=dict(span.attributes),
        kind=SpanKind.CLIENT if span.is_client else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=round(span.began_at * 1e9),
        end_time=round(span.ended_at * 1e9),
        instrumentation_scope=InstrumentationScope("headway", __version__),
    )
