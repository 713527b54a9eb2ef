"""The live page: one look a second for all who watch it, and none while nobody does."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from headway.gateway.console.order import WaitingOrder
from headway.gateway.console.picture import Picture, Window, picture
from headway.gateway.console.slices import Slices
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.gain import Gain
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.keys.keys import Caller

logger = logging.getLogger(__name__)

EVERY_S = 1.0
SHARE = 0.02
"""Of the event loop's time that looks may take: with more to do they are rarer."""


class Live:
    """Looks at the queue while anybody watches.

    Args:
        dispatcher: has the requests.
        choice: the policy that was chosen.
        automatic: whether the gateway chooses the policy by itself.
        gain: what the policy gained; None: nothing is logged.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        choice: PolicyChoice,
        automatic: bool,
        gain: Gain | None,
    ) -> None:
        self._dispatcher = dispatcher
        self._choice = choice
        self._automatic = automatic
        self._gain = gain
        self._order = WaitingOrder(dispatcher.scheduler)
        self._picture: Picture | None = None
        self._next: asyncio.Future[Picture] | None = None
        """Completed by the next look."""
        self.watchers = 0
        """How many watch."""
        self._looking: asyncio.Task[None] | None = None
        self._spent_s = 0.0
        """Since the last look began, with what it cost to show it to everybody."""
        self._messages: dict[tuple[str | None, Window], bytes] = {}
        """Of the present picture, by the name of the key (None: sees all) and window."""

    def watch(self) -> None:
        """Somebody begins to watch; `leave` must follow."""
        self.watchers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="look at the queue")

    def leave(self) -> None:
        """Somebody stops watching."""
        self.watchers -= 1
        if not self.watchers and self._looking is not None:
            self._looking.cancel()
            self._looking = self._picture = None
            self._order = WaitingOrder(self._dispatcher.scheduler)  # keeps no ended requests
            self._messages = {}

    async def message(self, viewer: Caller | None, window: Window, after: int) -> tuple[int, bytes]:
        """The first look after number `after`, as JSON for `viewer`, and its number."""
        seen = self._picture
        while seen is None or seen.tick <= after:
            if self._next is None or self._next.done():
                self._next = asyncio.get_running_loop().create_future()
            seen = await asyncio.shield(self._next)
        if viewer is not None and viewer.admin:
            viewer = None
        key = None if viewer is None else viewer.name, window
        message = self._messages.get(key) if seen is self._picture else None
        if message is None:
            slices = Slices()
            message = msgspec.json.encode(await seen.view(viewer, window, slices))
            self._spent_s += slices.spent_s()
            if seen is self._picture:
                self._messages[key] = message
        return seen.tick, message

    async def _look(self) -> None:
        tick = 0
        while True:
            tick += 1
            slices = Slices()
            try:
                if self._gain is not None:
                    self._gain.watch()
                taken = await picture(
                    tick,
                    self._dispatcher,
                    self._choice,
                    self._automatic,
                    self._order,
                    slices,
                    self._picture,
                    None if self._gain is None else self._gain.view,
                )
            except Exception:  # a page must not end the gateway, nor the page for good
                logger.exception("the queue cannot be shown")
            else:
                self._picture, self._messages = taken, {}
                self._spent_s = slices.spent_s()
                waiting, self._next = self._next, None
                if waiting is not None:
                    waiting.set_result(taken)
            await asyncio.sleep(EVERY_S)
            await asyncio.sleep(self._spent_s / SHARE - EVERY_S)
