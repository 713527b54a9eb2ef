"""`@headway.batched`: makes one call of a function from list to list from many single calls.

It needs no server. The function may be plain or async; a plain one runs in a thread, so that it
does not block the event loop.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Generic, Literal, Protocol, overload
from weakref import ReferenceType, ref

from headway.batching.driver import Driver, Item, Result, checked, ended_by
from headway.core.batching import Batcher, BatchingSettings, Limits, TierBatching
from headway.core.batching.settings import FREQUENT, RARE
from headway.core.request import Tier

Function = Callable[[list[Item]], Sequence[Result] | Awaitable[Sequence[Result]]]


class Decorator(Protocol):
    """Batches the calls of the function that it decorates."""

    def __call__(self, function: Function[Item, Result], /) -> BatchedFunction[Item, Result]: ...


@overload
def batched(function: Function[Item, Result], /) -> BatchedFunction[Item, Result]: ...


@overload
def batched(
    *,
    max_batch_size: int = 32,
    policy: Literal["constant", "adaptive", "optimal"] = "adaptive",
    max_delay_s: float = FREQUENT.max_delay_s,
    slo_s: float | None = None,
    length: Callable[[Any], int] | None = None,
    workers: int = 1,
) -> Decorator: ...


def batched(
    function: Function[Item, Result] | None = None,
    /,
    *,
    max_batch_size: int = 32,
    policy: Literal["constant", "adaptive", "optimal"] = "adaptive",
    max_delay_s: float = FREQUENT.max_delay_s,
    slo_s: float | None = None,
    length: Callable[[Any], int] | None = None,
    workers: int = 1,
) -> BatchedFunction[Item, Result] | Decorator:
    """Batch the calls of a function from list to list: `@batched`, or `@batched(…)` with arguments.

    Args:
        function: the decorated one, where there are no arguments.
        max_batch_size: most items in a call of the function.
        policy: when to launch: after a delay, when waiting no longer pays, or by a solved table.
        max_delay_s: longest wait for further items, under `constant`.
        slo_s: latency in seconds that `adaptive` tries to meet by limiting the batch size.
        length: returns the length of an item; batches then hold items of about equal length, which
            is cheaper where items are padded, as texts are.
        workers: number of batches that run at a time.

    Raises:
        TypeError: `function` is none.
        ValueError: a limit is below 1, or there is no such policy.
    """
    if function is not None and not callable(function):
        raise TypeError(
            f"@batched decorates a function, not {function!r}; name the arguments, as "
            "@batched(max_batch_size=64)"
        )
    if policy not in ("constant", "adaptive", "optimal"):
        raise ValueError(f"no policy {policy!r}; there are constant, adaptive, optimal")
    if workers < 1:
        raise ValueError(f"a batched function needs at least one worker, not {workers}")
    if max_delay_s < 0.0:
        raise ValueError(f"max_delay_s is {max_delay_s}; it must not be negative")
    of_tier = TierBatching(policy, max_delay_s=max_delay_s, slo_s=slo_s)
    settings = BatchingSettings(
        limits=Limits(max_batch_size),
        tiers={Tier.INTERACTIVE: of_tier, Tier.STANDARD: of_tier, Tier.BATCH: RARE},
        length_aware=length is not None,
    )

    def decorate(function: Function[Any, Any], /) -> BatchedFunction[Any, Any]:
        return BatchedFunction(function, settings, length, workers)

    return decorate if function is None else decorate(function)


class BatchedFunction(Generic[Item, Result]):
    """Called with one item, it returns the result of that item.

    Every event loop that calls it has its own queue, and as a method every instance.
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
        self._bound: dict[int, tuple[ReferenceType[object], BatchedFunction[Item, Result]]] = {}
        """Of each instance, if it is a method, by its id."""
        self._driver: Driver[Item, Result] | None = None
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
            item: one item of the list that the function takes.
            tier: interactive, standard or batch.
            tenant: the owner of the item.
            deadline_s: from now; if it cannot be met, the item is refused at once.

        Raises:
            Refused: the item was not run.
            Exception: raised by the function for this item alone.
        """
        loop = asyncio.get_running_loop()
        driver = self._driver
        if driver is None or driver.loop is not loop:
            batcher = Batcher(self._settings, self._workers)
            driver = self._driver = Driver(batcher, self._called, loop)
        length = self._length(item) if self._length is not None else 1
        if not isinstance(length, int):
            raise TypeError(f"`length` must return a whole number, not {length!r}")
        (outcome,) = await driver.run(
            [item], [max(1, length)], Tier.parse(tier), tenant, deadline_s
        )
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @overload
    def __get__(
        self, instance: None, owner: type | None = None
    ) -> BatchedFunction[Item, Result]: ...

    @overload
    def __get__(
        self, instance: object, owner: type | None = None
    ) -> BatchedMethod[Item, Result]: ...

    def __get__(
        self, instance: object | None, owner: type | None = None
    ) -> BatchedFunction[Item, Result] | BatchedMethod[Item, Result]:
        """A method has a queue for each instance. Raises TypeError if it cannot know its end."""
        if instance is None:
            return self
        _, bound = self._bound.get(id(instance), (None, None))
        if bound is None:
            bound = self._bind(instance)
        return BatchedMethod(instance, bound)

    def _bind(self, instance: object) -> BatchedFunction[Item, Result]:
        key = id(instance)
        try:
            weak = ref(instance, lambda _: self._bound.pop(key, None))
        except TypeError:
            raise TypeError(
                f"a batched method needs to know when its instance is gone; add '__weakref__' to "
                f"the __slots__ of {type(instance).__name__}"
            ) from None
        function: Any = self.function

        async def later(items: list[Item]) -> Any:
            return await function(weak(), items)

        def at_once(items: list[Item]) -> Any:
            return function(weak(), items)

        bound = BatchedFunction[Item, Result](
            later if _is_async(function) else at_once, self._settings, self._length, self._workers
        )
        self._bound[key] = weak, bound
        return bound

    async def _called(self, items: list[Item]) -> Sequence[Result | Exception]:
        if self._threads is None:
            results: Any = await self.function(items)  # type: ignore[misc]
        else:
            loop = asyncio.get_running_loop()
            results, error = await loop.run_in_executor(self._threads, self._in_thread, items)
            if error is not None:
                raise error
            if inspect.isawaitable(results):
                results = await results
        return checked(results, len(items), "the batched function")

    def _in_thread(self, items: list[Item]) -> tuple[Any, Exception | None]:
        """The results, or an exception that a future can hold and that ends nothing else."""
        try:
            return self.function(items), None
        except StopIteration as error:
            return None, ended_by(error)
        except Exception as error:
            return None, error
        except BaseException as error:
            return None, ended_by(error)


@dataclass(frozen=True, slots=True)
class BatchedMethod(Generic[Item, Result]):
    """A batched method of one instance, called as a BatchedFunction is."""

    instance: object
    """Lives while it is called."""
    function: BatchedFunction[Item, Result]

    async def __call__(self, item: Item, **asked: Any) -> Result:
        """The result of `item`; the arguments are those of BatchedFunction."""
        return await self.function(item, **asked)


def _is_async(function: Callable[..., Any]) -> bool:
    """Whether a call returns an awaitable: a coroutine function, or an object whose call is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )
