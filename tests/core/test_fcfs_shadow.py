"""The shadow of first come, first served, against the real thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.fcfs_shadow import FcfsShadow

jobs = st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 9)), min_size=1, max_size=40)


def served(shadow: FcfsShadow, arriving: list[tuple[float, int]], shortest: bool) -> list[float]:
    """One slot serves jobs of (gap, work in s), with a promise kept by nobody; the latencies."""
    at_s, arrivals = 0.0, []
    for gap_s, work in arriving:
        at_s += gap_s
        arrivals.append((at_s, work))
    now_s, waiting, latencies, sent = 0.0, [], [], 0
    while len(latencies) < len(arrivals):
        while sent < len(arrivals) and arrivals[sent][0] <= now_s:
            shadow.arrived(str(sent), float(arrivals[sent][1]), arrivals[sent][0])
            waiting.append(sent)
            sent += 1
        if not waiting:
            now_s = arrivals[sent][0]
            continue
        chosen = min(waiting, key=lambda n: arrivals[n][1]) if shortest else waiting[0]
        waiting.remove(chosen)
        shadow.started(str(chosen), now_s)
        began_s, end_s = now_s, now_s + arrivals[chosen][1]
        while sent < len(arrivals) and arrivals[sent][0] < end_s:
            shadow.arrived(str(sent), float(arrivals[sent][1]), arrivals[sent][0])
            waiting.append(sent)
            sent += 1
        now_s = end_s
        shadow.finished(str(chosen), float(arrivals[chosen][1]), began_s, now_s)
        latencies.append(now_s - arrivals[chosen][0])
    return latencies


@given(jobs)
def test_it_is_reality_where_reality_is_fcfs(arriving) -> None:
    shadow = FcfsShadow()
    latencies = served(shadow, arriving, shortest=False)
    assert shadow.overtaken == 0 and not shadow.waits
    assert shadow.stretch == pytest.approx(1.0)
    assert shadow.tail_s == pytest.approx(sorted(latencies)[int(0.99 * len(latencies))])


@given(jobs)
def test_it_is_within_one_job_of_fcfs_where_reality_is_sjf(arriving) -> None:
    shadow, fcfs = FcfsShadow(), FcfsShadow()
    served(shadow, arriving, shortest=True)
    served(fcfs, arriving, shortest=False)
    assert not shadow.waits
    assert abs(shadow.tail_s - fcfs.tail_s) <= 9.0 + 1e-6


def test_whoever_is_overtaken_is_known_with_its_latency_from_now() -> None:
    shadow = FcfsShadow()
    shadow.arrived("first", 1.0, 0.0)
    shadow.started("first", 0.0)
    shadow.arrived("long", 8.0, 0.0)
    shadow.arrived("short", 1.0, 0.0)
    shadow.finished("first", 1.0, 0.0, 1.0)
    shadow.started("short", 1.0)
    shadow.finished("short", 1.0, 1.0, 2.0)
    assert shadow.overtaken == 1
    assert shadow.latest_s(limit_s=1e9, now_s=2.0) == pytest.approx(2.0 + 1.0)  # runs: 1 s so far
    shadow.started("long", 2.0)
    assert shadow.overtaken == 0


def test_a_wrong_prediction_is_corrected_in_both_orders() -> None:
    shadow = FcfsShadow()
    shadow.arrived("a", 1.0, 0.0)
    shadow.started("a", 0.0)
    shadow.arrived("b", 2.0, 0.0)
    shadow.revised("b", 5.0)
    shadow.finished("a", 50.0, 0.0, 50.0)
    assert shadow.overtaken == 0
    shadow.started("b", 50.0)
    shadow.finished("b", 1.0, 50.0, 51.0)
    assert not shadow.waits
    assert shadow.stretch == pytest.approx(1.0)


@pytest.mark.parametrize("began", [False, True])
def test_whoever_leaves_is_in_neither_order(began) -> None:
    shadow = FcfsShadow()
    shadow.arrived("a", 3.0, 0.0)
    shadow.arrived("b", 3.0, 0.0)
    if began:
        shadow.started("b", 1.0)
        assert shadow.overtaken == 1
    shadow.left("a", 2.0)
    shadow.left("b", 2.0)
    shadow.left("nobody", 2.0)
    assert not shadow.waits
    assert shadow.tail_s == 0.0
