"""Plain counts are exported as prometheus-client would export its own."""

from __future__ import annotations

import re

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest

from headway.gateway.accounts.counted import Counter, Histogram

BOUNDS = (0.005, 1, 2.5, 600)


def exposition(registry: CollectorRegistry) -> str:
    """Without the times of creation, which differ."""
    return re.sub(r"(_created\S*) \S+", r"\1", generate_latest(registry).decode())


def test_a_counter_is_exported_as_prometheus_clients_own() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = Counter("a_thing", "Things", ["tier", "kind"], ours)
    own = prometheus_client.Counter("a_thing", "Things", ["tier", "kind"], registry=theirs)
    assert exposition(ours) == exposition(theirs)
    for amount, labels in ((0, ("x", "y")), (1, ("x", "z")), (41, ("x", "z")), (0.5, ('"', "\n"))):
        plain.add(amount, *labels)
        own.labels(*labels).inc(amount)
    assert 'a_thing_total{kind="z",tier="x"} 42.0' in exposition(ours)
    assert exposition(ours) == exposition(theirs)


def test_a_histogram_is_exported_as_prometheus_clients_own() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = Histogram("a_time", "Times", ["tier"], ours, BOUNDS)
    own = prometheus_client.Histogram("a_time", "Times", ["tier"], registry=theirs, buckets=BOUNDS)
    assert exposition(ours) == exposition(theirs)
    for label in ("x", "y"):
        assert plain.labelled(label) is plain.labelled(label)
        own.labels(label)
    for value in (0.0, 0.005, 0.0050001, 1, 1.0, 2, 600, 601, 1e9):
        plain.labelled("x").observe(value)
        own.labels("x").observe(value)
    assert 'a_time_bucket{le="1.0",tier="x"} 5.0' in exposition(ours)
    assert exposition(ours) == exposition(theirs)


def test_the_time_of_creation_stays() -> None:
    registry = CollectorRegistry()
    counter = Counter("a_thing", "Things", ["tier"], registry)
    counter.add(1, "x")
    created = registry.get_sample_value("a_thing_created", {"tier": "x"})
    counter.add(1, "x")
    assert created == registry.get_sample_value("a_thing_created", {"tier": "x"})
    assert registry.get_sample_value("a_thing_total", {"tier": "x"}) == 2.0
