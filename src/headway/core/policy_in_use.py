"""The policy that orders requests now, and the promises of those used so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headway.core.cost import CostModel
from headway.core.policies import Policy, make_policy
from headway.core.request import Request
from headway.core.settings import SchedulerSettings
from headway.core.tail_keeper import TailKeeper


class PolicyInUse:
    """The current policy, and those that were used before.

    What keeps the promise of a policy follows every request from the first use of the policy on,
    whatever policy is used meanwhile. So it knows the present state when the policy is used again.

    Args:
        settings: name the first policy.

    Raises:
        ValueError: there is no policy of that name.
    """

    def __init__(self, settings: SchedulerSettings) -> None:
        self._settings = settings
        self._used: dict[str, Policy] = {}
        self._tails: list[TailKeeper] = []
        self.policy = self._named(settings.policy, settings.cost)

    def use(self, name: str, cost: CostModel, slots: int, requests: Iterable[Request]) -> Policy:
        """Use another policy, and return it.

        Args:
            name: of the policy.
            cost: as calibrated.
            slots: of all backends.
            requests: all that wait or run, in order of their arrival.

        Raises:
            ValueError: there is no policy `name`. Nothing has changed then.
        """
        known = name in self._used
        policy = self._named(name, cost)
        policy.cost = cost
        policy.use_slots(slots)
        if policy.tail is not None and not known:
            for request in requests:
                if request.started_s < 0.0:
                    policy.tail.arrived(request)
        self.policy = policy
        return policy

    def as_if_used(self, name: str, slots: int) -> Policy:
        """The policy `name` as it would order if it were used now. The present one stays.

        Raises:
            ValueError: there is no policy `name`.
        """
        cost = self.policy.cost
        policy = self._used.get(name) or self._made(name, cost)
        if policy is not self.policy:
            policy.cost = cost
            policy.use_slots(slots)
        return policy

    def _named(self, name: str, cost: CostModel) -> Policy:
        policy = self._used.get(name)
        if policy is None:
            policy = self._used[name] = self._made(name, cost)
            if policy.tail is not None:
                self._tails.append(policy.tail)
        return policy

    def _made(self, name: str, cost: CostModel) -> Policy:
        return make_policy(replace(self._settings, policy=name, cost=cost))

    # ---- events -----------------------------------------------------------------------------

    def calibrated(self, cost: CostModel, waiting: Iterable[Request]) -> None:
        """Work is computed by `cost` from now on, and was for those `waiting`."""
        for tail in self._tails:
            tail.recalibrated(cost, waiting)

    def arrived(self, request: Request) -> None:
        """`request` begins to wait."""
        for tail in self._tails:
            tail.arrived(request)

    def revised(self, request: Request) -> None:
        """The length of `request` is predicted anew."""
        for tail in self._tails:
            tail.revised(request)

    def started(self, request: Request, now_s: float) -> None:
        """`request` starts to run."""
        for tail in self._tails:
            tail.started(request, now_s)

    def finished(self, request: Request, now_s: float) -> None:
        """`request` is done."""
        for tail in self._tails:
            tail.finished(request, now_s)

    def left(self, request: Request, now_s: float) -> None:
        """`request` is gone, finished or not."""
        for tail in self._tails:
            tail.left(request, now_s)
