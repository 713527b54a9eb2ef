"""One gateway on shared slots does what a scheduler alone does."""

from dataclasses import replace

from hypothesis import given, settings
from tests.core.drive import (
    event_lists,
    settings_of_every_kind,
    tight_events,
    tight_settings,
    tight_slots,
)
from tests.core.sharing.shared import AloneOnSharedSlots, AloneWithoutKv
from tests.deep import examples


@settings(max_examples=examples(100), deadline=None)
@given(settings_of_every_kind, event_lists)
def test_it_decides_as_the_scheduler_alone(chosen, events) -> None:
    # Of tenants and of weighted tiers only the first is shown: who comes second depends on it.
    chosen = replace(chosen, fairness="off", tier_mode="strict", tenant_max_running=None)
    logs = []
    for kind in (AloneWithoutKv, AloneOnSharedSlots):
        driver = kind(settings=chosen, slots={"x": 2})
        driver.play([event for event in events if event[0] != "set_slots" or event[1][0] == "x"])
        logs.append(driver.log)
    assert logs[0] == logs[1]


@settings(max_examples=examples(60), deadline=None)
@given(settings_of_every_kind, event_lists)
def test_no_slot_stays_free_beside_a_request_that_may_run(chosen, events) -> None:
    # Deficit round robin changes its turns by looking at them, so it decides differently.
    chosen = replace(chosen, fairness="vtc") if chosen.fairness == "drr" else chosen
    driver = AloneOnSharedSlots(settings=chosen, slots={"x": 2})
    driver.play([event for event in events if event[0] != "set_slots" or event[1][0] == "x"])


@settings(max_examples=examples(60), deadline=None)
@given(settings_of_every_kind, event_lists)
def test_it_keeps_every_promise_of_a_scheduler(chosen, events) -> None:
    driver = AloneOnSharedSlots(settings=chosen)
    driver.play(events)
    driver.drain()


@settings(max_examples=examples(60), deadline=None)
@given(tight_settings, tight_slots, tight_events)
def test_and_where_caps_due_times_and_preemption_meet(chosen, slots, events) -> None:
    driver = AloneOnSharedSlots(settings=chosen, slots=slots)
    driver.play(events)
    driver.drain()
