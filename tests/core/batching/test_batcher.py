"""The batcher's guarantees, one small example each."""

import pytest
from tests.core.batching.drive import at_once, item

from headway.core.batching import (
    Batch,
    Batcher,
    BatchingSettings,
    Curve,
    Launch,
    Limits,
    TierBatching,
)
from headway.core.decision import Reject, RejectReason
from headway.core.request import Request, State, Tier
from headway.core.settings import TierSettings

CURVE = Curve(fixed_s=0.010, item_s=0.001)
FOUR = Limits(max_size=4)


def waits(max_delay_s: float, limits: Limits = FOUR, **facts) -> Batcher:
    """A batcher that waits for further items in every tier."""
    tiers = dict.fromkeys(Tier, TierBatching("constant", max_delay_s=max_delay_s))
    return Batcher(BatchingSettings(limits=limits, tiers=tiers, prior=CURVE, **facts))


def added(batcher: Batcher, *items: Request) -> None:
    for one in items:
        assert batcher.add(one, one.arrival_s) is None


def launched(batcher: Batcher, now_s: float = 0.0) -> list[Batch]:
    decisions = batcher.step(now_s)
    assert all(isinstance(decision, Launch) for decision in decisions)
    return [decision.batch for decision in decisions]


def ids(batch: Batch) -> list[str]:
    return [request.id for request in batch.requests]


# ---- launching ------------------------------------------------------------------------------


def test_what_waits_is_launched_together_and_finishes_together() -> None:
    batcher = at_once(FOUR)
    items = [item(f"r{index}", 10 + index) for index in range(3)]
    added(batcher, *items)
    (batch,) = launched(batcher)
    assert ids(batch) == ["r0", "r1", "r2"]
    assert (batch.size, batch.length) == (3, 12)
    assert all(one.state is State.RUNNING for one in items)
    batcher.finished(batch, 0.02, 0.02)
    assert all(one.state is State.FINISHED for one in items)
    assert not batcher.requests


def test_a_batch_is_padded_to_a_size_and_a_length_that_the_model_takes() -> None:
    batcher = at_once(Limits(max_size=8, sizes=(1, 4, 8), lengths=(16, 64)))
    added(batcher, item("a", 10), item("b", 20))
    (batch,) = launched(batcher)
    assert (len(batch), batch.size, batch.length) == (2, 4, 64)


def test_one_batch_runs_on_each_worker() -> None:
    batcher = at_once(FOUR, workers=2)
    added(batcher, *[item(f"r{index}") for index in range(10)])
    first, second = launched(batcher)
    assert launched(batcher) == []
    batcher.finished(second, 0.02, 0.02)
    (third,) = launched(batcher, 0.02)
    assert ids(first) + ids(second) + ids(third) == [f"r{index}" for index in range(10)]


def test_without_a_worker_all_items_wait_until_there_is_one() -> None:
    batcher = at_once(FOUR, workers=0)
    added(batcher, item("a"))
    assert launched(batcher) == []
    batcher.set_workers(1, 1.0)
    assert [ids(batch) for batch in launched(batcher, 1.0)] == [["a"]]


def test_it_says_when_to_wake_it_and_then_launches() -> None:
    batcher = waits(0.005)
    added(batcher, item("a", arrival_s=1.0))
    assert launched(batcher, 1.0) == []
    wakeup_s = batcher.next_wakeup_s(1.0)
    assert wakeup_s == pytest.approx(1.005)
    assert [ids(batch) for batch in launched(batcher, wakeup_s)] == [["a"]]
    assert batcher.next_wakeup_s(wakeup_s) is None


def test_memory_limits_a_batch_by_its_padded_length() -> None:
    batcher = at_once(Limits(max_size=8, max_tokens=100))
    added(batcher, item("a", 20), item("b", 20), item("c", 50), item("d", 20))
    (batch,) = launched(batcher)
    # c would pad all to 50; d still fits.
    assert ids(batch) == ["a", "b", "d"]
    batcher.finished(batch, 0.1, 0.1)
    assert [ids(batch) for batch in launched(batcher, 0.1)] == [["c"]]


def test_length_aware_the_first_item_runs_with_items_of_its_length() -> None:
    batcher = at_once(Limits(max_size=4), length_aware=True, prior=Curve(0.001, 0.0, 0.0001))
    lengths = {"long": 250, "a": 8, "b": 9, "longer": 256, "c": 10}
    added(batcher, *[item(name, length) for name, length in lengths.items()])
    (batch,) = launched(batcher)
    assert ids(batch) == ["long", "longer"]
    batcher.finished(batch, 0.1, 0.05)
    (batch,) = launched(batcher, 0.1)
    assert sorted(ids(batch)) == ["a", "b", "c"]


# ---- order ----------------------------------------------------------------------------------


def test_a_higher_tier_goes_first_and_a_lower_one_fills_the_room() -> None:
    batcher = at_once(FOUR, slice_s=1.0, prior=CURVE)
    added(batcher, *[item(f"b{index}", tier=Tier.BATCH) for index in range(4)])
    added(batcher, *[item(f"i{index}", tier=Tier.INTERACTIVE) for index in range(2)])
    (batch,) = launched(batcher)
    assert ids(batch) == ["i0", "i1", "b0", "b1"]


def test_a_lower_tier_fills_only_half_a_slice() -> None:
    """10 ms, 1 ms an item, slices of 27 ms: three items take 13 ms."""
    batcher = at_once(Limits(max_size=32), slice_s=0.027, prior=CURVE)
    added(batcher, *[item(f"b{index}", tier=Tier.BATCH) for index in range(20)])
    added(batcher, item("i", tier=Tier.INTERACTIVE))
    (batch,) = launched(batcher)
    assert ids(batch) == ["i", "b0", "b1"]


def test_a_lower_tier_always_replaces_padding() -> None:
    limits = Limits(max_size=8, sizes=(1, 4, 8))
    batcher = at_once(limits, slice_s=0.011, prior=CURVE)
    added(batcher, *[item(f"b{index}", tier=Tier.BATCH) for index in range(9)])
    added(batcher, *[item(f"i{index}", tier=Tier.INTERACTIVE) for index in range(3)])
    (batch,) = launched(batcher)
    assert ids(batch) == ["i0", "i1", "i2", "b0"]
    assert batch.size == 4


def test_fillers_do_not_make_a_batch_longer() -> None:
    batcher = at_once(FOUR, slice_s=1.0, prior=CURVE)
    added(batcher, item("long", 100, tier=Tier.BATCH), item("short", 5, tier=Tier.BATCH))
    added(batcher, item("i", 10, tier=Tier.INTERACTIVE))
    (batch,) = launched(batcher)
    assert ids(batch) == ["i", "short"]
    assert batch.length == 10


def test_an_item_does_not_wait_for_company_while_a_lower_tier_has_some() -> None:
    batcher = waits(1.0, slice_s=1.0)
    added(batcher, item("b", tier=Tier.BATCH))
    assert launched(batcher) == []
    added(batcher, item("i", tier=Tier.INTERACTIVE))
    assert [ids(batch) for batch in launched(batcher)] == [["i", "b"]]


def test_an_item_does_not_wait_behind_a_lower_tier_that_waits_for_company() -> None:
    """Among weighted tiers the lower one may be next."""
    at_once_but_bulk = {
        **dict.fromkeys(Tier, TierBatching("constant", max_delay_s=0.0)),
        Tier.BATCH: TierBatching("constant", max_delay_s=1.0),
    }
    settings = BatchingSettings(
        FOUR, at_once_but_bulk, slice_s=1.0, tier_mode="weighted", prior=CURVE
    )
    batcher = Batcher(settings, 2)
    added(batcher, item("b", 100, tier=Tier.BATCH))
    assert launched(batcher) == []
    for name in ("i0", "i1"):  # b is too long to fill up their batches
        added(batcher, item(name, 10, tier=Tier.INTERACTIVE))
        assert [ids(batch) for batch in launched(batcher)] == [[name]]


def test_a_lower_tier_runs_in_slices_while_interactive_items_come() -> None:
    """10 ms and 1 ms an item: nine tenths of the throughput of 32 take 22 items."""
    for interactive, expected in ((0, 32), (3, 22)):
        batcher = at_once(Limits(max_size=32), workers=interactive + 1, prior=CURVE)
        now_s = 0.0
        for index in range(interactive):
            now_s += 0.01
            added(batcher, item(f"i{index}", arrival_s=now_s, tier=Tier.INTERACTIVE))
            assert [len(batch) for batch in launched(batcher, now_s)] == [1]
        added(batcher, *[item(f"b{i}", arrival_s=now_s, tier=Tier.BATCH) for i in range(70)])
        assert [len(batch) for batch in launched(batcher, now_s)] == [expected]


def test_small_batches_for_one_tier_and_large_rare_ones_for_another() -> None:
    tiers = {
        Tier.INTERACTIVE: TierBatching("constant", max_size=2, max_delay_s=0.001),
        Tier.STANDARD: TierBatching("constant", max_size=2, max_delay_s=0.001),
        Tier.BATCH: TierBatching("constant", max_size=8, max_delay_s=0.1),
    }
    batcher = Batcher(BatchingSettings(Limits(max_size=8), tiers, slice_s=1.0, prior=CURVE), 2)
    added(batcher, *[item(f"b{index}", tier=Tier.BATCH) for index in range(7)])
    assert launched(batcher) == []
    assert batcher.next_wakeup_s(0.0) == pytest.approx(0.1)
    added(batcher, item("b7", tier=Tier.BATCH))
    assert [len(batch) for batch in launched(batcher)] == [8]
    added(batcher, *[item(f"i{index}", tier=Tier.INTERACTIVE) for index in range(3)])
    assert [len(batch) for batch in launched(batcher)] == [2]


def test_an_item_due_by_its_starvation_bound_is_in_the_next_batch() -> None:
    due = TierBatching("constant", max_delay_s=0.0, queue=TierSettings(max_wait_s=1.0))
    tiers = {**dict.fromkeys(Tier, TierBatching("constant", max_delay_s=0.0)), Tier.BATCH: due}
    batcher = Batcher(BatchingSettings(Limits(max_size=1), tiers, prior=CURVE))
    added(batcher, item("old", tier=Tier.BATCH), item("new", tier=Tier.INTERACTIVE))
    assert [ids(batch) for batch in launched(batcher, 1.0)] == [["old"]]


def test_tenants_share_a_batch_by_the_service_they_had() -> None:
    batcher = at_once(FOUR, fairness="vtc")
    added(batcher, *[item(f"a{index}", tenant="a") for index in range(6)])
    added(batcher, *[item(f"b{index}", tenant="b") for index in range(2)])
    (batch,) = launched(batcher)
    assert sorted(ids(batch)) == ["a0", "a1", "b0", "b1"]


def test_the_order_within_a_tier_is_any_policy() -> None:
    batcher = at_once(Limits(max_size=2), order="edf")
    deadlines_s = {"none": None, "late": 9.0, "soon": 5.0}
    added(batcher, *[item(name, deadline_s=at_s) for name, at_s in deadlines_s.items()])
    (batch,) = launched(batcher)
    assert ids(batch) == ["soon", "late"]


def test_an_unknown_order_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown order 'lifo'; the orders are fcfs"):
        Batcher(BatchingSettings(order="lifo"))


# ---- deadlines ------------------------------------------------------------------------------


def test_an_item_whose_deadline_cannot_be_met_is_refused_at_once() -> None:
    batcher = waits(1.0)
    rejection = batcher.add(item("r", deadline_s=0.010), 0.0)  # alone it takes 11 ms
    assert rejection is not None
    assert rejection.reason is RejectReason.DEADLINE


def test_an_item_that_would_wait_too_long_for_a_running_batch_is_refused() -> None:
    batcher = at_once(FOUR, prior=CURVE)
    added(batcher, *[item(f"r{index}") for index in range(4)])
    launched(batcher)  # 14 ms
    rejection = batcher.add(item("late", deadline_s=0.020), 0.0)
    assert rejection is not None
    assert rejection.predicted_wait_s == pytest.approx(0.014)
    assert batcher.add(item("in time", deadline_s=0.026), 0.0) is None


def test_a_batch_is_launched_before_its_first_deadline_is_lost() -> None:
    batcher = waits(1.0)
    added(batcher, item("a"), item("b", deadline_s=0.100))
    assert launched(batcher) == []
    wakeup_s = batcher.next_wakeup_s(0.0)
    assert wakeup_s == pytest.approx(0.100 - 0.012)  # two items take 12 ms
    assert [ids(batch) for batch in launched(batcher, wakeup_s)] == [["b", "a"]]


def test_a_batch_grows_no_larger_than_its_deadlines_allow() -> None:
    batcher = at_once(FOUR, prior=CURVE)
    added(batcher, item("a", deadline_s=0.0125), item("b"), item("c"), item("d"))
    assert [ids(batch) for batch in launched(batcher)] == [["a", "b"]]


def test_a_deadline_that_the_next_batch_could_not_meet_leads_this_one() -> None:
    batcher = at_once(Limits(max_size=2), prior=CURVE)
    added(batcher, item("a"), item("b"), item("hurry", deadline_s=0.020))
    assert [ids(batch) for batch in launched(batcher)] == [["hurry", "a"]]


def test_a_deadline_missed_while_waiting_is_rejected_and_frees_its_place() -> None:
    batcher = at_once(FOUR, workers=0, prior=CURVE)
    added(batcher, item("r", deadline_s=0.1))
    wakeup_s = batcher.next_wakeup_s(0.0)
    assert wakeup_s == pytest.approx(0.089)
    assert batcher.step(0.089 - 1e-6) == []
    (rejection,) = batcher.step(wakeup_s)
    assert isinstance(rejection, Reject)
    assert rejection.reason is RejectReason.DEADLINE
    assert not batcher.requests


# ---- refusals -------------------------------------------------------------------------------


def test_an_item_that_no_batch_can_hold_is_refused() -> None:
    for limits in (Limits(lengths=(16, 64)), Limits(max_tokens=64)):
        rejection = at_once(limits).add(item("r", 65), 0.0)
        assert rejection is not None
        assert rejection.reason is RejectReason.TOO_LARGE


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    batcher = at_once(FOUR, workers=0, max_queue=8, prior=CURVE)
    added(batcher, *[item(f"r{index}") for index in range(8)])
    rejection = batcher.add(item("r8"), 0.0)
    assert rejection is not None
    assert rejection.reason is RejectReason.QUEUE_FULL
    assert rejection.retry_after_s == pytest.approx(0.028)  # two batches of four


def test_an_id_in_use_a_used_request_and_an_empty_item_are_errors() -> None:
    batcher = at_once(FOUR)
    one = item("r")
    added(batcher, one)
    with pytest.raises(ValueError, match="was added before"):
        batcher.add(one, 0.0)
    with pytest.raises(ValueError, match="is in use"):
        batcher.add(item("r"), 0.0)
    with pytest.raises(ValueError, match="has no length"):
        batcher.add(item("empty", 0), 0.0)


# ---- failures -------------------------------------------------------------------------------


def test_a_batch_that_fails_is_cut_in_halves_until_the_culprit_is_alone() -> None:
    batcher = at_once(FOUR)
    added(batcher, *[item(f"r{index}") for index in range(4)])
    (batch,) = launched(batcher)
    assert batcher.failed(batch, 0.1) == []
    (first,) = launched(batcher, 0.1)
    assert ids(first) == ["r0", "r1"]
    batcher.finished(first, 0.2, 0.01)
    (second,) = launched(batcher, 0.2)
    assert ids(second) == ["r2", "r3"]
    assert batcher.failed(second, 0.3) == []
    (alone,) = launched(batcher, 0.3)
    assert ids(alone) == ["r2"]
    (culprit,) = batcher.failed(alone, 0.4)
    assert culprit.id == "r2"
    assert culprit.state is State.FINISHED
    assert [ids(batch) for batch in launched(batcher, 0.4)] == [["r3"]]


def test_halves_run_on_all_workers_and_no_item_joins_them() -> None:
    batcher = at_once(FOUR, workers=2)
    added(batcher, *[item(f"r{index}") for index in range(4)])
    (batch,) = launched(batcher)
    batcher.failed(batch, 0.1)
    added(batcher, item("new", arrival_s=0.1))
    assert [ids(batch) for batch in launched(batcher, 0.1)] == [["r0", "r1"], ["r2", "r3"]]


def test_a_higher_tier_does_not_wait_for_the_halves_of_a_lower_one() -> None:
    batcher = at_once(FOUR)
    added(batcher, *[item(f"b{index}", tier=Tier.BATCH) for index in range(4)])
    (batch,) = launched(batcher)
    batcher.failed(batch, 0.1)
    added(batcher, item("i", arrival_s=0.1, tier=Tier.INTERACTIVE))
    assert [ids(batch) for batch in launched(batcher, 0.1)] == [["i"]]


def test_what_a_lost_worker_ran_waits_again_in_its_place() -> None:
    batcher = at_once(FOUR)
    items = [item(f"r{index}") for index in range(6)]
    added(batcher, *items)
    (batch,) = launched(batcher)
    assert batcher.lost(batch, 0.1) == []
    assert all(one.state is State.WAITING for one in items)
    (again,) = launched(batcher, 0.1)
    assert ids(again) == ids(batch)


def test_a_cancelled_item_gets_no_answer() -> None:
    batcher = at_once(FOUR)
    items = [item(f"r{index}") for index in range(4)]
    added(batcher, *items)
    batcher.cancel("r0", 0.0)  # while it waits
    (batch,) = launched(batcher)
    assert ids(batch) == ["r1", "r2", "r3"]
    batcher.cancel("r1", 0.0)  # while it runs
    batcher.failed(batch, 0.1)
    batcher.cancel("r2", 0.1)  # in a half that waits to be launched again
    assert [ids(batch) for batch in launched(batcher, 0.1)] == [["r3"]]
    assert [one.state for one in items[:3]] == [State.CANCELLED] * 3
    batcher.cancel("r0", 0.1)
    batcher.cancel("never seen", 0.1)


def test_a_batch_ends_once() -> None:
    batcher = at_once(FOUR)
    added(batcher, item("r"))
    (batch,) = launched(batcher)
    batcher.finished(batch, 0.1, 0.1)
    for event in (batcher.failed, batcher.lost):
        with pytest.raises(ValueError, match="batch 1 does not run"):
            event(batch, 0.2)
