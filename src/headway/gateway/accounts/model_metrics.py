"""Metrics of models that answer whole batches."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headway.core.request import Tier
from headway.gateway.accounts.counted import Counter, Histogram
from headway.models.catalog import Catalog

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ModelMetrics:
    """Counts requests; exports the models' own counts when Prometheus scrapes."""

    def __init__(self, catalog: Catalog, registry: CollectorRegistry) -> None:
        registry.register(_Models(catalog))
        self._requests = Counter(
            "headway_model_requests", "Requests by outcome", ["model", "tier", "outcome"], registry
        )
        self._latency = Histogram(
            "headway_model_latency_seconds",
            "From arrival to the answer",
            ["model", "tier"],
            registry,
            SECONDS,
        )
        for model in catalog:
            for tier in Tier:
                for outcome in ("finished", "failed"):
                    self._requests.add(0, model.name, tier.label, outcome)
                self._latency.labelled(model.name, tier.label)

    def ended(self, model: str, tier: Tier, outcome: str, latency_s: float | None) -> None:
        """Count a request; `latency_s` is None if it was not answered."""
        self._requests.add(1, model, tier.label, outcome)
        if latency_s is not None:
            self._latency.labelled(model, tier.label).observe(latency_s)


class _Models(Collector):
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def collect(self) -> Iterable[Metric]:
        def counter(name: str, text: str) -> CounterMetricFamily:
            return CounterMetricFamily(f"headway_model_{name}", text, labels=["model"])

        def gauge(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"headway_model_{name}", text, labels=["model"])

        families = (
            batches := counter("batches", "Batches run"),
            items := counter("items", "Items in all batches"),
            starts := counter("cold_starts", "Times that it was loaded"),
            start_s := counter("cold_start_seconds", "Time spent loading it"),
            wait_s := counter("item_wait_seconds", "Time that items waited for their batches"),
            batch_s := counter("item_batch_seconds", "Time that items spent in their batches"),
            waiting := gauge("waiting", "Waiting items"),
            instances := gauge("instances", "Batches that may run at a time"),
            loaded := gauge("loaded", "1 while it is loaded"),
        )
        for model in self._catalog:
            name = [model.name]
            batches.add_metric(name, model.batches)
            items.add_metric(name, model.items)
            starts.add_metric(name, model.cold_starts)
            start_s.add_metric(name, model.cold_start_s)
            wait_s.add_metric(name, model.waited_s)
            batch_s.add_metric(name, model.computed_s)
            waiting.add_metric(name, model.waiting)
            instances.add_metric(name, model.instances)
            loaded.add_metric(name, float(model.loaded))
        return families
