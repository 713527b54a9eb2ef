"""What holds for every event sequence, whatever the settings."""

from math import ceil, log2

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.batching.drive import (
    CURVE,
    Driver,
    at_once,
    event_lists,
    item,
    settings_of_every_kind,
)

from headway.core.batching import Batcher, BatchingSettings, Launch, Limits
from headway.core.request import State, Tier


@settings(max_examples=400, deadline=None)
@given(settings_of_every_kind, event_lists)
def test_every_promise_holds_after_every_event(chosen, events) -> None:
    """Limits, slices, delays, deadlines, one answer for each item: the driver checks them."""
    driver = Driver(chosen)
    driver.play(events)
    driver.drain()
    assert set(driver.answers) == set(driver.added)


@settings(max_examples=60, deadline=None)
@given(settings_of_every_kind, event_lists)
def test_one_event_log_gives_one_decision_log(chosen, events) -> None:
    logs = []
    for _ in range(2):
        driver = Driver(chosen)
        driver.play(events)
        logs.append("\n".join(driver.log).encode())
    assert logs[0] == logs[1]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 64), st.sets(st.integers(0, 63), max_size=4), st.booleans())
def test_bisecting_finds_the_poison_in_k_log_n_launches(count, poison, length_aware) -> None:
    batcher = at_once(Limits(max_size=64), length_aware=length_aware)
    items = [item(f"r{index}") for index in range(count)]
    for one in items:
        batcher.add(one, 0.0)
    poison = {f"r{index}" for index in poison if index < count}
    culprits, launches, now_s = set(), 0, 0.0
    while batcher.requests:
        now_s += 1.0
        for decision in batcher.step(now_s):
            assert isinstance(decision, Launch)
            launches += 1
            if poison & {request.id for request in decision.batch.requests}:
                culprits |= {request.id for request in batcher.failed(decision.batch, now_s)}
            else:
                batcher.finished(decision.batch, now_s, 0.01)
    assert culprits == poison
    assert all(one.state is State.FINISHED for one in items)
    assert launches <= 1 + 2 * len(poison) * ceil(log2(max(2, count)))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 32), st.integers(0, 31))
def test_an_item_that_kills_workers_is_found_and_kills_few(count, killer) -> None:
    batcher = at_once(Limits(max_size=32))
    for index in range(count):
        batcher.add(item(f"r{index}"), 0.0)
    killer_id = f"r{killer % count}"
    deaths, now_s, culprits = 0, 0.0, []
    while batcher.requests:
        now_s += 1.0
        for decision in batcher.step(now_s):
            if killer_id in {request.id for request in decision.batch.requests}:
                deaths += 1
                culprits += batcher.lost(decision.batch, now_s)
            else:
                batcher.finished(decision.batch, now_s, 0.01)
    assert [request.id for request in culprits] == [killer_id]
    assert deaths <= 3 + ceil(log2(max(2, count)))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 3), st.integers(2, 40), st.sampled_from(["off", "vtc"]))
def test_equal_items_run_in_order_of_arrival(most, workers, count, fairness) -> None:
    batcher = at_once(Limits(max_size=most), workers, fairness=fairness)
    for index in range(count):
        batcher.add(item(f"r{index}"), 0.0)
    order, now_s = [], 0.0
    while batcher.requests:
        for decision in batcher.step(now_s):
            order += [request.id for request in decision.batch.requests]
        now_s += 1.0
        for batch in list(batcher.batches.values()):
            batcher.finished(batch, now_s, 0.01)
    assert order == [f"r{index}" for index in range(count)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=60))
def test_an_interactive_item_waits_at_most_one_slice_for_lower_tiers(arrivals) -> None:
    """Also if a batch of its own is filled up with them."""
    slice_s = 0.02
    batcher = Batcher(BatchingSettings(slice_s=slice_s, prior=CURVE))
    now_s = 0.0
    for index in range(100):
        batcher.add(item(f"b{index}", 50, tier=Tier.BATCH), now_s)
    waiting_since: dict[str, float] = {}
    for index, (length, _) in enumerate(arrivals):
        for decision in batcher.step(now_s):
            assert isinstance(decision, Launch)
            batch = decision.batch
            for request in batch.requests:
                waiting_since.pop(request.id, None)
            assert not waiting_since, "an interactive item waited for a second batch"
        one = item(f"i{index}", length, now_s, tier=Tier.INTERACTIVE)
        batcher.add(one, now_s)
        waiting_since[one.id] = now_s
        (batch,) = batcher.batches.values()
        own_s = CURVE.batch_s(len(batch), batch.length)
        if all(request.tier is Tier.BATCH for request in batch.requests):
            assert own_s <= slice_s
        now_s += own_s
        batcher.finished(batch, now_s, own_s)
