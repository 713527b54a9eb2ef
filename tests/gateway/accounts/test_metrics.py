"""The metrics that operators build dashboards on: their names, labels and buckets do not change."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.doubles import EnginePool, dispatcher_of

from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.gateway.accounts.metrics import Metrics
from headway.gateway.accounts.model_metrics import ModelMetrics
from headway.gateway.work.served import Served
from headway.gateway.work.work import Work
from headway.models.catalog import Catalog
from headway.prediction.live.history import Origin
from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord

FAMILIES = {
    "headway_queue_depth": ("gauge", "Waiting requests", {"tier"}),
    "headway_queue_backlog_seconds": (
        "gauge",
        "Predicted time to serve all waiting requests",
        {"tier"},
    ),
    "headway_requests_in_flight": ("gauge", "Waiting and running requests", set()),
    "headway_wait_seconds": ("histogram", "From arrival to the first start", {"tier", "le"}),
    "headway_ttft_seconds": ("histogram", "From arrival to the first token", {"tier", "le"}),
    "headway_tpot_seconds": ("histogram", "Per output token after the first", {"tier", "le"}),
    "headway_latency_seconds": ("histogram", "From arrival to the end", {"tier", "le"}),
    "headway_slowdown": ("histogram", "Latency divided by run time", {"tier", "le"}),
    "headway_preemptions": ("counter", "Preemptions of running requests", {"tier"}),
    "headway_failovers": ("counter", "Runs that ended because their backend failed", {"tier"}),
    "headway_requests_due": (
        "counter",
        "Requests that waited until the starvation bound made them next",
        {"tier"},
    ),
    "headway_tokens": ("counter", "Tokens of finished requests", {"tier", "kind"}),
    "headway_requests": ("counter", "Requests by outcome", {"tier", "outcome"}),
    "headway_rejects": ("counter", "Requests rejected", {"reason"}),
    "headway_cost": (
        "counter",
        "What requests cost, in the currency of the prices",
        {"model", "tier"},
    ),
    "headway_unpriced_requests": (
        "counter",
        "Requests whose cost is unknown",
        {"model", "tier"},
    ),
    "headway_model_requests": ("counter", "Requests by outcome", {"model", "tier", "outcome"}),
    "headway_model_latency_seconds": (
        "histogram",
        "From arrival to the answer",
        {"model", "tier", "le"},
    ),
}
BY_BACKEND = {"headway_requests_running", "headway_backend_slots", "headway_backend_up"}
"""Have no samples without a backend."""
BY_MODEL = {
    "headway_model_batches",
    "headway_model_items",
    "headway_model_cold_starts",
    "headway_model_cold_start_seconds",
    "headway_model_waiting",
    "headway_model_instances",
    "headway_model_loaded",
    "headway_model_item_wait_seconds",
    "headway_model_item_batch_seconds",
}
"""Have none without a model that answers whole batches."""
SECONDS = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 60.0 120.0 300.0 600.0 +Inf"
BUCKETS = {
    "headway_wait_seconds": SECONDS,
    "headway_ttft_seconds": SECONDS,
    "headway_tpot_seconds": "0.001 0.0025 0.005 0.01 0.02 0.03 0.05 0.075 0.1 0.2 0.5 1.0 +Inf",
    "headway_latency_seconds": SECONDS,
    "headway_slowdown": "1.0 1.25 1.5 2.0 3.0 5.0 10.0 20.0 50.0 100.0 1000.0 +Inf",
    "headway_model_latency_seconds": (
        "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 60.0 +Inf"
    ),
}


@pytest.fixture
def metrics() -> Metrics:
    dispatcher, foresight = dispatcher_of(EnginePool())
    return Metrics(dispatcher, foresight, None)


def work(tier: Tier = Tier.STANDARD, **changes: object) -> Work:
    """It waited 1 s, had its first token 0.5 s later, and 100 of them in 2 s."""
    request = Request(
        id="r1",
        arrival_s=10.0,
        prompt_tokens=5,
        estimate=SizeEstimate.exactly(100),
        lane="m",
        tier=tier,
        tenant="a name that the client chose",
        program="another",
    )
    origin = Origin("m", request.tenant, 0, request.program)
    one = Work(request, "chat", "/v1/chat/completions", origin, b"", {})
    request.started_s = 11.0
    one.served = Served(
        first_token_s=11.5, last_token_s=13.5, ended_s=13.5, prompt_tokens=7, billed_tokens=101
    )
    for name, value in changes.items():
        setattr(one.served, name, value)
    return one


def value(metrics: Metrics, name: str, tier: str = "standard", **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"headway_{name}", {"tier": tier, **labels})


def test_families_labels_buckets_and_help_are_what_they_were(metrics: Metrics) -> None:
    of_models = ModelMetrics(Catalog(), metrics.registry)
    of_models.ended("a model", Tier.BATCH, "finished", 0.5)
    stopped = work(failovers=1)
    stopped.request.preemptions = 1
    metrics.ended(stopped, "rejected")
    metrics.rejected("queue_full")
    metrics.cost("a model", "batch", 0.5)
    metrics.cost("a model", "batch", None)
    text = metrics.exposition().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, (kind, help_text, labels) in FAMILIES.items():
        family = families[name]
        assert (family.type, family.documentation) == (kind, help_text), name
        assert {label for one in family.samples for label in one.labels} == labels, name
    for name, bounds in BUCKETS.items():
        found = [one.labels["le"] for one in families[name].samples if "le" in one.labels]
        assert found[: len(bounds.split())] == bounds.split(), name
        assert set(found) == set(bounds.split()), name
    of_headway = {name for name in families if not name.startswith("process_")}
    others = {name.removesuffix("_created") for name in of_headway} - set(FAMILIES)
    assert others == BY_BACKEND | BY_MODEL


def test_every_tier_has_its_numbers_from_the_start(metrics: Metrics) -> None:
    for tier in ("interactive", "standard", "batch"):
        assert value(metrics, "requests_total", tier, outcome="finished") == 0.0
        assert value(metrics, "tokens_total", tier, kind="prompt") == 0.0
        assert value(metrics, "tokens_total", tier, kind="output") == 0.0
        assert value(metrics, "wait_seconds_bucket", tier, le="+Inf") == 0.0
        assert value(metrics, "slowdown_count", tier) == 0.0
        for name in ("preemptions_total", "failovers_total", "requests_due_total"):
            assert value(metrics, name, tier) == 0.0
    rejects = {"reason": "queue_full"}
    assert metrics.registry.get_sample_value("headway_rejects_total", rejects) == 0.0


def test_a_finished_request_counts_in_all_of_them(metrics: Metrics) -> None:
    metrics.ended(work(), "finished")
    assert value(metrics, "requests_total", outcome="finished") == 1.0
    assert value(metrics, "tokens_total", kind="prompt") == 7.0
    assert value(metrics, "tokens_total", kind="output") == 101.0
    assert value(metrics, "wait_seconds_sum") == 1.0
    assert value(metrics, "wait_seconds_bucket", le="1.0") == 1.0
    assert value(metrics, "wait_seconds_bucket", le="0.5") == 0.0
    assert value(metrics, "ttft_seconds_sum") == 1.5
    assert value(metrics, "tpot_seconds_sum") == pytest.approx(0.02)
    assert value(metrics, "latency_seconds_sum") == 3.5
    assert value(metrics, "slowdown_sum") == pytest.approx(3.5 / 2.5)
    assert value(metrics, "wait_seconds_count", "batch") == 0.0


def test_a_request_that_did_not_finish_counts_by_its_outcome_alone(metrics: Metrics) -> None:
    metrics.ended(work(), "cancelled")
    assert value(metrics, "requests_total", outcome="cancelled") == 1.0
    assert value(metrics, "requests_total", outcome="finished") == 0.0
    assert value(metrics, "latency_seconds_count") == 0.0
    assert value(metrics, "tokens_total", kind="output") == 0.0


def test_a_request_counts_as_due_that_waited_as_long_as_the_bound_allows(metrics: Metrics) -> None:
    for due_s in (10.9, 11.0, 11.1, float("inf")):  # it started at 11
        one = work()
        one.request.due_s = due_s
        metrics.ended(one, "finished")
    gave_up = work(ended_s=20.0)
    gave_up.request.started_s, gave_up.request.due_s = -1.0, 19.0
    metrics.ended(gave_up, "cancelled")
    assert value(metrics, "requests_due_total") == 3.0


def test_rows_of_the_request_log_are_counted(metrics: Metrics, tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    metrics.log(log)
    log.write(
        RequestRecord(id="r1", arrival_unix_s=0.0, tier="batch", outcome="finished", status=200)
    )
    log.close()
    log.write(
        RequestRecord(id="r2", arrival_unix_s=0.0, tier="batch", outcome="finished", status=200)
    )
    assert metrics.registry.get_sample_value("headway_log_rows_total") == 1.0
    assert metrics.registry.get_sample_value("headway_log_rows_dropped_total") == 1.0


def test_the_process_is_measured(metrics: Metrics) -> None:
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds"):
        assert metrics.registry.get_sample_value(f"process_{name}")


def test_names_that_clients_choose_are_no_labels(metrics: Metrics) -> None:
    metrics.ended(work(), "finished")
    metrics.ended(work(), "failed")
    text = metrics.exposition().decode()
    assert "a name that the client chose" not in text
    assert "another" not in text
