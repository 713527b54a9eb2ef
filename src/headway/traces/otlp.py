"""Sends spans to an OpenTelemetry collector, by OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headway import __version__
from headway.extras import install_extra
from headway.traces.span import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan


class NoExporter(Exception):
    """What sends spans is not installed; says how to."""


class Collector:
    """A collector.

    Args:
        endpoint: its address, such as http://127.0.0.1:4318; `/v1/traces` may follow.
        timeout_s: how long it is tried to send spans.

    Raises:
        NoExporter: OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str, timeout_s: float = 10.0) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
        except ModuleNotFoundError:
            raise NoExporter(f"sending spans needs `{install_extra('traces')}`") from None
        url = endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
        self._exporter = OTLPSpanExporter(url, timeout=timeout_s)
        self._resource = Resource.create({"service.name": "headway"})  # slow: once

    def send(self, spans: Iterable[Span]) -> bool:
        """Send spans; blocks. Returns whether they were taken."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = self._exporter.export([_readable(span, self._resource) for span in spans])
        return result is SpanExportResult.SUCCESS

    def close(self) -> None:
        """End what is being sent; nothing is sent any more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    """The span as OpenTelemetry's own."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: int) -> SpanContext:
        return SpanContext(span.trace_id, span_id, False, TraceFlags(TraceFlags.SAMPLED))

    kind = SpanKind.CLIENT if span.is_client else SpanKind.INTERNAL
    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=None if span.parent_id is None else context(span.parent_id),
        resource=resource,
        attributes=dict(span.attributes),
        kind=SpanKind.SERVER if span.is_server else kind,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=round(span.began_at * 1e9),
        end_time=round(span.ended_at * 1e9),
        instrumentation_scope=InstrumentationScope("headway", __version__),
    )
