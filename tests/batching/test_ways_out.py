"""`@headway.batched`: every way out of a batch answers its items, and the next calls work."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from array import array
from collections import deque, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import headway
from headway.batching.driver import BatchEnded

LIMIT_S = 30.0


class Gone(BaseException):
    """Something that is no Exception."""


async def cancelled_inside() -> None:
    inner = asyncio.ensure_future(asyncio.sleep(60))
    inner.cancel()
    await inner


def ways() -> dict[str, Callable[[], Any]]:
    def raises(error: BaseException) -> Callable[[], Any]:
        def raising() -> None:
            raise error

        return raising

    return {
        "StopIteration": lambda: next(iter(())),
        "StopAsyncIteration": raises(StopAsyncIteration()),
        "GeneratorExit": raises(GeneratorExit()),
        "CancelledError": raises(asyncio.CancelledError()),
        "BaseException": raises(Gone("gone")),
        "Exception": raises(KeyError("k")),
    }


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
@pytest.mark.parametrize("way", ways())
async def test_its_item_fails_the_others_get_their_results(way: str, plain: bool) -> None:
    def results(items: list[int]) -> list[int]:
        if 3 in items:
            ways()[way]()
        return [item * 2 for item in items]

    async def later(items: list[int]) -> list[int]:
        return results(items)

    function = headway.batched()(results if plain else later)
    async with asyncio.timeout(LIMIT_S):
        found = await asyncio.gather(*map(function, range(5)), return_exceptions=True)
        assert found[:3] + found[4:] == [0, 2, 4, 8]
        assert isinstance(found[3], Exception)
        assert await function(7) == 14


async def test_a_task_cancelled_inside_fails_its_items() -> None:
    @headway.batched()
    async def function(items: list[int]) -> list[int]:
        if 3 in items:
            await cancelled_inside()
        return items

    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(BatchEnded, match="ended by CancelledError"):
            await function(3)
        assert await function(4) == 4


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
async def test_what_ends_the_program_does_not_end_it_from_a_thread(
    ending: type[BaseException],
) -> None:
    @headway.batched()
    def function(items: list[int]) -> list[int]:
        if 3 in items:
            raise ending
        return items

    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(BatchEnded, match=ending.__name__):
            await function(3)
        assert await function(4) == 4


def test_what_ends_the_program_ends_it_from_the_event_loop() -> None:
    @headway.batched()
    async def function(items: list[int]) -> list[int]:
        sys.exit(5)

    with pytest.raises(SystemExit):
        asyncio.run(function(1))


def test_a_loop_that_ends_meanwhile_leaves_nobody_waiting() -> None:
    @headway.batched(max_batch_size=4)
    async def function(items: list[int]) -> list[int]:
        await asyncio.Event().wait()
        return items

    async def main() -> list[asyncio.Task[int]]:
        calls = [asyncio.ensure_future(function(item)) for item in range(6)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return calls

    assert all(call.cancelled() for call in asyncio.run(main()))


# ---- results -------------------------------------------------------------------------------------


class Series:
    """As pandas has it: by label, and iterated by value."""

    def __init__(self, values: list[Any]) -> None:
        self.shape = (len(values),)
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, label: int) -> Any:
        return self._values[-1 - label]

    def __iter__(self) -> Any:
        return iter(self._values)


class DataFrame:
    """As pandas has it: iterated by column."""

    shape = (3, 3)
    columns = ("a", "b", "c")

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter(self.columns)


Pair = namedtuple("Pair", "first second third")
GOOD: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "array": lambda items: np.array(items),
    "rows": lambda items: np.array([[item, 0] for item in items])[:, 0],
    "array.array": lambda items: array("q", items),
    "series": Series,
}
BAD: dict[str, Callable[[list[int]], Any]] = {
    "set": set,
    "frozenset": frozenset,
    "dict": lambda items: dict.fromkeys(items),
    "keys": lambda items: dict.fromkeys(items).keys(),
    "str": lambda items: "x" * len(items),
    "bytes": bytes,
    "bytearray": bytearray,
    "generator": lambda items: (item for item in items),
    "deque": deque,
    "DataFrame": lambda items: DataFrame(),
    "Pair": lambda items: Pair(1, 2, 3),
    "NoneType": lambda items: None,
    "ndarray": lambda items: np.array(3),
}


@pytest.mark.parametrize("kind", GOOD)
async def test_lists_arrays_and_series_are_taken_row_by_row(kind: str) -> None:
    @headway.batched()
    async def function(items: list[int]) -> Any:
        return GOOD[kind](items)

    assert await asyncio.gather(*map(function, (3, 1, 2))) == [3, 1, 2]


@pytest.mark.parametrize("kind", BAD)
async def test_anything_else_is_refused_with_its_type(kind: str) -> None:
    @headway.batched()
    async def function(items: list[int]) -> Any:
        return BAD[kind](items)

    async with asyncio.timeout(LIMIT_S):
        for found in await asyncio.gather(*map(function, (3, 1, 2)), return_exceptions=True):
            assert isinstance(found, TypeError)
            assert "must return a list with a result for each item, not" in str(found)
            assert kind in str(found)


async def test_a_plain_function_may_return_an_awaitable() -> None:
    async def results(items: list[int]) -> list[int]:
        return items

    assert await headway.batched()(lambda items: results(items))(3) == 3


# ---- methods -------------------------------------------------------------------------------------


class Scaled:
    """A class whose methods are batched."""

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.sizes: list[int] = []

    @headway.batched(max_batch_size=8)
    def plain(self, items: list[int]) -> list[int]:
        """Times the factor."""
        self.sizes.append(len(items))
        return [item * self.factor for item in items]

    @headway.batched(length=lambda item: item + 1)
    async def later(self, items: list[int]) -> list[int]:
        return [item * self.factor for item in items]

    def __eq__(self, other: object) -> bool:  # equal, and cannot be hashed
        return isinstance(other, Scaled)


@pytest.mark.parametrize("name", ["plain", "later"])
async def test_a_method_has_a_queue_for_each_instance(name: str) -> None:
    two, three = Scaled(2), Scaled(3)
    calls = [getattr(of, name)(item) for item in range(20) for of in (two, three)]
    found = await asyncio.gather(*calls)
    assert found == [item * factor for item in range(20) for factor in (2, 3)]
    assert await getattr(two, name)(1, tier="interactive", deadline_s=60.0) == 2
    assert not two.sizes or max(two.sizes) > 1
    assert Scaled.plain.__doc__ == "Times the factor."


async def test_an_instance_lives_while_its_method_runs_and_no_longer() -> None:
    assert await Scaled(5).plain(2) == 10
    kept = Scaled(7)
    gone = weakref.ref(kept)
    assert await kept.later(1) == 7
    del kept
    gc.collect()
    assert gone() is None


async def test_slots_without_a_weak_reference_are_refused() -> None:
    class Slots:
        __slots__ = ("x",)

        @headway.batched()
        def method(self, items: list[int]) -> list[int]:
            return items

    with pytest.raises(TypeError, match=r"add '__weakref__' to the __slots__ of Slots"):
        await Slots().method(1)


async def test_static_and_class_methods_are_functions() -> None:
    class Both:
        @staticmethod
        @headway.batched()
        def static(items: list[int]) -> list[int]:
            return items

    assert await Both.static(1) == await Both().static(1) == 1
