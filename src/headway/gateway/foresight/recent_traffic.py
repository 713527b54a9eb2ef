"""The gateway's recent traffic, as a process that replays it is asked about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Literal

from headway.core.scheduler import Scheduler
from headway.gateway.foresight.question import Question, Unfinished
from headway.store.event_log import settings_as_values

MOST_REPLAYED = 4000
"""Requests in a replay that nobody waits for."""


class RecentTraffic:
    """What was answered lately, and what waits or runs.

    Args:
        scheduler: whose policy, settings, backends and requests count.
        log: the SQLite file with what was answered; None: there is none.
        flush: writes down what has ended.
        clock: the scheduler's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        log: Path | None,
        flush: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.log = log
        self.clock = clock
        self._scheduler = scheduler
        self._flush = flush

    @property
    def policy(self) -> str:
        """The one in use."""
        return self._scheduler.policy_name

    def question(
        self,
        *,
        window_s: float,
        current: str = "",
        most_requests: int = MOST_REPLAYED,
        slo: str = "",
        about: Literal["policy", "gain"] = "policy",
    ) -> Question:
        """A question about it, as it is now.

        Args:
            window_s: how far back it goes.
            current: the policy that was chosen; empty: the one in use.
            most_requests: the newest ones only.
            slo: what is to be met; empty: nothing.
            about: what is asked.
        """
        self._flush()
        scheduler = self._scheduler
        return Question(
            log="" if self.log is None else str(self.log),
            now_unix_s=time.time(),
            unfinished=_unfinished(scheduler, self.clock(), most_requests),
            window_s=window_s,
            most_requests=most_requests,
            slots={name: one.slots for name, one in scheduler.backends.items() if one.slots},
            current=current or self.policy,
            slo=slo,
            settings=settings_as_values(scheduler.settings),
            about=about,
        )


def _unfinished(scheduler: Scheduler, now_s: float, most: int) -> list[Unfinished]:
    """What waits or runs at `now_s` on the scheduler's clock, at most so many."""
    zero_unix_s = time.time() - now_s
    return [
        Unfinished(
            id=request.id,
            arrival_unix_s=zero_unix_s + request.arrival_s,
            tier=request.tier.label,
            tenant=request.tenant,
            program=request.program,
            prompt_tokens=request.prompt_tokens,
            max_tokens=request.max_tokens,
            predicted_tokens=request.predicted_tokens,
            output_tokens=request.output_tokens,
            queue_s=request.started_s - request.arrival_s if request.started_s >= 0 else None,
        )
        for request in islice(scheduler.requests.values(), most)
    ]
