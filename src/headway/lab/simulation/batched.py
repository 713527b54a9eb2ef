"""Batches on virtual time: the gateway's own batcher, with a model that only takes time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from headway.core.batching import Batch, Batcher, Launch, solve
from headway.core.request import Request

Durations = Callable[[int, int], float]
"""Seconds that a batch of so many items, padded to such a length, takes; each call is a batch."""


@dataclass(frozen=True, slots=True)
class BatchedOutcome:
    """The outcome of one run."""

    latencies_s: dict[str, float]
    """From arrival to result, by the id of the item; in order of the results."""
    rejected: int
    batches: int
    busy_s: float
    """Time that workers ran batches, summed over workers."""
    ended_s: float


def simulate_batches(
    batcher: Batcher,
    requests: Sequence[Request],
    took_s: Durations,
    at_once: int | None = None,
) -> BatchedOutcome:
    """Run `requests`, in order of arrival, to their end.

    Args:
        batcher: decides; new.
        requests: in order of arrival.
        took_s: how long batches take.
        at_once: a closed loop: this many wait or run, and the next one comes when one of them
            ends, regardless of its arrival. None: each comes at its arrival.
    """
    latencies: dict[str, float] = {}
    running: list[tuple[float, Batch]] = []
    now_s = busy_s = 0.0
    batches = rejected = 0
    coming = iter(requests)
    following = next(coming, None)

    def comes_s() -> float:
        """When the next one does; never while the loop is full."""
        if following is None or (at_once is not None and len(batcher.requests) >= at_once):
            return inf
        return following.arrival_s if at_once is None else now_s

    while following is not None or batcher.requests:
        times = [comes_s(), *(ends_s for ends_s, _ in running)]
        wakeup_s = batcher.next_wakeup_s(now_s)
        if wakeup_s is not None:
            times.append(wakeup_s)
        now_s = min(times)
        for ends_s, batch in [entry for entry in running if entry[0] <= now_s]:
            running.remove((ends_s, batch))
            batcher.finished(batch, now_s, ends_s - batch.launched_s)
            for request in batch.requests:
                latencies[request.id] = now_s - request.arrival_s
        while following is not None and comes_s() <= now_s:
            following.arrival_s = comes_s()
            rejected += batcher.add(following, now_s) is not None
            following = next(coming, None)
        for tier, problem in batcher.problems(now_s).items():
            batcher.use_table(tier, solve(problem), now_s)
        for decision in batcher.step(now_s):
            if isinstance(decision, Launch):
                batch = decision.batch
                lasts_s = took_s(batch.size, batch.length)
                batches += 1
                busy_s += lasts_s
                running.append((now_s + lasts_s, batch))
            else:
                rejected += 1
    return BatchedOutcome(latencies, rejected, batches, busy_s, now_s)
