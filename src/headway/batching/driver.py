"""A Batcher on one event loop: passes events with their time, and carries out its decisions."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import count
from typing import Any, Generic, TypeVar

from headway.core.batching import Batch, Batcher, Launch
from headway.core.batching.smdp import Problem, solve
from headway.core.decision import Reject, RejectReason
from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier

Item = TypeVar("Item")
Result = TypeVar("Result")

NO_TOKENS = SizeEstimate.exactly(1)
"""No tokens are generated: an item ends with its batch."""

SOLVING_REST = 20.0
"""Pause after solving, as a multiple of the time it took: solving uses at most a twentieth of a
core."""


class Refused(RuntimeError):
    """An item was not run.

    Attributes:
        rejection: the reason, and when there may be room.
    """

    def __init__(self, rejection: Reject) -> None:
        self.rejection = rejection
        super().__init__(_REFUSALS[rejection.reason].format(rejection.retry_after_s))


_REFUSALS = {
    RejectReason.QUEUE_FULL: "as many items wait as may; come back in about {:.1f} s",
    RejectReason.TOO_LARGE: "the item is longer than any that the model takes",
    RejectReason.DEADLINE: "its deadline cannot be met; the queue is about {:.1f} s long",
}


class BatchEnded(RuntimeError):
    """What ran a batch ended in another way than by results or an exception; the cause says how."""


class WorkerLost(RuntimeError):
    """The worker of a batch died before it answered; another worker may run the batch."""


class Driver(Generic[Item, Result]):
    """Adds items to a Batcher and runs its batches by `call`.

    Args:
        batcher: decides; nothing else may send it events.
        call: runs a batch and returns a result for each item, in order. A result that is an
            exception fails only its item. If `call` raises WorkerLost, the batch runs again; any
            other exception has it bisected, and so has whatever else ends it.
        loop: the event loop on which everything happens.
    """

    def __init__(
        self,
        batcher: Batcher,
        call: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.batcher = batcher
        self.loop = loop
        self.waited_s = 0.0
        """Total time that items waited before their batches ran."""
        self.computed_s = 0.0
        """Total time that items spent in batches that succeeded."""
        self._call = call
        self._calls: dict[str, tuple[Item, asyncio.Future[Result | Exception]]] = {}
        self._ids = count()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._solving: set[Tier] = set()

    async def run(
        self,
        items: Sequence[Item],
        lengths: Sequence[int],
        tier: Tier = Tier.STANDARD,
        tenant: str = "",
        deadline_s: float | None = None,
    ) -> list[Result | Exception]:
        """Return the results of `items`, in order; an exception for each item that failed.

        Args:
            items: all of them are queued, or none.
            lengths: length of each item, at least 1.
            tier: how urgent they are.
            tenant: the owner of the items.
            deadline_s: from now; None: none.

        Raises:
            Refused: the queue is full, an item is too long, or the deadline cannot be met.
        """
        now_s = self.loop.time()
        waiting: dict[str, asyncio.Future[Result | Exception]] = {}
        for item, length in zip(items, lengths, strict=True):
            request = Request(
                id=str(next(self._ids)),
                arrival_s=now_s,
                prompt_tokens=length,
                estimate=NO_TOKENS,
                tier=tier,
                tenant=tenant,
                deadline_s=None if deadline_s is None else now_s + deadline_s,
            )
            rejection = self.batcher.add(request, now_s)
            if rejection is not None:
                self._withdraw(waiting)
                raise Refused(rejection)
            answer = waiting[request.id] = self.loop.create_future()
            self._calls[request.id] = item, answer
        self._step()
        try:
            return [await answer for answer in waiting.values()]
        except asyncio.CancelledError:
            self._withdraw(waiting)
            self._step()
            raise

    def set_workers(self, workers: int) -> None:
        """Set how many batches may run at a time."""
        self.batcher.set_workers(workers, self.loop.time())
        self._step()

    def fail_waiting(self, error: Exception) -> None:
        """End all items that wait with `error`."""
        running = {r.id for batch in self.batcher.batches.values() for r in batch.requests}
        for request in list(self.batcher.requests.values()):
            if request.id not in running:
                self.batcher.cancel(request.id, self.loop.time())
                self._answer(request, error)

    def close(self) -> None:
        """Cancel all tasks; no caller may be waiting."""
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _withdraw(self, waiting: dict[str, asyncio.Future[Result | Exception]]) -> None:
        for request_id, answer in waiting.items():
            answer.cancel()
            if self._calls.pop(request_id, None) is not None:
                self.batcher.cancel(request_id, self.loop.time())

    def _step(self) -> None:
        now_s = self.loop.time()
        for decision in self.batcher.step(now_s):
            if isinstance(decision, Launch):
                self._start(self._run(decision.batch))
            else:
                self._answer(decision.request, Refused(decision))
        for tier, problem in self.batcher.problems(now_s, self._solving).items():
            self._solving.add(tier)
            self._start(self._solve(tier, problem))
        if self._timer is not None:
            self._timer.cancel()
        wakeup_s = self.batcher.next_wakeup_s(now_s)
        self._timer = None if wakeup_s is None else self.loop.call_at(wakeup_s, self._step)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: Batch) -> None:
        # Items cancelled while the task was starting are still in the batch; leave them out.
        requests = [request for request in batch.requests if request.id in self._calls]
        items = [self._calls[request.id][0] for request in requests]
        if not requests:
            self.batcher.failed(batch, self.loop.time())  # it has no duration to learn from
            self._step()
            return
        start_s = self.loop.time()
        self.waited_s += sum(start_s - request.arrival_s for request in requests)
        try:
            results = checked(await self._call(items), len(items), "what runs the batch")
        except WorkerLost as error:
            for request in self.batcher.lost(batch, self.loop.time()):
                self._answer(request, error)
        except Exception as error:
            self._fail(batch, error)
        except BaseException as error:
            # Every way out of a batch answers its items: they would wait for ever.
            if _is_ours(error):
                self._end(batch, ended_by(error))
                raise
            self._fail(batch, ended_by(error))
        else:
            end_s = self.loop.time()
            self.computed_s += (end_s - start_s) * len(requests)
            self.batcher.finished(batch, end_s, max(end_s - start_s, 1e-9))
            # Launch the next batch first: its worker must not wait for these answers.
            self._step()
            for request, result in zip(requests, results, strict=True):
                self._answer(request, result)
            return
        self._step()

    def _fail(self, batch: Batch, error: Exception) -> None:
        for request in self.batcher.failed(batch, self.loop.time()):
            self._answer(request, error)

    def _end(self, batch: Batch, error: Exception) -> None:
        """End all items of `batch`, without trying its halves."""
        self._fail(batch, error)
        for request in batch.requests:
            self.batcher.cancel(request.id, self.loop.time())
            self._answer(request, error)

    async def _solve(self, tier: Tier, problem: Problem) -> None:
        began_s = self.loop.time()
        try:
            table = await asyncio.to_thread(solve, problem)
        finally:
            rest_s = SOLVING_REST * (self.loop.time() - began_s)
            self.loop.call_later(rest_s, self._solving.discard, tier)
        self.batcher.use_table(tier, table, self.loop.time())
        self._step()

    def _answer(self, request: Request, result: Result | Exception) -> None:
        """Set the result of `request`, if its caller still waits."""
        _, answer = self._calls.pop(request.id, (None, None))
        if answer is not None and not answer.done():
            answer.set_result(result)


def ended_by(error: BaseException) -> BatchEnded:
    """What the items of a batch get where `error` is nothing that a caller may get."""
    ended = BatchEnded(f"what ran the batch ended by {type(error).__name__}: {error}")
    ended.__cause__ = error
    return ended


def _is_ours(error: BaseException) -> bool:
    """Whether `error` ends this task or the program, and not only what ran the batch."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, SystemExit))


def checked(results: Any, count: int, what: str) -> Sequence[Any]:
    """Return `results`, row by row, if there is one for each of `count` items.

    Lists, tuples, arrays and series are in order; a set is not, and the rows of a table or of a
    mapping are not what iterating over it gives.

    Raises:
        TypeError: `results` is something else.
        ValueError: it has the wrong length.
    """
    rows = _rows(results)
    if rows is None:
        raise TypeError(
            f"{what} must return a list with a result for each item, not {type(results).__name__}"
        )
    if len(rows) != count:
        raise ValueError(f"{what} returned {len(rows)} results for {count} items")
    return rows


def _rows(results: Any) -> Sequence[Any] | None:
    """The rows of a list, tuple, array or series; None for anything else."""
    if isinstance(results, (list, array)) or type(results) is tuple:  # others have named fields
        return results
    # Arrays of numpy, torch and jax, series of pandas and polars: not their tables.
    shape = getattr(results, "shape", None)
    if not isinstance(shape, tuple) or not shape or hasattr(results, "columns"):
        return None
    if type(results).__module__ == "numpy":
        rows: Sequence[Any] = results
        return rows
    return list(results)
