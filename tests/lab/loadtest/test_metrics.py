import pytest

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.metrics import Summary, percentile, variation
from headway.lab.loadtest.solo import SoloTime
from headway.lab.loadtest.workload import LoadRequest

SOLO = SoloTime(base_s=0.1, prefill_s_per_token=0.01, decode_s_per_token=0.1)


def outcome(latency_s: float, tokens: int, at_s: float = 0.0, **more: object) -> RequestResult:
    request = LoadRequest(at_s, ({"role": "user", "content": "Hi"},), 100)
    made = RequestResult(
        request,
        ttft_s=latency_s / 2,
        latency_s=latency_s,
        prompt_tokens=10,
        output_tokens=tokens,
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_run_is_summed_up() -> None:
    run = [outcome(2.0, 11), outcome(4.0, 21, at_s=4.0, preemptions=3)]
    summary = Summary.of(run, SOLO)
    assert summary.duration_s == 8.0
    assert summary.throughput_tokens_per_s == 4.0
    assert summary.in_system == 0.75
    assert summary.latency_mean_s == summary.latency_p50_s == 3.0
    assert summary.latency_worst_s == 4.0
    assert summary.ttft_mean_s == 1.5
    assert summary.tpot_mean_s == pytest.approx(0.1)
    assert summary.s_per_token_mean == pytest.approx((2 / 11 + 4 / 21) / 2)
    assert summary.preemptions == 3


def test_slowdown_is_latency_over_the_time_alone() -> None:
    # alone: 0.2 s to the first token, then 10 x 0.1 s
    assert Summary.of([outcome(2.4, 11)], SOLO).slowdown_mean == pytest.approx(2.0)


def test_the_wait_is_the_servers_word_or_else_the_ttft_beyond_that_of_an_idle_server() -> None:
    assert Summary.of([outcome(2.0, 5, queue_s=0.7)], SOLO).wait_worst_s == 0.7
    assert Summary.of([outcome(2.0, 5)], SOLO).wait_worst_s == pytest.approx(0.8)


def test_errors_are_counted_and_not_averaged() -> None:
    summary = Summary.of([outcome(2.0, 5), outcome(600.0, 1, error="timeout")], SOLO)
    assert (summary.requests, summary.errors, summary.latency_worst_s) == (2, 1, 2.0)
    nothing = Summary.of([outcome(600.0, 0, error="timeout")], SOLO)
    assert nothing.latency_mean_s == nothing.latency_p99_s == nothing.wait_worst_s == 0.0


def test_the_median_of_runs_is_taken_number_by_number() -> None:
    runs = [Summary.of([outcome(s, 10)], SOLO) for s in (1.0, 9.0, 2.0)]
    assert Summary.median_of(runs).latency_mean_s == 2.0


def test_percentiles_lie_between_neighbours() -> None:
    assert percentile([4, 1, 3, 2], 0.5) == 2.5
    assert percentile([1, 2, 3], 1.0) == 3
    assert percentile([], 0.5) == 0.0


def test_variation_is_deviation_over_mean() -> None:
    assert variation([5, 5, 5]) == 0.0
    assert variation([0, 10]) == 1.0
    assert variation([]) == 0.0
