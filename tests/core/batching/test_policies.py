"""When each policy launches, and how its mean latency compares with the best constant's."""

from functools import cache
from statistics import fmean

import pytest
from tests.core.batching.simulate import batcher, poisson, simulate

from headway.core.batching import Batch, Curve, Limits, QueueSnapshot
from headway.core.batching.adaptive import Adaptive, batch_size
from headway.core.batching.constant import Constant
from headway.core.batching.optimal import Optimal
from headway.core.batching.smdp import Problem, Table

CURVE = Curve(fixed_s=0.010, item_s=0.001)


def snapshot(waiting: int, rate_per_s: float = 0.0, now_s: float = 0.0, **facts) -> QueueSnapshot:
    """Items that came at 0 and wait for the only worker."""
    facts.setdefault("curve", CURVE)
    facts.setdefault("limits", Limits(max_size=32))
    facts.setdefault("workers", 1)
    facts.setdefault("free_workers", 1)
    facts.setdefault("sizes", tuple(range(1, 33)))
    return QueueSnapshot(now_s, waiting, 0.0, 0.0, rate_per_s, 1.0, **facts)


def ended(size: int) -> Batch:
    return Batch(1, tuple(range(size)), size, 1, 0.0, 0.0)  # type: ignore[arg-type]


def test_constant_launches_what_is_full_and_what_waited_long_enough() -> None:
    policy = Constant(max_size=8, max_delay_s=0.005)
    assert policy.size(snapshot(7)) == 0
    assert policy.until_s(snapshot(7)) == 0.005
    assert policy.size(snapshot(8)) == 8
    assert policy.size(snapshot(20)) == 8
    assert policy.size(snapshot(3, now_s=0.005)) == 3


def test_constant_waits_for_no_more_than_a_batch_may_hold() -> None:
    assert Constant(max_size=32, max_delay_s=1.0).size(snapshot(6, sizes=(1, 2, 6))) == 6


def test_adaptive_waits_for_half_of_the_arrivals_in_one_fixed_cost() -> None:
    policy = Adaptive()
    # 1,000 a second and 10 ms: 10 come in one fixed cost, so 5 are worth waiting for.
    assert policy.size(snapshot(4, 1000.0)) == 0
    assert policy.until_s(snapshot(4, 1000.0)) == 0.005
    assert policy.size(snapshot(5, 1000.0)) == 5
    # At 100 a second one arrives in it: it does not wait.
    assert policy.size(snapshot(1, 100.0)) == 1


def test_adaptive_stops_waiting_when_no_more_items_arrive() -> None:
    assert Adaptive().size(snapshot(1, 1000.0, now_s=0.005)) == 1


def test_adaptive_does_not_wait_while_another_worker_is_free() -> None:
    policy = Adaptive()
    assert policy.size(snapshot(2, 2000.0, workers=2, free_workers=2)) == 1
    assert policy.size(snapshot(2, 2000.0, workers=2, free_workers=1)) == 0


def test_adaptive_cuts_where_items_cost_more_than_batches() -> None:
    """10 items of 10 ms, a fixed cost of 10 ms, no arrivals: in 4, 3, 2 and 1."""
    sizes, waiting = [], 10
    while waiting:
        sizes.append(batch_size(waiting, 0.0, 0.010, 0.010))
        waiting -= sizes[-1]
    assert sizes == [4, 3, 2, 1]


def test_adaptive_takes_all_where_items_cost_nothing() -> None:
    assert batch_size(1000, 10.0, 0.010, 1e-9) == 1000


def test_adaptive_takes_all_when_there_is_more_work_than_time() -> None:
    assert batch_size(500, 2000.0, 0.010, 0.001) == 500


def test_adaptive_keeps_batches_to_half_the_slo() -> None:
    policy = Adaptive(slo_s=0.060)
    assert policy.size(snapshot(32)) > 20
    for _ in range(60):
        size = policy.size(snapshot(32))
        policy.finished(ended(size), CURVE.batch_s(size, 1))
    # 10 ms and 1 ms an item: 20 items take 30 ms. Up one by one and down by a tenth.
    assert 17 <= policy.size(snapshot(32)) <= 21


def test_optimal_does_as_its_table_says() -> None:
    policy = Optimal()
    policy.use(Table(Problem(1000.0, (0.011, 0.012, 0.013), (1, 2, 3)), (0, 0, 2, 3), 0.02))
    assert [policy.size(snapshot(waiting, 1000.0)) for waiting in (1, 2, 3, 9)] == [0, 2, 3, 3]


def test_optimal_stops_waiting_when_no_more_items_arrive() -> None:
    policy = Optimal()
    policy.use(Table(Problem(1000.0, (0.011, 0.012), (1, 2)), (0, 0, 2), 0.02))
    assert policy.size(snapshot(1, 1000.0, now_s=0.004)) == 0
    assert policy.until_s(snapshot(1, 1000.0, now_s=0.004)) == pytest.approx(0.005)
    assert policy.size(snapshot(1, 1000.0, now_s=0.005)) == 1


def test_optimal_needs_a_new_table_when_rate_or_curve_drift() -> None:
    policy = Optimal()
    problem = policy.problem(snapshot(1, 1000.0))
    assert problem is not None
    assert problem.took_s[:2] == pytest.approx((0.011, 0.012))
    policy.use(Table(problem, (0, 1), 0.02))
    assert policy.problem(snapshot(1, 1050.0)) is None
    assert policy.problem(snapshot(1, 1300.0)) is not None
    slower = Curve(fixed_s=0.020, item_s=0.001)
    assert policy.problem(snapshot(1, 1000.0, curve=slower)) is not None


def test_optimal_poses_no_problem_while_the_rate_is_unknown() -> None:
    assert Optimal().problem(snapshot(1)) is None


MODELS = {
    "a GPU: batches are nearly free": Curve(0.005, 0.0002),
    "in between": Curve(0.005, 0.001),
    "a CPU: items cost more than batches": Curve(0.001, 0.001),
    "items cost nearly all": Curve(0.0003, 0.002),
}
MAX_SIZE = 16
ITEMS = 1200


def rate_per_s(model: str, load: float) -> float:
    """Arrivals that keep one worker busy for a share `load` of its time, in full batches."""
    return load * MAX_SIZE / MODELS[model].batch_s(MAX_SIZE, 1)


def mean_s(model: str, load: float, policy: str, **batching) -> float:
    items = poisson(rate_per_s(model, load), ITEMS, seed=7)
    outcome = simulate(batcher(policy, MAX_SIZE, **batching), items, MODELS[model])
    return fmean(outcome.latencies_s.values())


@cache
def best_constant_s(model: str, load: float) -> float:
    """The least mean latency of all constants (N, K) on a grid, known only afterwards."""
    means = []
    for max_size in (1, 2, 4, 6, 8, 12, 16):
        capacity = max_size / MODELS[model].batch_s(max_size, 1)
        if rate_per_s(model, load) > 0.98 * capacity:
            continue
        for fixed_costs in (0.0, 0.5, 1.0):
            delay_s = fixed_costs * MODELS[model].fixed_s
            means.append(mean_s(model, load, "constant", max_size=max_size, max_delay_s=delay_s))
    return min(means)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("policy", ["adaptive", "optimal"])
def test_mean_latency_is_that_of_the_best_constant_without_tuning(policy, model, load) -> None:
    """Both begin with no knowledge of the model or of the load, and pay for learning it."""
    assert mean_s(model, load, policy) <= 1.05 * best_constant_s(model, load)
