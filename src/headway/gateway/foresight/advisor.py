"""Chooses the policy by itself: replays the gateway's own traffic, and takes what would be best."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress

import msgspec

from headway.gateway.api.views import PolicyAdvice
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.foresight.recent_traffic import RecentTraffic
from headway.gateway.settings import AutoSettings

logger = logging.getLogger(__name__)

LIMIT_S = 600.0
"""A replay that takes longer is given up: it gets only what others leave of the processor."""

NUMBER = re.compile(r"\d[\d.]*")


class Advisor:
    """Asks `headway replay`, a process at idle priority, which policy recent traffic would want.

    Whatever goes wrong costs one line in the log, and the policy stays.

    Args:
        traffic: what is replayed.
        choice: takes the chosen policy.
        settings: how often, over what, and with which promise.
    """

    def __init__(
        self, traffic: RecentTraffic, choice: PolicyChoice, settings: AutoSettings
    ) -> None:
        self._complaint = ""
        """What kept the last replay from an answer, without its numbers: said once."""
        self.advice: PolicyAdvice | None = None
        """The last one; None before the first."""
        self.switches = 0
        self.replays = 0
        self._traffic = traffic
        self._choice = choice
        self._settings = settings
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
        settings = self._settings
        current = self._choice.policy
        question = self._traffic.question(
            window_s=settings.window_s, current=current, slo=settings.slo
        )
        if not question.slots:
            return
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
            self._choice.choose(advice.policy, by="replays")

    def _complain(self, policy: str, why: str) -> None:
        complaint = NUMBER.sub("", why)
        if complaint != self._complaint:
            self._complaint = complaint
            logger.info("policy %s stays: %s", policy, why)
