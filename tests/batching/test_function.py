"""`@headway.batched`: every call gets its own result, whatever it is batched with."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headway
from headway.batching.driver import Refused
from headway.core.decision import RejectReason


class Poison(Exception):
    """What the functions here do not take."""


async def test_calls_at_once_share_batches_and_get_their_own_results() -> None:
    sizes = []

    @headway.batched(max_batch_size=8)
    async def squares(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        await asyncio.sleep(0)
        return [number * number for number in numbers]

    found = await asyncio.gather(*map(squares, range(50)))
    assert found == [number * number for number in range(50)]
    assert max(sizes) == 8
    assert sum(sizes) == 50


async def test_it_decorates_without_arguments_too() -> None:
    @headway.batched
    def shouted(items: list[str]) -> list[str]:
        """In capitals."""
        return [item.upper() for item in items]

    assert await asyncio.gather(shouted("a"), shouted("b")) == ["A", "B"]
    assert shouted.__doc__ == "In capitals."


def test_an_argument_without_its_name_is_refused() -> None:
    decorate: Any = headway.batched
    with pytest.raises(TypeError, match=r"decorates a function, not 64; .*max_batch_size=64"):
        decorate(64)


async def test_a_plain_function_leaves_the_event_loop_alone() -> None:
    threads = set()

    @headway.batched()
    def names(items: list[str]) -> list[str]:
        threads.add(threading.current_thread())
        return [item.upper() for item in items]

    assert await asyncio.gather(names("a"), names("b")) == ["A", "B"]
    assert threading.current_thread() not in threads


async def test_an_item_that_breaks_the_function_fails_alone() -> None:
    @headway.batched(max_batch_size=16)
    async def careful(numbers: list[int]) -> list[int]:
        if 7 in numbers:
            raise Poison("seven")
        return numbers

    found = await asyncio.gather(*map(careful, range(16)), return_exceptions=True)
    assert isinstance(found.pop(7), Poison)
    assert found == [number for number in range(16) if number != 7]


async def test_a_function_that_returns_too_few_results_says_so() -> None:
    @headway.batched()
    async def forgetful(numbers: list[int]) -> list[int]:
        return []

    with pytest.raises(ValueError, match="returned 0 results for 1 items"):
        await forgetful(1)

    @headway.batched()
    async def silent(numbers: list[int]) -> list[int]:
        return None  # type: ignore[return-value]

    with pytest.raises(TypeError, match="not NoneType"):
        await silent(1)


async def test_a_cancelled_item_is_not_run() -> None:
    ran: list[int] = []
    free = asyncio.Event()

    @headway.batched(max_batch_size=1)
    async def slow(numbers: list[int]) -> list[int]:
        ran.extend(numbers)
        await free.wait()
        return numbers

    first, second, third = (asyncio.ensure_future(slow(number)) for number in range(3))
    while not ran:
        await asyncio.sleep(0)
    second.cancel()
    free.set()
    assert await asyncio.gather(first, third) == [0, 2]
    assert ran == [0, 2]


async def test_a_deadline_that_cannot_be_met_is_refused() -> None:
    @headway.batched()
    async def any_of(numbers: list[int]) -> list[int]:
        return numbers

    with pytest.raises(Refused, match="deadline cannot be met") as refused:
        await any_of(1, deadline_s=-1.0)
    assert refused.value.rejection.reason is RejectReason.DEADLINE
    assert await any_of(1, deadline_s=60.0, tier="interactive") == 1


def test_every_event_loop_has_a_queue_of_its_own() -> None:
    @headway.batched(policy="constant", max_delay_s=0.0)
    async def same(numbers: list[int]) -> list[int]:
        return numbers

    assert [asyncio.run(same(number)) for number in range(2)] == [0, 1]


@pytest.mark.parametrize("policy", ["constant", "adaptive", "optimal"])
def test_nonsense_is_refused(policy: str) -> None:
    with pytest.raises(ValueError, match="at least one"):
        headway.batched(max_batch_size=0, policy=policy)
    with pytest.raises(ValueError, match="at least one worker, not 0"):
        headway.batched(workers=0, policy=policy)
    with pytest.raises(ValueError, match="no policy 'eager'"):
        headway.batched(policy="eager")  # type: ignore[arg-type]


calls = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from(["interactive", "standard", "batch"]),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=25)
@given(
    calls,
    st.sampled_from(["constant", "adaptive", "optimal"]),
    st.integers(1, 9),
    st.integers(1, 3),
    st.booleans(),
)
def test_every_call_is_answered_once_and_with_its_own(calls, policy, most, workers, by_length):
    @headway.batched(
        max_batch_size=most,
        policy=policy,
        max_delay_s=0.001,
        workers=workers,
        length=(lambda call: call[0] + 1) if by_length else None,
    )
    async def function(items):
        assert 1 <= len(items) <= most
        await asyncio.sleep(0)
        if any(poison for _, _, poison, _ in items):
            raise Poison
        return [(number, "done") for number, *_ in items]

    async def call(one):
        for _ in range(one[3]):
            await asyncio.sleep(0)
        return await function(one, tier=one[1])

    async def all_of_them():
        return await asyncio.gather(*map(call, calls), return_exceptions=True)

    for one, answer in zip(calls, asyncio.run(all_of_them()), strict=True):
        if one[2]:
            assert isinstance(answer, Poison)
        else:
            assert answer == (one[0], "done")


async def test_the_next_batch_runs_before_the_answers_of_the_last_one_are_looked_at() -> None:
    happened = []

    @headway.batched(max_batch_size=1)
    async def named(names: list[str]) -> list[str]:
        happened.append(f"{names[0]} runs")
        await asyncio.sleep(0)
        return names

    async def caller(name: str) -> None:
        happened.append(f"{await named(name)} is answered")

    await asyncio.gather(caller("first"), caller("second"))
    assert happened == [
        "first runs",
        "second runs",
        "first is answered",
        "second is answered",
    ]


async def test_an_argument_that_makes_no_sense_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"max_delay_s is -1.0; it must not be negative"):
        headway.batched(max_delay_s=-1.0)

    @headway.batched(length=lambda text: "long")
    def same(texts: list[str]) -> list[str]:
        return texts

    with pytest.raises(TypeError, match=r"`length` must return a whole number, not 'long'"):
        await same("a")
