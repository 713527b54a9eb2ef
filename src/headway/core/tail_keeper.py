"""Keeps a promise about p99 latency, by the scale of the head starts of `boost`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headway.core.cost import CostModel
from headway.core.fcfs_shadow import FcfsShadow
from headway.core.request import Request, Tier

LEAST_SCALE_S = 1e-3
"""As good as first come, first served."""
SCALE_OF_ROOM = 3.0
"""The scale, in multiples of the time that is left until the promise would be broken. Head starts
are larger than that for short requests, but each one takes little of the time."""
AIM = 0.9
"""Share of the promised room that is used; predictions and rates are not exact."""
LEAST_CHANGE = 0.05
"""Smaller changes of the scale are not worth computing all head starts anew."""
LEAST_EVERY = 8
"""Starts from one look at the shadow to the next, or an eighth of those that were overtaken: then
a look costs no more than the starts."""
FIRST_LOOKS = 32
"""Before, predictions of waits are made anew at each look: they were made knowing little."""


class TailKeeper:
    """Finds the scale T at which p99 latency stays below `tail` times that of `fcfs`.

    If `fcfs` began now, every waiting request could be told its latency: what it has waited, the
    work before it over the rate at which work is begun, and its own time. While the longest one is
    below the promise, there is room: T is in proportion to it, and 0 without. So the promise does
    not need the load to be below 1, where the optimal T = 1 / gamma of the paper has no end.

    Each lane and tier is compared with a shadow of its own, and the one with the least room
    decides. T is at most SCALE_OF_ROOM times `tail` times p99 latency of `fcfs`.

    Args:
        tail: promised p99 latency, in multiples of that of `fcfs`; at least 1.
        cost: turns tokens into work.
        rescale: called with each new T.
    """

    def __init__(self, tail: float, cost: CostModel, rescale: Callable[[float], None]) -> None:
        self.tail = tail
        self.scale_s = LEAST_SCALE_S
        """T."""
        self.steered = False
        """Whether there has been room to find a T by."""
        self._cost = cost
        self._rescale = rescale
        self._shadows: dict[tuple[str, Tier], FcfsShadow] = {}
        self._of: dict[str, FcfsShadow] = {}
        """The shadow of each request that waits or runs; lane and tier may change."""
        self._starts = 0
        self._looks = 0

    @property
    def stretch(self) -> float | None:
        """p99 latency over that of `fcfs`, of the last finished requests, where it is largest;
        None before any has finished."""
        known = [one.stretch for one in self._shadows.values()]
        return max((one for one in known if one is not None), default=None)

    @property
    def live(self) -> int:
        """Requests that wait or run, of those that it knows."""
        return len(self._of)

    def arrived(self, request: Request) -> None:
        """`request` begins to wait."""
        key = request.lane, request.tier
        shadow = self._shadows.get(key)
        if shadow is None:
            shadow = self._shadows[key] = FcfsShadow()
        self._of[request.id] = shadow
        shadow.arrived(request.id, request.service_s, request.arrival_s)

    def revised(self, request: Request) -> None:
        """The length of `request` is predicted anew."""
        shadow = self._of.get(request.id)
        if shadow is not None:
            shadow.revised(request.id, request.service_s)

    def started(self, request: Request, now_s: float) -> None:
        """`request` starts to run."""
        shadow = self._of.get(request.id)
        if shadow is None:
            return
        shadow.started(request.id, now_s)
        self._starts += 1
        if self._starts >= LEAST_EVERY:
            self._steer(now_s)

    def finished(self, request: Request, now_s: float) -> None:
        """`request` is done."""
        shadow = self._of.pop(request.id, None)
        if shadow is not None:
            work_s = request.service_s
            if request.output_tokens:  # else its backend did not report them
                decode_s = self._cost.decode_s_per_token * request.output_tokens
                work_s = self._cost.prefill_work_s(request) + decode_s
            shadow.finished(request.id, work_s, request.started_s, now_s)

    def left(self, request: Request, now_s: float) -> None:
        """`request` is cancelled or given up."""
        shadow = self._of.pop(request.id, None)
        if shadow is not None:
            shadow.left(request.id, now_s)

    def recalibrated(self, cost: CostModel, waiting: Iterable[Request]) -> None:
        """Work is computed by `cost` from now on, and was for those `waiting`."""
        self._cost = cost
        for shadow in self._shadows.values():
            shadow.recalibrated()
        for request in waiting:
            self.revised(request)

    def _steer(self, now_s: float) -> None:
        overtaken = sum(shadow.overtaken for shadow in self._shadows.values())
        if self._starts < overtaken / 8:
            return
        self._starts = 0
        if self._looks < FIRST_LOOKS:
            self._looks += 1
            for shadow in self._shadows.values():
                shadow.predict_anew(now_s)
        aim = 1.0 + AIM * (self.tail - 1.0)
        room_s = None
        for shadow in self._shadows.values():
            if not shadow.waits:
                continue
            limit_s = aim * shadow.tail_s
            left_s = limit_s - shadow.latest_s(limit_s, now_s)
            room_s = left_s if room_s is None else min(room_s, left_s)
        if room_s is None:
            return
        scale_s = max(LEAST_SCALE_S, SCALE_OF_ROOM * room_s)
        if abs(scale_s - self.scale_s) > LEAST_CHANGE * self.scale_s:
            self.scale_s, self.steered = scale_s, True
            self._rescale(scale_s)
