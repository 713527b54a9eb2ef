"""Which policy orders requests: the chosen one, as long as the predictions it needs are trusted."""

from __future__ import annotations

from collections.abc import Callable

from headway.core.policies import POLICIES
from headway.core.scheduler import Scheduler
from headway.prediction.live.watch import Watch


class PolicyChoice:
    """The policy that was chosen last, and whether it is in use.

    Args:
        scheduler: orders by it; begins with the policy of the configuration.
        watch: says whether predictions are trusted.
        fallback: used instead of a policy that orders by length while they are not.
        clock: the scheduler's.
    """

    def __init__(
        self, scheduler: Scheduler, watch: Watch, fallback: str, clock: Callable[[], float]
    ) -> None:
        self.policy = scheduler.policy_name
        """The policy while predictions are trusted."""
        self.by = ""
        """Who chose it; empty: the configuration."""
        self.at_s = clock()
        """When, on `clock`."""
        self.watch = watch
        self._scheduler = scheduler
        self._fallback = fallback
        self._clock = clock

    @property
    def in_use(self) -> str:
        """The policy that orders requests while predictions are as they are."""
        if self.watch.trusted or not POLICIES[self.policy].by_length:
            return self.policy
        return self._fallback

    def choose(self, policy: str, by: str) -> None:
        """Order by `policy` from now on; while predictions are not trusted, if it needs none.

        Args:
            policy: its name.
            by: who chose it, for people.

        Raises:
            ValueError: if there is no policy of that name. Nothing has changed then.
        """
        if policy not in POLICIES:
            raise ValueError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        self.policy, self.by, self.at_s = policy, by, self._clock()
        if self._scheduler.policy_name != self.in_use:
            self._scheduler.use_policy(self.in_use, self._clock())
