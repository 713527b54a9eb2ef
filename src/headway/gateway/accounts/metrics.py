"""Prometheus metrics of requests, of the queue and of predictions."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from headway.core.decision import RejectReason
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.gateway.accounts.counted import Counter, Distribution, Histogram
from headway.gateway.accounts.scraped import Counts, Policy, Predictions, QueueState
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.perception import Perception
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.work.work import Work
from headway.store.request_log import RequestLog
from headway.store.request_record import Outcome
from headway.traces.tracer import Tracer

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TPOT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
SLOWDOWN = (1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests, and exports all metrics from its own registry."""

    def __init__(
        self, dispatcher: Dispatcher, foresight: Foresight, perception: Perception | None
    ) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(QueueState(dispatcher))
        self.registry.register(Predictions(foresight, perception))
        self._wait = self._by_tier("wait_seconds", "From arrival to the first start", SECONDS)
        self._ttft = self._by_tier("ttft_seconds", "From arrival to the first token", SECONDS)
        self._tpot = self._by_tier("tpot_seconds", "Per output token after the first", TPOT_SECONDS)
        self._latency = self._by_tier("latency_seconds", "From arrival to the end", SECONDS)
        self._slowdown = self._by_tier("slowdown", "Latency divided by run time", SLOWDOWN)
        self._preemptions = self._counter("preemptions", "Preemptions of running requests", "tier")
        self._failovers = self._counter(
            "failovers", "Runs that ended because their backend failed", "tier"
        )
        self._due = self._counter(
            "requests_due", "Requests that waited until the starvation bound made them next", "tier"
        )
        self._tokens = self._counter("tokens", "Tokens of finished requests", "tier", "kind")
        self._requests = self._counter("requests", "Requests by outcome", "tier", "outcome")
        self._rejects = self._counter("rejects", "Requests rejected", "reason")
        self._cost = self._counter(
            "cost", "What requests cost, in the currency of the prices", "model", "tier"
        )
        self._unpriced = self._counter(
            "unpriced_requests", "Requests whose cost is unknown", "model", "tier"
        )
        # A counter that appears with its first count hides that count from Prometheus.
        for tier in Tier:
            for kind in ("prompt", "output"):
                self._tokens.add(0, tier.label, kind)
            for outcome in ("finished", "rejected", "failed"):
                self._requests.add(0, tier.label, outcome)
            for of_tier in (self._preemptions, self._failovers, self._due):
                of_tier.add(0, tier.label)
        self._requests.add(0, "", "rejected")
        for reason in RejectReason:
            self._rejects.add(0, reason.value)

    def _by_tier(self, name: str, text: str, bounds: Sequence[float]) -> dict[Tier, Distribution]:
        histogram = Histogram(f"headway_{name}", text, ["tier"], self.registry, bounds)
        return {tier: histogram.labelled(tier.label) for tier in Tier}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"headway_{name}", text, labels, self.registry)

    def policy(self, scheduler: Scheduler, advisor: Advisor | None) -> None:
        """Export the policy in use."""
        self.registry.register(Policy(scheduler, advisor))

    def log(self, request_log: RequestLog) -> None:
        """Export what the request log keeps and loses."""
        self.registry.register(
            Counts(
                ("log_rows", "Rows of the request log on disk", lambda: request_log.written),
                (
                    "log_rows_dropped",
                    "Rows of the request log lost to a full disk or a slow one",
                    lambda: request_log.dropped,
                ),
            )
        )

    def traces(self, tracer: Tracer) -> None:
        """Export what the tracer sends and loses."""
        self.registry.register(
            Counts(
                ("trace_spans", "Spans that the collector took", lambda: tracer.sent),
                (
                    "traces_dropped",
                    "Requests whose trace the collector did not take, or not in time",
                    lambda: tracer.dropped,
                ),
            )
        )

    def ended(self, work: Work, outcome: Outcome) -> None:
        """Count a request at its end."""
        request, served = work.request, work.served
        tier = request.tier
        label = tier.label
        if request.preemptions:
            self._preemptions.add(request.preemptions, label)
        if work.served.failovers:
            self._failovers.add(work.served.failovers, label)
        self._requests.add(1, label, outcome)
        waited_to_s = request.started_s if request.started_s >= 0.0 else served.ended_s
        if waited_to_s >= request.due_s:
            self._due.add(1, label)
        if outcome != "finished":
            return
        arrival_s = request.arrival_s
        latency_s = served.ended_s - arrival_s
        run_s = served.ended_s - request.started_s
        self._wait[tier].observe(request.started_s - arrival_s)
        self._latency[tier].observe(latency_s)
        if run_s > 0.0:
            self._slowdown[tier].observe(latency_s / run_s)
        if served.prompt_tokens:
            self._tokens.add(served.prompt_tokens, label, "prompt")
        if work.output_tokens:
            self._tokens.add(work.output_tokens, label, "output")
        if served.first_token_s >= 0.0:
            self._ttft[tier].observe(served.first_token_s - arrival_s)
            decode_s = served.last_token_s - served.first_token_s
            if decode_s > 0.0 and work.output_tokens > 1:
                self._tpot[tier].observe(decode_s / (work.output_tokens - 1))

    def cost(self, model: str, tier: str, cost: float | None) -> None:
        """Count what a request cost; None: it is not known."""
        if cost is None:
            self._unpriced.add(1, model, tier)
        elif cost:
            self._cost.add(cost, model, tier)

    def rejected(self, reason: str) -> None:
        """Count a rejected request.

        Args:
            reason: the error's code.
        """
        self._rejects.add(1, reason)

    def refused(self, outcome: Outcome, reason: str) -> None:
        """Count a request that ended before its tier was known: its tier is empty.

        Args:
            outcome: `rejected`, or `failed`.
            reason: the error's code.
        """
        self._requests.add(1, "", outcome)
        if outcome == "rejected":
            self.rejected(reason)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
