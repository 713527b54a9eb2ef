"""Chooses the policy by itself: replays the gateway's own traffic, and takes what would be best."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from headway.core.scheduler import Scheduler
from headway.gateway.api.views import PolicyAdvice
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.settings import AutoSettings
from headway.store.event_log import settings_as_values

logger = logging.getLogger(__name__)

LIMIT_S = 600.0
"""A replay that takes longer is given up: it gets only what others leave of the processor."""

NUMBER = re.compile(r"\d[\d.]*")


class Unfinished(msgspec.Struct, kw_only=True):
    """A request that waits or runs: not in the log yet, and most of them are long."""

    id: str
    arrival_unix_s: float
    tier: str
    tenant: str
    program: str
    prompt_tokens: int
    max_tokens: int | None
    predicted_tokens: float
    output_tokens: int
    """So far."""
    queue_s: float | None
    """From arrival to first start; None: it has not started."""


class Question(msgspec.Struct, kw_only=True):
    """What the replay is asked, as JSON on its standard input."""

    log: str
    """Path of the request log."""
    now_unix_s: float
    """What is later in the log was written before the clock was set back."""
    unfinished: list[Unfinished]
    window_s: float
    most_requests: int
    slots: dict[str, int]
    """Of each backend that may take requests now."""
    current: str
    slo: str
    settings: dict[str, Any]
    """Of the scheduler, as plain values."""
    about: Literal["policy", "gain"] = "policy"
    """Which policy to serve with, or what the one in use gains."""


class Advisor:
    """Asks `headway replay`, a process at idle priority, which policy recent traffic would want.

    Whatever goes wrong costs one line in the log, and the policy stays.

    Args:
        scheduler: whose settings and backends the replay gets.
        foresight: takes the chosen policy.
        settings: how often, over what, and with which promise.
        request_log: the SQLite file with the traffic.
        flush: writes down what has ended.
        clock: the scheduler's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        foresight: Foresight,
        settings: AutoSettings,
        request_log: Path,
        flush: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._complaint = ""
        """What kept the last replay from an answer, without its numbers: said once."""
        self.advice: PolicyAdvice | None = None
        """The last one; None before the first."""
        self.switches = 0
        self.replays = 0
        self._scheduler = scheduler
        self._foresight = foresight
        self._settings = settings
        self._request_log = request_log
        self._flush = flush
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask; called in the event loop."""
        self._task = asyncio.create_task(self._run(), name="choose the policy")

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.every_s)
            await self.consult()

    async def consult(self) -> None:
        """Ask once, and follow the advice."""
        slots = {name: one.slots for name, one in self._scheduler.backends.items() if one.slots}
        if not slots:
            return
        self._flush()
        settings = self._settings
        current = self._foresight.chosen_policy
        question = Question(
            log=str(self._request_log),
            now_unix_s=time.time(),
            unfinished=unfinished(self._scheduler, self._clock(), settings.most_requests),
            window_s=settings.window_s,
            most_requests=settings.most_requests,
            slots=slots,
            current=current,
            slo=settings.slo,
            settings=settings_as_values(self._scheduler.settings),
        )
        try:
            asked = msgspec.json.encode(question)
            advice = await answer_of(["replay"], PolicyAdvice, LIMIT_S, asked)
        except TimeoutError:
            self._complain(current, f"the replay took more than {LIMIT_S:g} s")
            return
        except CommandFailed as failure:
            self._complain(current, str(failure).removeprefix("headway replay: "))
            return
        self.replays += 1
        before, self.advice = self.advice, advice
        if not advice.replayed:
            self._complain(current, advice.reason.removeprefix("stays: "))
            return
        self._complaint = ""
        agreed = advice.urgent or (before is not None and before.policy == advice.policy)
        if advice.policy != current and agreed:
            self.switches += 1
            logger.info("policy %s -> %s: %s", current, advice.policy, advice.reason)
            self._foresight.choose_policy(advice.policy)

    def _complain(self, policy: str, why: str) -> None:
        complaint = NUMBER.sub("", why)
        if complaint != self._complaint:
            self._complaint = complaint
            logger.info("policy %s stays: %s", policy, why)


def unfinished(scheduler: Scheduler, now_s: float, most: int) -> list[Unfinished]:
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
