"""The runs of one request: it waits, reads from an engine, is interrupted, waits again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from headway.engines.activity import Activity
from headway.gateway.api.errors import ApiError
from headway.gateway.work.retries import Retries

T = TypeVar("T")


class Interrupted(Exception):
    """The request lost its slot and waits for another one."""


class Turn:
    """The current run of one request, or its wait for the next run.

    The request's own task waits and reads; other tasks wake and stop it. Times are seconds on the
    dispatcher's clock; activities of backends have the machine's.
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
        """Why it will not run again, or why its answer ended early; None: it may run."""
        self.retries: Retries | None = None
        """Its failed runs since its last token; None: no run failed."""
        self.activity: Activity | None = None
        """The traffic of the backend that it runs on; None while it does not run."""
        self.stopped: Exception | None = None
        """Why it must stop reading from the engine: Interrupted, or an error; None: it need not."""
        self.interrupted = False
        """It lost its slot, and must stop reading from the engine."""
        self.answering = False
        """Whether part of the answer has arrived in this run."""
        self.heard_s = -1.0
        """When data last arrived in this run, or when it began."""
        self.first_byte_s = 0.0
        """Time from the start of this run to the first part of the answer."""
        self.longest_gap_s = 0.0
        """Longest time between two parts of the answer in this run."""
        self._wakeup: asyncio.Future[None] | None = None
        self._reader: asyncio.Task[object] | None = None
        self._cancelled = False
        """Whether `stop` cancelled the reader, which has not noticed yet."""

    @property
    def reading(self) -> bool:
        """Whether its task is waiting in `read`, so that it can be stopped."""
        return self._reader is not None

    @property
    def arrived(self) -> bool:
        """Whether part of the answer has arrived in the run that goes on now."""
        return self.activity is not None and self.answering

    def change(self) -> asyncio.Future[None]:
        """A future that the next `wake` completes; one coroutine less for each that waits."""
        self._wakeup = asyncio.get_running_loop().create_future()
        return self._wakeup

    def wake(self) -> None:
        """Wake its task, because something changed."""
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def fail(self, error: ApiError) -> None:
        """End the wait with `error`: the request will not run again."""
        self.failure = error
        self.wake()

    def begin(self, activity: Activity, now_s: float) -> None:
        """A run begins; a request to the engine follows."""
        self.activity = activity
        activity.began(time.monotonic())
        self.heard_s = now_s
        self.answering = False
        self.longest_gap_s = 0.0

    def prefilled(self, now_s: float) -> None:
        """A piece of the prompt was computed."""
        if self.activity is not None:
            self.activity.heard(time.monotonic())
        self.heard_s = now_s

    def heard(self, now_s: float) -> None:
        """A part of the answer arrived."""
        if self.activity is not None:
            self.activity.heard(time.monotonic())
        gap_s = now_s - self.heard_s
        if not self.answering:
            self.answering = True
            self.first_byte_s = gap_s
        elif gap_s > self.longest_gap_s:
            self.longest_gap_s = gap_s
        self.heard_s = now_s

    def end(self, now_s: float) -> None:
        """The run has ended."""
        if self.activity is not None:
            self.activity.ended(time.monotonic())
            self.activity = None

    async def read(self, coming: Awaitable[T]) -> T:
        """Await `coming`, which reads from the engine.

        Raises:
            Exception: the one that was passed to `stop`.
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
            # `stop` cancelled it; if its client is gone, it was cancelled for that, too.
            if not self._cancelled or task.uncancel() > 0 or self.stopped is None:
                raise
            self._cancelled = False
            raise self.stopped from None
        finally:
            self._reader = None

    def stop(self, why: Exception) -> None:
        """Stop its task from reading from the engine at once: `read` raises `why`."""
        if self.stopped is None:
            self.stopped = why
            self.wake()
            if self._reader is not None:
                self._cancelled = True
                self._reader.cancel()

    def interrupt(self) -> None:
        """It lost its slot: its task stops reading from the engine and waits for another slot."""
        self.interrupted = True
        self.stop(Interrupted())
