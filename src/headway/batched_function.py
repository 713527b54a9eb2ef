"""`@headway.batched`: calls with one item each, answered by a function from list to list.

Needs no server. The function, plain or async, is called with as many items as the batcher puts
together; plain ones run in threads, so that the event loop goes on.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import update_wrapper
from itertools import count
from typing import Any, Generic, Literal, TypeVar

from headway.core.batching import Batch, Batcher, BatchingSettings, Launch, Limits, TierBatching
from headway.core.batching.settings import FREQUENT, RARE
from headway.core.batching.smdp import Problem, solve
from headway.core.decision import Reject, RejectReason
from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier

Item = TypeVar("Item")
Result = TypeVar("Result")
Function = Callable[[list[Item]], Sequence[Result] | Awaitable[Sequence[Result]]]

NO_TOKENS = SizeEstimate.exactly(1)
"""Nothing is generated: an item is over with its batch."""


class Refused(RuntimeError):
    """An item was not run.

    Attributes:
        reason: why not.
        retry_after_s: when there may be room.
    """

    def __init__(self, rejection: Reject) -> None:
        self.reason: RejectReason = rejection.reason
        self.retry_after_s = rejection.retry_after_s
        super().__init__(_REFUSALS[rejection.reason].format(rejection.retry_after_s))


_REFUSALS = {
    RejectReason.QUEUE_FULL: "as many items wait as may; come back in about {:.1f} s",
    RejectReason.TOO_LARGE: "the item is longer than any that the model takes",
    RejectReason.DEADLINE: "its deadline cannot be met; the queue is about {:.1f} s long",
}


def batched(
    *,
    max_batch_size: int = 32,
    policy: Literal["constant", "adaptive", "optimal"] = "adaptive",
    max_delay_s: float = FREQUENT.max_delay_s,
    slo_s: float | None = None,
    length: Callable[[Any], int] | None = None,
    workers: int = 1,
) -> Callable[[Function[Item, Result]], BatchedFunction[Item, Result]]:
    """Batch the calls of a function from list to list.

    Args:
        max_batch_size: items in a call of the function, at most.
        policy: when to launch: after a delay, while waiting does not pay, or by a solved table.
        max_delay_s: the longest wait for company, under `constant`.
        slo_s: latency in seconds that `adaptive` keeps batches small for.
        length: of an item, where batches of about equal length are cheaper, as with padded text.
        workers: batches at a time.

    Raises:
        ValueError: a limit is below 1, or there is no such policy.
    """
    if policy not in ("constant", "adaptive", "optimal"):
        raise ValueError(f"no policy {policy!r}; there are constant, adaptive, optimal")
    if workers < 1:
        raise ValueError(f"a batched function needs at least one worker, not {workers}")
    of_tier = TierBatching(policy, max_delay_s=max_delay_s, slo_s=slo_s)
    settings = BatchingSettings(
        limits=Limits(max_batch_size),
        tiers={Tier.INTERACTIVE: of_tier, Tier.STANDARD: of_tier, Tier.BATCH: RARE},
        length_aware=length is not None,
    )

    def decorate(function: Function[Item, Result]) -> BatchedFunction[Item, Result]:
        return BatchedFunction(function, settings, length, workers)

    return decorate


class BatchedFunction(Generic[Item, Result]):
    """Called with one item, it answers with that item's result.

    Every event loop that calls it has a queue of its own.
    """

    def __init__(
        self,
        function: Function[Item, Result],
        settings: BatchingSettings,
        length: Callable[[Item], int] | None,
        workers: int,
    ) -> None:
        self.function = function
        self._settings = settings
        self._length = length
        self._workers = workers
        self._driver: _Driver[Item, Result] | None = None
        self._threads: ThreadPoolExecutor | None = None
        if not _is_async(function):
            self._threads = ThreadPoolExecutor(workers, thread_name_prefix="headway-batched")
        update_wrapper(self, function)

    async def __call__(
        self,
        item: Item,
        *,
        tier: str = Tier.STANDARD.label,
        tenant: str = "",
        deadline_s: float | None = None,
    ) -> Result:
        """The result of `item`.

        Args:
            item: what the function gets as one of its list.
            tier: interactive, standard or batch.
            tenant: whose it is.
            deadline_s: from now; if it cannot be met the item is refused at once.

        Raises:
            Refused: it was not run.
            Exception: what the function raised for this item alone.
        """
        loop = asyncio.get_running_loop()
        driver = self._driver
        if driver is None or driver.loop is not loop:
            batcher = Batcher(self._settings, self._workers)
            driver = self._driver = _Driver(self.function, batcher, self._threads, loop)
        length = self._length(item) if self._length is not None else 1
        return await driver.run(item, max(1, length), Tier.parse(tier), tenant, deadline_s)


class _Driver(Generic[Item, Result]):
    """A Batcher on one event loop: tells it the time, and carries out what it decides."""

    def __init__(
        self,
        function: Function[Item, Result],
        batcher: Batcher,
        threads: ThreadPoolExecutor | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.loop = loop
        self._function = function
        self._batcher = batcher
        self._threads = threads
        self._calls: dict[str, tuple[Item, asyncio.Future[Result]]] = {}
        self._ids = count()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._solving: set[Tier] = set()

    async def run(
        self, item: Item, length: int, tier: Tier, tenant: str, deadline_s: float | None
    ) -> Result:
        """Wait for the result of one item."""
        now_s = self.loop.time()
        request = Request(
            id=str(next(self._ids)),
            arrival_s=now_s,
            prompt_tokens=length,
            estimate=NO_TOKENS,
            tier=tier,
            tenant=tenant,
            deadline_s=None if deadline_s is None else now_s + deadline_s,
        )
        rejection = self._batcher.add(request, now_s)
        if rejection is not None:
            raise Refused(rejection)
        answer: asyncio.Future[Result] = self.loop.create_future()
        self._calls[request.id] = (item, answer)
        self._step()
        try:
            return await answer
        except asyncio.CancelledError:
            self._batcher.cancel(request.id, self.loop.time())
            self._calls.pop(request.id, None)
            raise

    def _step(self) -> None:
        now_s = self.loop.time()
        for decision in self._batcher.step(now_s):
            if isinstance(decision, Launch):
                self._start(self._run(decision.batch))
            else:
                self._fail(decision.request, Refused(decision))
        for tier, problem in self._batcher.problems(now_s).items():
            if tier not in self._solving:
                self._solving.add(tier)
                self._start(self._solve(tier, problem))
        if self._timer is not None:
            self._timer.cancel()
        wakeup_s = self._batcher.next_wakeup_s(now_s)
        self._timer = None if wakeup_s is None else self.loop.call_at(wakeup_s, self._step)

    def _start(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: Batch) -> None:
        # Who left while the task was starting is in the batch still; nobody hears its result.
        requests = [request for request in batch.requests if request.id in self._calls]
        items = [self._calls[request.id][0] for request in requests]
        start_s = self.loop.time()
        try:
            results = await self._called(items) if items else []
        except Exception as error:
            for request in self._batcher.failed(batch, self.loop.time()):
                self._fail(request, error)
        else:
            end_s = self.loop.time()
            self._batcher.finished(batch, end_s, max(end_s - start_s, 1e-9))
            for request, result in zip(requests, results, strict=True):
                self._answer(request, result)
        self._step()

    async def _called(self, items: list[Item]) -> Sequence[Result]:
        if self._threads is not None:
            results: Any = await self.loop.run_in_executor(self._threads, self._function, items)
        else:
            results = await self._function(items)  # type: ignore[misc]
        try:
            answered = len(results)
        except TypeError:
            raise TypeError(
                f"the batched function must return a list with a result for each item, not "
                f"{type(results).__name__}"
            ) from None
        if answered != len(items):
            raise ValueError(
                f"the batched function returned {answered} results for {len(items)} items"
            )
        of_all: Sequence[Result] = results
        return of_all

    async def _solve(self, tier: Tier, problem: Problem) -> None:
        table = await asyncio.to_thread(solve, problem)
        self._solving.discard(tier)
        self._batcher.use_table(tier, table, self.loop.time())
        self._step()

    def _answer(self, request: Request, result: Result) -> None:
        answer = self._answers_to(request)
        if answer is not None:
            answer.set_result(result)

    def _fail(self, request: Request, error: Exception) -> None:
        answer = self._answers_to(request)
        if answer is not None:
            answer.set_exception(error)

    def _answers_to(self, request: Request) -> asyncio.Future[Result] | None:
        """Where somebody still waits for it."""
        _, answer = self._calls.pop(request.id, (None, None))
        return None if answer is None or answer.done() else answer


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await: a coroutine function, or an object with one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )
