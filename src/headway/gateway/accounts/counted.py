"""Counters and histograms of the event loop, exported when Prometheus scrapes.

The counters of prometheus-client take a lock on each count. The event loop is one thread, so here a
count is only an addition.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Counter(Collector):
    """A counter for every combination of labels.

    Args:
        name: as exported, without `_total`.
        text: for `# HELP`.
        labels: label names.
        registry: the registry that exports it.
    """

    def __init__(
        self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._values: dict[tuple[str, ...], float] = {}
        self._created_unix_s: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def add(self, amount: float, *labels: str) -> None:
        """Add `amount`. The combination is exported from now on, even if `amount` is 0."""
        try:
            self._values[labels] += amount
        except KeyError:
            self._values[labels] = amount
            self._created_unix_s[labels] = time.time()

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value, self._created_unix_s[labels])
        return [family]


class Distribution:
    """Counts observations by bucket.

    Args:
        bounds: upper bound of each bucket, ascending, without infinity.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.created_unix_s = time.time()
        self.counts = [0] * (len(bounds) + 1)
        """The count of each bucket, not cumulative; the last bucket has no bound."""
        self.sum = 0.0
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Histogram(Collector):
    """A distribution for each combination of labels.

    Args:
        name: as exported.
        text: for `# HELP`.
        labels: label names.
        registry: the registry that exports it.
        bounds: upper bound of each bucket, ascending, without infinity.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        bounds: Sequence[float],
    ) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, bounds
        self._distributions: dict[tuple[str, ...], Distribution] = {}
        registry.register(self)

    def labelled(self, *labels: str) -> Distribution:
        """The distribution of one combination of labels, which is exported from now on."""
        distribution = self._distributions.get(labels)
        if distribution is None:
            distribution = self._distributions[labels] = Distribution(self._bounds)
        return distribution

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, distribution in self._distributions.items():
            up_to = list(zip(names, accumulate(distribution.counts), strict=True))
            family.add_metric(labels, up_to, distribution.sum)
            family.add_sample(
                f"{self._name}_created",
                dict(zip(self._labels, labels, strict=True)),
                distribution.created_unix_s,
            )
        return [family]
