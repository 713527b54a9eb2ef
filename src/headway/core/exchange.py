"""Whether the requests that wait gain more time by a preemption than it costs.

A request with R seconds left is stopped on m slots. When it waits again, n requests go before it,
of S seconds each in the mean; without the preemption they would wait for t.

- Each of the n starts earlier. One starts at once instead of when a slot frees, and by the time t
  the stopped request leaves min(R, t) seconds of its slot: together min(R, t + S) / m.
- The stopped one waits for all of them: n S / m.

So they gain n (min(R, t + S) - S) / m in all: (R - S) / m each if R is short of t, as on one slot,
where this is the exchange that makes SRPT optimal (Schrage 1968). Where many slots free one by one,
t is short, and next to nothing is gained however large R is.

R is a prediction. Its distribution, given the tokens so far, takes its place: E[min(R, t + S)]
counts that a request may end soon, which its mean does not.

The stop costs c seconds of a slot, which delay everybody behind by c / m. Pausing and resuming
delay those who wait and those who come before the queue is empty (DELAYED). The context is computed
anew much later, and only if others took its memory: those who wait now stand for those who wait
then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from headway.core.backend import Backend
from headway.core.policies.policy import Policy
from headway.core.request import Request, Tier
from headway.core.waiting import Waiting

SAMPLED_REQUESTS = 64
"""Number of waiting requests that are sampled to find how many go first, and their sizes."""
DELAYED = 4.0
"""Requests that a pause delays, for each that waits: 1 / (1 - load) at a load of 3/4. In the
simulator 3 to 6 do about equally well, and 1 loses what it gains near saturation."""


class Exchange:
    """Weighs preemptions for the waiting requests of one lane at one moment.

    Args:
        policy: one by length.
        queue: the waiting requests.
        serving: the backends of the lane.
    """

    def __init__(self, policy: Policy, queue: Waiting, serving: Sequence[Backend]) -> None:
        self._policy = policy
        self._queue = queue
        self._serving = serving
        self._slots = sum(len(backend.running) for backend in serving)
        self._lines: dict[Tier, tuple[list[float], list[float]]] = {}

    def pays(self, running: Request, waiting: Request, backend: Backend) -> bool:
        """Whether it pays to stop `running`, which runs on `backend`, for `waiting` and those
        behind it."""
        ranks, sums_s = self._line(running.tier)
        count = max(1, self._queue.in_tier(running.tier))
        place = bisect_left(ranks, self._policy.rank(running))
        if place:
            ahead, size_s = place * count / len(ranks), sums_s[place] / place
        else:  # the sample left out those that go first
            ahead, size_s = 1.0, self._policy.size_s(waiting)
        return self._gains(running, backend, count, ahead, size_s)

    def pays_for_one_elsewhere(self, running: Request, backend: Backend, size_s: float) -> bool:
        """The same for a request of that size that waits in another scheduler's queue, where none
        in this one goes before `running`."""
        ranks, _ = self._line(running.tier)
        if bisect_left(ranks, self._policy.rank(running)):
            return False
        count = max(1, self._queue.in_tier(running.tier))
        return self._gains(running, backend, count, 1.0, size_s)

    def _gains(
        self, running: Request, backend: Backend, count: int, ahead: float, size_s: float
    ) -> bool:
        """Whether those `ahead`, of `size_s` in the mean, gain more than all that wait lose."""
        cost, token_s = backend.cost, backend.cost.decode_s_per_token
        wait_s = self.next_slot_s + ahead * size_s / (2.0 * self._slots)
        lost_s = count * (DELAYED * cost.preempt_s + cost.recompute_s(running))
        if ahead * wait_s <= lost_s:
            return False  # however long it would run on
        within_tokens = (wait_s + size_s) / token_s
        left_tokens = running.estimate.remaining_within(running.output_tokens, within_tokens)
        left_s = min(self._policy.size_s(running), token_s * left_tokens)
        return ahead * (left_s - size_s) > lost_s

    def _line(self, tier: Tier) -> tuple[list[float], list[float]]:
        """Ranks of the sampled requests of `tier` in order, and the sums of their sizes."""
        line = self._lines.get(tier)
        if line is None:
            rank, size_s = self._policy.rank, self._policy.size_s
            sample = self._queue.sample(tier, SAMPLED_REQUESTS)
            found = sorted((rank(one), size_s(one)) for one in sample)
            sums_s = [0.0, *accumulate(size for _, size in found)]
            line = self._lines[tier] = [place for place, _ in found], sums_s
        return line

    @cached_property
    def next_slot_s(self) -> float:
        """Predicted time until a slot frees: each frees once in the time of its request."""
        often = 0.0
        for backend in self._serving:
            whole_s, running = backend.cost.whole_s, backend.running
            own = sum(1.0 / whole_s(one) for one in running.values())
            # Slots that others use free as often, and go to whoever is first.
            often += own * backend.slots / len(running) if backend.shared and running else own
        return 1.0 / often
