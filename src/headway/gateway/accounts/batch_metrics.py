"""Metrics of batches: those that this gateway runs."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headway.batches.batch import OVER, Status
from headway.batches.batches import Batches

PAUSED = "paused"
OPEN = (*(str(status) for status in Status if not status.over), PAUSED)
OK = 200


class BatchMetrics(Collector):
    """Exports how far batches are when Prometheus scrapes.

    Args:
        batches: those of the gateway.
        registry: where it is exported.
    """

    def __init__(self, batches: Batches, registry: CollectorRegistry) -> None:
        self._batches = batches
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        now = self._batches.progress()

        def gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
            family = GaugeMetricFamily(f"headway_{name}", text)
            if value is not None:
                family.add_metric([], value)
            return family

        batches = GaugeMetricFamily(
            "headway_batches", "Batches that this gateway runs", labels=["status"]
        )
        for status in OPEN:
            batches.add_metric([status], now.batches.get(status, 0))
        ended = CounterMetricFamily(
            "headway_batches_ended", "Batches that ended here", labels=["status"]
        )
        for status in OVER:
            ended.add_metric([status], now.ended.get(status, 0))
        lines = CounterMetricFamily(
            "headway_batch_lines", "Lines answered here, by HTTP status", labels=["status"]
        )
        for code in sorted({OK, *now.answers}):
            lines.add_metric([str(code)], now.answers.get(code, 0))
        return (
            batches,
            ended,
            lines,
            gauge("batch_lines_open", "Lines without an answer", now.open_lines),
            gauge("batch_lines_running", "Lines that wait or run", now.lines_under_way),
            gauge("batch_seconds_to_end", "Until the last batch ends, predicted", now.to_end_s),
            gauge(
                "batch_slack_seconds",
                "Least time left until a batch expires, beside what it takes as predicted",
                now.slack_s,
            ),
        )
