"""Metrics that are read from their owners whenever Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.perception import Perception
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.foresight.foresight import Foresight
from headway.sharing.mode import Mode


class Predictions(Collector):
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


class Policy(Collector):
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


class Counts(Collector):
    """What something else counts: names, texts, and what reads the counts."""

    def __init__(self, *counts: tuple[str, str, Callable[[], int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        return [
            CounterMetricFamily(f"headway_{name}", text, read())
            for name, text, read in self._counts
        ]


class QueueState(Collector):
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
