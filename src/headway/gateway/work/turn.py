"""A request's turns at the backends: it waits, reads from an engine, is stopped, waits again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from headway.engines.activity import Activity
from headway.gateway.api.errors import ApiError
from headway.gateway.work.retries import Retries

T = TypeVar("T")


class Interrupted(Exception):
    """The request lost its slot, and waits for another turn."""


class Turn:
    """The run of one request at present, or its wait for the next one.

    The request's own task waits and reads; others wake and stop it. Times are seconds on the
    dispatcher's clock.
    """

    __slots__ = (
        "_cancelled",
        "_reader",
        "_wakeup",
        "activity",
        "answering",
        "failure",
        "first_byte_s",
        "heard_s",
        "interrupted",
        "longest_gap_s",
        "retries",
        "stopped",
    )

    def __init__(self) -> None:
        self.failure: ApiError | None = None
        """Why there is no further turn, or why its answer ended early."""
        self.retries = Retries()
        self.activity: Activity | None = None
        """The traffic of the backend it runs on; None while it asks none."""
        self.stopped: Exception | None = None
        """Why it must stop reading from the engine: Interrupted, or what is wrong."""
        self.interrupted = False
        """It lost its slot, and must stop reading from the engine."""
        self.answering = False
        """Whether something of the answer has come in this run."""
        self.heard_s = -1.0
        """When this run began, or something last came from the backend."""
        self.first_byte_s = 0.0
        """Time from the beginning of this run to the first part of the answer."""
        self.longest_gap_s = 0.0
        """Longest time between two parts of the answer in this run."""
        self._wakeup: asyncio.Future[None] | None = None
        self._reader: asyncio.Task[object] | None = None
        self._cancelled = False
        """The reader was cancelled by `stop`, and has not seen it yet."""

    @property
    def reading(self) -> bool:
        """Whether its task does nothing but wait in `read`, so that it may be stopped."""
        return self._reader is not None

    async def change(self) -> None:
        """Wait for the next `wake`."""
        self._wakeup = asyncio.get_running_loop().create_future()
        try:
            await self._wakeup
        finally:
            self._wakeup = None

    def wake(self) -> None:
        """Let its task see that something changed."""
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def fail(self, error: ApiError) -> None:
        """There is no further turn."""
        self.failure = error
        self.wake()

    def begin(self, activity: Activity, now_s: float) -> None:
        """A run begins: the engine is asked."""
        self.activity = activity
        activity.began(now_s)
        self.heard_s = now_s
        self.answering = False
        self.longest_gap_s = 0.0

    def heard(self, now_s: float) -> None:
        """A part of the answer came."""
        if self.activity is not None:
            self.activity.heard(now_s)
        gap_s = now_s - self.heard_s
        if not self.answering:
            self.answering = True
            self.first_byte_s = gap_s
        elif gap_s > self.longest_gap_s:
            self.longest_gap_s = gap_s
        self.heard_s = now_s

    def end(self, now_s: float) -> None:
        """The run is over."""
        if self.activity is not None:
            self.activity.ended(now_s)
            self.activity = None

    async def read(self, coming: Awaitable[T]) -> T:
        """What comes from the engine.

        Raises:
            Exception: what `stop` was given.
        """
        task = asyncio.current_task()
        assert task is not None
        if self.stopped is not None:
            if asyncio.iscoroutine(coming):
                coming.close()
            raise self.stopped
        self._reader = task
        try:
            return await coming
        except asyncio.CancelledError:
            # Cancelled by us, to stop reading; by others as well if its client is gone.
            if not self._cancelled or task.uncancel() > 0 or self.stopped is None:
                raise
            self._cancelled = False
            raise self.stopped from None
        finally:
            self._reader = None

    def stop(self, why: Exception) -> None:
        """Make its task stop reading from the engine at once: `read` raises `why`."""
        if self.stopped is None:
            self.stopped = why
            if self._reader is not None:
                self._cancelled = True
                self._reader.cancel()

    def interrupt(self) -> None:
        """It lost its slot: its task stops reading from the engine, and waits for another."""
        self.interrupted = True
        self.stop(Interrupted())
