"""The table of `optimal`: against every policy there is on a small queue, and in shape."""

from collections.abc import Iterator
from itertools import product
from math import exp, factorial

import numpy as np
import pytest

from headway.core.batching.smdp import Problem, solve


def linear(fixed_s: float, item_s: float, most: int) -> tuple[float, ...]:
    return tuple(fixed_s + item_s * size for size in range(1, most + 1))


def mean_latency_s(problem: Problem, policy: tuple[int, ...]) -> float:
    """Of `policy`, by the stationary distribution of the numbers waiting at decisions."""
    rate, last = problem.rate_per_s, len(policy) - 1
    transitions = np.zeros((last + 1, last + 1))
    costs, times = np.zeros(last + 1), np.zeros(last + 1)
    for waiting, size in enumerate(policy):
        if not size:
            times[waiting], costs[waiting] = 1.0 / rate, waiting / rate
            transitions[waiting, min(waiting + 1, last)] = 1.0
            continue
        took_s = problem.took_s[size - 1]
        times[waiting] = took_s
        costs[waiting] = waiting * took_s + rate * took_s**2 / 2.0
        for arrivals in range(60):
            probability = exp(-rate * took_s) * (rate * took_s) ** arrivals / factorial(arrivals)
            transitions[waiting, min(waiting - size + arrivals, last)] += probability
    # pi (P - I) = 0, and pi sums to one.
    equations = np.vstack([(transitions.T - np.eye(last + 1)), np.ones(last + 1)])
    right = np.append(np.zeros(last + 1), 1.0)
    share = np.linalg.lstsq(equations, right, rcond=None)[0]
    return float(share @ costs / (share @ times) / rate)


def every_policy(most: int, last: int) -> Iterator[tuple[int, ...]]:
    """All ways to answer in each state: wait, or launch some size; the last state launches."""
    choices = [range(min(waiting, most) + 1) for waiting in range(last)]
    return product(*choices, range(1, most + 1))


@pytest.mark.parametrize("rate_per_s", [20.0, 60.0, 110.0])
@pytest.mark.parametrize(("fixed_s", "item_s"), [(0.020, 0.001), (0.010, 0.004), (0.001, 0.008)])
def test_no_policy_at_all_is_better_on_a_small_queue(fixed_s, item_s, rate_per_s) -> None:
    problem = Problem(rate_per_s, linear(fixed_s, item_s, 3), (1, 2, 3))
    table = solve(problem, states=5)
    best_s = min(mean_latency_s(problem, policy) for policy in every_policy(3, 5))
    assert table.latency_s == pytest.approx(best_s, rel=1e-6)
    assert mean_latency_s(problem, table.sizes) == pytest.approx(best_s, rel=1e-6)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8, 0.95])
def test_it_is_a_control_limit(load) -> None:
    """Once there are enough to launch, there are enough with one more, too."""
    took_s = linear(0.005, 0.0005, 32)
    table = solve(Problem(load * 32 / took_s[-1], took_s, tuple(range(1, 33))))
    launches = [size > 0 for size in table.sizes]
    assert launches == sorted(launches)


def test_under_a_low_load_no_item_waits() -> None:
    assert solve(Problem(1.0, linear(0.005, 0.001, 8), tuple(range(1, 9)))).size(1) == 1


def test_with_a_high_fixed_cost_and_a_high_load_it_waits_for_a_few() -> None:
    assert solve(Problem(3000.0, linear(0.005, 0.00001, 32), (1, 16, 32))).size(1) == 0


def test_a_size_that_fills_its_padding_is_worth_more() -> None:
    """A model that takes 1, 4 or 8: what needs padding to 8 is launched as 4 at first."""
    took_s = (0.004, *[0.006] * 3, *[0.012] * 4)
    table = solve(Problem(300.0, took_s, (1, 4, 8)))
    assert table.size(5) == 4


def test_a_rate_beyond_what_the_model_can_do_is_solved_as_a_high_load() -> None:
    table = solve(Problem(1e6, linear(0.005, 0.001, 8), tuple(range(1, 9))))
    assert table.size(100) == 8


def test_more_items_than_there_are_states_are_as_the_last() -> None:
    table = solve(Problem(100.0, linear(0.005, 0.001, 8), (1, 8)), states=12)
    assert table.size(10**6) == table.sizes[12]


def test_with_a_hundred_arrivals_a_batch_an_empty_queue_is_unlikely_but_not_impossible() -> None:
    problem = Problem(5000.0, linear(0.01, 0.0001, 120), (1, 30, 60, 90, 120))
    assert 0.01 < solve(problem, states=200).latency_s < 0.1


@pytest.mark.parametrize(
    "problem", [Problem(0.0, (0.1,), (1,)), Problem(1.0, (), ()), Problem(1.0, (0.0,), (1,))]
)
def test_a_problem_without_rate_or_durations_is_an_error(problem) -> None:
    with pytest.raises(ValueError, match="positive arrival rate"):
        solve(problem)
