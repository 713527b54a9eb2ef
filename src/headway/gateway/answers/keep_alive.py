"""Sends comments in silent streams, so that no proxy closes them while requests wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from headway.core.request import State
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.answers.reply import Reply
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.work.work import Work


class KeepAlive:
    """Watches all streams with one timer.

    Args:
        dispatcher: predicts how long a request will wait.
        accounts: has the headers for a stream that begins with a comment.
        every_s: how long a stream may be silent.
    """

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts, every_s: float) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._every_s = every_s
        self._replies: dict[Work, Reply] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start watching; called in the event loop."""
        self._task = asyncio.create_task(self._run(), name="keep silent streams alive")

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def watch(self, work: Work, reply: Reply) -> None:
        """Watch `reply`, the stream that answers `work`, until `forget`."""
        self._replies[work] = reply

    def forget(self, work: Work) -> None:
        """Stop watching the stream that answers `work`."""
        self._replies.pop(work, None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s / 10.0)
            for work, reply in list(self._replies.items()):
                # A stream that has ended is writing its last events: nothing may come between.
                if reply.silent_s() >= self._every_s and work in self._replies:
                    with suppress(ConnectionError):
                        await reply.comment(self._state(work), self._accounts.headers(work))
                    await asyncio.sleep(0)  # thousands at once would hold up everything else

    def _state(self, work: Work) -> str:
        if work.request.state is State.RUNNING:
            return "running"
        wait_s, ahead = self._dispatcher.scheduler.outlook.prospect(work.request)
        until = "until a backend is there" if wait_s is None else f"about {max(1.0, wait_s):.0f} s"
        return f"waiting, {_ordinal(ahead + 1)}, {until}"


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
