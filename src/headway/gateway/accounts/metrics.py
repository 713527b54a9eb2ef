"""Prometheus metrics of requests, of the queue and of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headway.core.decision import RejectReason
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.gateway.accounts.counted import Counter, Distribution, Histogram
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.perception import Perception
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.work.work import Work
from headway.sharing.mode import Mode
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
        self.registry.register(_Queue(dispatcher))
        self.registry.register(_Predictions(foresight, perception))
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
        self.registry.register(_Policy(scheduler, advisor))

    def log(self, request_log: RequestLog) -> None:
        """Export what the request log keeps and loses."""
        self.registry.register(
            _Counts(
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
            _Counts(
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


class _Predictions(Collector):
    """Number and quality of predictions."""

    def __init__(self, foresight: Foresight, perception: Perception | None) -> None:
        self._foresight = foresight
        self._perception = perception

    def collect(self) -> Iterable[Metric]:
        foresight = self._foresight
        if foresight.live is None:
            return []
        metrics: list[Metric] = [
            CounterMetricFamily(
                "headway_predictions", "Predictions from prompts", foresight.predicted
            ),
            CounterMetricFamily(
                "headway_refinements", "Predictions from unfinished answers", foresight.refined
            ),
            CounterMetricFamily(
                "headway_prediction_failures",
                "Prompts and answers that the predictor failed on",
                foresight.failed,
            ),
            CounterMetricFamily(
                "headway_prediction_seconds", "Time the predictor took", foresight.spent_s
            ),
            GaugeMetricFamily(
                "headway_prediction_trusted",
                "1 while predictions are trusted and used, else 0",
                float(foresight.watch.trusted),
            ),
        ]
        if foresight.refits is not None:
            refits = CounterMetricFamily(
                "headway_prediction_refits", "Predictors retrained", labels=["outcome"]
            )
            refits.add_metric(["replaced"], foresight.refits.replaced)
            refits.add_metric(["kept"], foresight.refits.kept)
            metrics.append(refits)
        if self._perception is not None:
            questions = CounterMetricFamily(
                "headway_prediction_questions",
                "Questions to models about the length of their answers",
                labels=["reply"],
            )
            questions.add_metric(["number"], self._perception.answered)
            questions.add_metric(["none"], self._perception.unanswered)
            metrics.append(questions)
        quality = foresight.watch.quality
        if quality is not None:
            gauges = {
                "kendall_tau": "Kendall's tau of predicted and real order, within each model",
                "tau_of_all": "Kendall's tau estimated for all predictions; trust depends on it",
                "pairwise_accuracy": "Share of pairs in the right order",
                "coverage_80": "Share of lengths inside the predicted 80% interval",
                "bias_octaves": "Mean log2 of length over prediction",
            }
            metrics += [
                GaugeMetricFamily(
                    f"headway_prediction_{name}",
                    f"{text}, over the last {quality.n} requests",
                    getattr(quality, name),
                )
                for name, text in gauges.items()
            ]
        return metrics


class _Policy(Collector):
    """The policy in use, and how often it changed by itself."""

    def __init__(self, scheduler: Scheduler, advisor: Advisor | None) -> None:
        self._scheduler = scheduler
        self._advisor = advisor

    def collect(self) -> Iterable[Metric]:
        policy = GaugeMetricFamily("headway_policy", "1 for the policy in use", labels=["policy"])
        policy.add_metric([self._scheduler.policy_name], 1.0)
        metrics: list[Metric] = [policy, *self._promise()]
        if self._advisor is None:
            return metrics
        advice = self._advisor.advice
        if advice is not None and advice.evidence is not None:
            metrics.append(
                GaugeMetricFamily(
                    "headway_policy_replay_mean_ratio",
                    "Mean latency in the last replay of what was served, over the real one",
                    advice.evidence.replayed_mean_s / advice.evidence.served_mean_s,
                )
            )
        return [
            *metrics,
            CounterMetricFamily(
                "headway_policy_replays", "Replays of recent traffic", self._advisor.replays
            ),
            CounterMetricFamily(
                "headway_policy_switches", "Changes of the policy", self._advisor.switches
            ),
        ]

    def _promise(self) -> Iterable[Metric]:
        """What `boost` promises, and what came of it."""
        tail = self._scheduler.tail
        if tail is None:
            return
        yield GaugeMetricFamily(
            "headway_tail_promised", "Promised p99 latency over that of fcfs", tail.tail
        )
        yield GaugeMetricFamily(
            "headway_boost_scale_seconds", "Scale of the head starts of boost", tail.scale_s
        )
        if tail.stretch is not None:
            yield GaugeMetricFamily(
                "headway_tail_stretch",
                "p99 latency over that of fcfs, of the last finished requests",
                tail.stretch,
            )


class _Counts(Collector):
    """What something else counts: names, texts, and what reads the counts."""

    def __init__(self, *counts: tuple[str, str, Callable[[], int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        return [
            CounterMetricFamily(f"headway_{name}", text, read())
            for name, text, read in self._counts
        ]


class _Queue(Collector):
    """The state of queue and backends at the time of the scrape."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def collect(self) -> Iterable[Metric]:
        scheduler = self._dispatcher.scheduler
        depth = GaugeMetricFamily("headway_queue_depth", "Waiting requests", labels=["tier"])
        backlog = GaugeMetricFamily(
            "headway_queue_backlog_seconds",
            "Predicted time to serve all waiting requests",
            labels=["tier"],
        )
        running = GaugeMetricFamily(
            "headway_requests_running", "Running requests", labels=["backend"]
        )
        slots = GaugeMetricFamily(
            "headway_backend_slots", "Requests that it may run at once", labels=["backend"]
        )
        healthy = GaugeMetricFamily("headway_backend_up", "1 while it is up", labels=["backend"])
        for tier in Tier:
            depth.add_metric([tier.label], scheduler.waiting(tier))
            backlog.add_metric([tier.label], scheduler.outlook.backlog_s(tier))
        for name, status in self._dispatcher.pool.statuses.items():
            running.add_metric([name], self._dispatcher.running_on(name))
            slots.add_metric([name], status.slots)
            healthy.add_metric([name], float(status.healthy))
        in_flight = GaugeMetricFamily(
            "headway_requests_in_flight",
            "Waiting and running requests",
            len(self._dispatcher.works),
        )
        metrics = [depth, backlog, running, slots, healthy, in_flight]
        if (queue := self._dispatcher.queue) is not None:
            metrics += [
                GaugeMetricFamily(
                    "headway_gateways", "Gateways that share one order", queue.members
                ),
                GaugeMetricFamily(
                    "headway_gateway_apart",
                    "1 while it gets no slots by that order",
                    float(queue.mode is not Mode.SHARED),
                ),
            ]
        return metrics
