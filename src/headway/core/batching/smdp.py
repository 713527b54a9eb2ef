"""When to launch how many items for the least mean latency: a semi-Markov decision process.

A state is the number of waiting items at a moment when a worker is free; the last state stands for
all larger numbers. An action is to wait for the next arrival or to launch a batch of some size.
Arrivals are Poisson, and a batch of m items takes its predicted time. The cost rate is the number
of items that wait or run, so the least mean cost is the least mean latency (Little's law).

It is solved by policy iteration (Howard 1960; Puterman 1994, chapter 11): evaluate a policy exactly
by eliminating states, improve it in every state, and repeat until nothing changes. The paper uses
relative value iteration, which needs many more sweeps if batches differ much in duration; both end
at the same policy.

Source: Xu, Sun, Zhou and Niu, "SMDP-Based Dynamic Batching for Efficient Inference on GPU-Based
Platforms", arXiv:2301.12865, with latency as the only cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from operator import mul

TAIL_STATES = 96
"""Number of states beyond two batches of the largest size."""

HIGHEST_LOAD = 0.98
"""A higher load is solved as if it were this one, as its queue would grow without end."""

NEGLIGIBLE = 1e-10
"""Probabilities of a Poisson distribution below this share of the largest are left out."""

MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """The problem that a table solves."""

    rate_per_s: float
    """Arrivals at one worker."""
    took_s: tuple[float, ...]
    """Duration of a batch of 1, 2, ... items, up to the largest."""
    sizes: tuple[int, ...]
    """Batch sizes to choose from, ascending; launching all waiting items is always allowed, too."""


@dataclass(frozen=True, slots=True)
class Table:
    """The solution of a Problem."""

    problem: Problem
    sizes: tuple[int, ...]
    """How many to launch, by number of waiting items; 0: wait. The last entry holds beyond it."""
    latency_s: float
    """Predicted mean latency."""

    def size(self, waiting: int) -> int:
        """How many of `waiting` items to launch now; 0: wait for one more."""
        return self.sizes[min(waiting, len(self.sizes) - 1)]


def solve(problem: Problem, states: int | None = None) -> Table:
    """Solve `problem` for the least mean latency; takes a fraction of a second for 64 sizes.

    Args:
        problem: durations, rate and sizes.
        states: largest number of waiting items; None: enough for high loads.

    Raises:
        ValueError: if the rate or a duration is not positive, or there is no size.
    """
    if not problem.rate_per_s > 0.0 or not problem.took_s or not min(problem.took_s) > 0.0:
        raise ValueError("a batching problem needs a positive arrival rate and positive durations")
    return DecisionProcess(problem, states).solved()


class DecisionProcess:
    """The decision process of one Problem."""

    def __init__(self, problem: Problem, states: int | None) -> None:
        self.problem = problem
        self.most = len(problem.took_s)
        self.last = states if states is not None else 2 * self.most + TAIL_STATES
        capacity = max(size / took_s for size, took_s in enumerate(problem.took_s, 1))
        self.rate = min(problem.rate_per_s, HIGHEST_LOAD * capacity)
        self.arrivals = [_poisson(self.rate * took_s) for took_s in problem.took_s]
        """By size minus one: the distribution of arrivals while such a batch runs."""

    def solved(self) -> Table:
        # The first policy launches all waiting items.
        policy = [min(waiting, self.most) for waiting in range(self.last + 1)]
        mean = float("inf")
        for _ in range(MOST_ROUNDS):
            evaluated = self._evaluated(policy)
            if evaluated is None:
                break
            mean, values = evaluated
            better = self._improved(policy, mean, values)
            if better == policy:
                break
            policy = better
        return Table(self.problem, tuple(policy), mean / self.rate)

    def _cost(self, waiting: int, size: int) -> tuple[float, float]:
        """Expected cost and duration until the next decision."""
        if not size:
            return waiting / self.rate, 1.0 / self.rate
        took_s = self.problem.took_s[size - 1]
        return took_s * waiting + self.rate * took_s * took_s / 2.0, took_s

    def _row(self, waiting: int, size: int) -> list[float]:
        """Probabilities of the next state; the last state includes all larger numbers."""
        row = [0.0] * (self.last + 1)
        if not size:
            row[min(waiting + 1, self.last)] = 1.0
            return row
        first, weights = self.arrivals[size - 1]
        for state, weight in enumerate(weights, waiting - size + first):
            row[min(state, self.last)] += weight
        return row

    def _evaluated(self, policy: list[int]) -> tuple[float, list[float]] | None:
        """Mean cost per second of `policy`, and the relative value of every state.

        None if the queue never empties: with thousands of items in a batch the probability of that
        underflows.

        States are eliminated from the last to the first without subtraction: 1 - P(s, s) is
        computed as the sum of the other probabilities (Grassmann, Taksar and Heyman 1985).
        """
        rows = [self._row(n, size) for n, size in enumerate(policy)]
        costs, times = map(
            list, zip(*(self._cost(n, size) for n, size in enumerate(policy)), strict=True)
        )
        for state in range(self.last, 0, -1):
            row = rows[state] = rows[state][:state]
            leaves = sum(row)
            if leaves <= 0.0:
                return None
            row[:] = [value / leaves for value in row]
            costs[state] /= leaves
            times[state] /= leaves
            for other in range(state):
                weight = rows[other][state]
                if weight:
                    target = rows[other]
                    target[:state] = [
                        value + weight * more for value, more in zip(target, row, strict=False)
                    ]
                    costs[other] += weight * costs[state]
                    times[other] += weight * times[state]
        mean = costs[0] / times[0]
        values = [0.0]
        for state in range(1, self.last + 1):
            through = sum(map(mul, rows[state], values))
            values.append(costs[state] - mean * times[state] + through)
        return mean, values

    def _improved(self, policy: list[int], mean: float, values: list[float]) -> list[int]:
        """The best action in every state if `values` hold from the next state on."""
        padded = values + [values[-1]] * (max(len(w) + first for first, w in self.arrivals) + 1)
        better = []
        for waiting, present in enumerate(policy):
            best, best_value = present, self._value(waiting, present, mean, padded)
            tolerance = 1e-9 * (abs(best_value) + 1e-12)
            actions = [size for size in self.problem.sizes if size <= min(waiting, self.most)]
            if waiting <= self.most:
                actions.append(waiting)  # with no items this is 0: wait, the only action
            if 0 < waiting < self.last:
                actions.append(0)
            for size in actions:
                value = self._value(waiting, size, mean, padded)
                if value < best_value - tolerance:
                    best, best_value = size, value
            better.append(best)
        return better

    def _value(self, waiting: int, size: int, mean: float, values: Sequence[float]) -> float:
        cost, time_s = self._cost(waiting, size)
        if not size:
            return cost - mean * time_s + values[min(waiting + 1, self.last)]
        first, weights = self.arrivals[size - 1]
        begin = waiting - size + first
        through = float(sum(map(mul, weights, values[begin : begin + len(weights)])))
        return cost - mean * time_s + through


def _poisson(mean: float) -> tuple[int, list[float]]:
    """The first count with a probability, and the probabilities from there on; they sum to 1."""
    mode = int(mean)
    log_mode = mode * log(mean) - mean - lgamma(mode + 1) if mean > 0.0 else 0.0
    at_mode = exp(log_mode)
    above = [at_mode]
    count = mode
    while above[-1] > NEGLIGIBLE * at_mode:
        count += 1
        above.append(above[-1] * mean / count)
    below: list[float] = []
    weight, count = at_mode, mode
    # Down to 0, however unlikely: the values of states are relative to the empty queue.
    while count > 0 and weight > 0.0:
        weight *= count / mean
        count -= 1
        below.append(weight)
    weights = below[::-1] + above
    total = sum(weights)
    return mode - len(below), [weight / total for weight in weights]
