"""The numbers of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import sqrt
from statistics import fmean, median

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.solo import SoloTime


@dataclass(frozen=True, slots=True)
class Summary:
    """Numbers over all complete answers of a run; latency is from the planned arrival."""

    requests: int
    errors: int
    """Requests without a complete answer."""
    duration_s: float
    """From the first arrival to the last byte."""
    output_tokens: int
    throughput_tokens_per_s: float
    in_system: float
    """Mean number of requests that wait or run: the load."""
    latency_mean_s: float
    latency_p50_s: float
    latency_p90_s: float
    latency_p99_s: float
    latency_worst_s: float
    wait_worst_s: float
    """Longest time spent waiting: as the server reports it, else TTFT beyond an idle server's."""
    slowdown_mean: float
    """Latency over the request's service time alone on the idle server."""
    slowdown_p99: float
    s_per_token_mean: float
    """Of latency over output tokens."""
    ttft_mean_s: float
    ttft_p50_s: float
    ttft_p99_s: float
    tpot_mean_s: float
    preemptions: int

    @classmethod
    def of(cls, outcomes: Sequence[RequestResult], solo: SoloTime) -> Summary:
        """The summary of one run; all times are 0 where nothing was answered."""
        good = [outcome for outcome in outcomes if outcome.ok]
        latencies = [outcome.latency_s for outcome in good]
        ttfts = [outcome.ttft_s for outcome in good if outcome.ttft_s is not None]
        slowdowns = [slowdown(outcome, solo) for outcome in good]
        tokens = sum(outcome.output_tokens for outcome in good)
        end_s = max((o.request.at_s + o.latency_s for o in outcomes), default=0.0)
        duration_s = end_s - min((o.request.at_s for o in outcomes), default=0.0)
        return cls(
            requests=len(outcomes),
            errors=len(outcomes) - len(good),
            duration_s=duration_s,
            output_tokens=tokens,
            throughput_tokens_per_s=tokens / duration_s if duration_s else 0.0,
            in_system=sum(o.latency_s for o in outcomes) / duration_s if duration_s else 0.0,
            latency_mean_s=mean(latencies),
            latency_p50_s=percentile(latencies, 0.5),
            latency_p90_s=percentile(latencies, 0.9),
            latency_p99_s=percentile(latencies, 0.99),
            latency_worst_s=max(latencies, default=0.0),
            wait_worst_s=max((wait_s(outcome, solo) for outcome in good), default=0.0),
            slowdown_mean=mean(slowdowns),
            slowdown_p99=percentile(slowdowns, 0.99),
            s_per_token_mean=mean([o.latency_s / o.output_tokens for o in good if o.output_tokens]),
            ttft_mean_s=mean(ttfts),
            ttft_p50_s=percentile(ttfts, 0.5),
            ttft_p99_s=percentile(ttfts, 0.99),
            tpot_mean_s=mean([tpot_s(outcome) for outcome in good if outcome.output_tokens > 1]),
            preemptions=sum(outcome.preemptions for outcome in outcomes),
        )

    @classmethod
    def median_of(cls, summaries: Sequence[Summary]) -> Summary:
        """Each number's median over repeated runs."""
        rows = [asdict(summary) for summary in summaries]
        medians = {field.name: median(row[field.name] for row in rows) for field in fields(cls)}
        return cls(**medians)


def wait_s(outcome: RequestResult, solo: SoloTime) -> float:
    """Time spent waiting: as the server reports it, else TTFT beyond an idle server's."""
    if outcome.queue_s is not None:
        return outcome.queue_s
    return max(0.0, (outcome.ttft_s or 0.0) - solo.ttft_s(outcome.prompt_tokens))


def slowdown(outcome: RequestResult, solo: SoloTime) -> float:
    """Latency over service time alone; 0 if that is unknown."""
    service_s = solo.service_s(outcome.prompt_tokens, outcome.output_tokens)
    return outcome.latency_s / service_s if service_s > 0 else 0.0


def tpot_s(outcome: RequestResult) -> float:
    """Time per output token after the first."""
    decode_s = outcome.latency_s - (outcome.ttft_s or 0.0)
    return decode_s / max(1, outcome.output_tokens - 1)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; 0 of nothing."""
    return fmean(values) if values else 0.0


def percentile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` lies, between neighbours in proportion; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: standard deviation over mean; 0 of nothing."""
    centre = mean(values)
    if not centre:
        return 0.0
    return sqrt(fmean((value - centre) ** 2 for value in values)) / centre
