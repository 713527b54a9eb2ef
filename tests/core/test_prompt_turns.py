"""Prompts in pieces: when they come so, and whose turn it is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.drive import COST, Driver, event_lists, settings_of_every_kind
from tests.deep import examples

from headway.core.backend import Backend
from headway.core.decision import Preempt
from headway.core.estimate import SizeEstimate
from headway.core.prompt_turns import ABOUT_S, LEAST_PIECE_TOKENS, piece_tokens
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import PreemptionSettings, SchedulerSettings, TierSettings


def schedule(slots: int = 4, **settings) -> Scheduler:
    one = Scheduler(SchedulerSettings(policy="fcfs", cost=COST, **settings))
    one.set_backend(Backend("x", slots, cost=COST, piecewise=True), 0.0)
    return one


def start(scheduler: Scheduler, name: str, tier: Tier, now_s: float = 0.0, **facts) -> Request:
    one = Request(name, now_s, 500, SizeEstimate.exactly(400), tier=tier, **facts)
    scheduler.add(one, now_s)
    scheduler.step(now_s)
    return one


def test_a_prompt_comes_in_pieces_while_a_higher_tier_is_about() -> None:
    scheduler = schedule()
    assert not start(scheduler, "before", Tier.BATCH).in_pieces
    start(scheduler, "chat", Tier.INTERACTIVE, 1.0)
    assert start(scheduler, "line", Tier.BATCH, 2.0).in_pieces
    assert not start(scheduler, "later", Tier.BATCH, 1.0 + ABOUT_S).in_pieces


@pytest.mark.parametrize("about", Tier)
def test_a_tier_is_no_reason_for_pieces_of_its_own_or_of_a_higher_one(about: Tier) -> None:
    for tier in Tier:
        scheduler = schedule()
        start(scheduler, "about", about)
        assert start(scheduler, "next", tier, 1.0).in_pieces == (tier > about)


def test_what_cannot_be_continued_or_has_begun_does_not_come_in_pieces() -> None:
    scheduler = schedule()
    start(scheduler, "chat", Tier.INTERACTIVE)
    assert not start(scheduler, "tools", Tier.BATCH, preemptible=False).in_pieces
    begun = Request("begun", 0.0, 500, SizeEstimate.exactly(400), tier=Tier.BATCH)
    begun.output_tokens = 7
    scheduler.add(begun, 0.0)
    scheduler.step(0.0)
    assert not begun.in_pieces


@pytest.mark.parametrize(
    "chosen", [{"tier_mode": "weighted"}, {"preemption": PreemptionSettings(enabled=False)}]
)
def test_where_no_tier_gives_way_prompts_come_whole(chosen: dict[str, object]) -> None:
    scheduler = schedule(**chosen)
    start(scheduler, "chat", Tier.INTERACTIVE)
    assert not start(scheduler, "line", Tier.BATCH).in_pieces


def test_pieces_wait_for_the_prompts_of_higher_tiers_and_for_earlier_ones_of_their_own() -> None:
    scheduler = schedule()
    start(scheduler, "chat", Tier.INTERACTIVE)
    start(scheduler, "one", Tier.BATCH, 1.0)
    start(scheduler, "two", Tier.BATCH, 2.0)

    def may_go_on() -> list[str]:
        return [name for name in ("one", "two") if scheduler.may_go_on(name, 2.0)]

    assert may_go_on() == []
    scheduler.progress("chat", 1, 2.0)
    assert may_go_on() == ["one"]
    start(scheduler, "other", Tier.INTERACTIVE, 2.0)
    assert may_go_on() == []
    scheduler.cancel("other", 2.0)
    assert may_go_on() == ["one"]
    scheduler.progress("one", 1, 2.0)
    assert "two" in may_go_on()


def test_one_that_is_due_waits_for_nobody() -> None:
    scheduler = schedule(tiers={Tier.BATCH: TierSettings(max_wait_s=5.0)})
    start(scheduler, "chat", Tier.INTERACTIVE)
    start(scheduler, "line", Tier.BATCH, 1.0)
    assert not scheduler.may_go_on("line", 5.0)
    assert scheduler.may_go_on("line", 6.0)


def test_a_higher_tier_takes_the_slot_of_a_prompt_in_pieces_at_once() -> None:
    scheduler = schedule(slots=1)
    start(scheduler, "chat", Tier.INTERACTIVE)
    scheduler.finish("chat", 0.5)
    start(scheduler, "line", Tier.BATCH, 1.0)
    scheduler.add(Request("next", 1.01, 5, SizeEstimate.exactly(5), tier=Tier.INTERACTIVE), 1.01)
    assert any(isinstance(one, Preempt) for one in scheduler.step(1.01))


def test_a_prompt_in_pieces_yields_before_an_answer_of_its_tier() -> None:
    scheduler = schedule(slots=2)
    start(scheduler, "chat", Tier.INTERACTIVE)
    scheduler.finish("chat", 1.0)
    start(scheduler, "prompt", Tier.BATCH, 1.0)
    start(scheduler, "answer", Tier.BATCH, 2.0)
    scheduler.progress("answer", 1, 9.0)
    scheduler.add(Request("next", 9.0, 5, SizeEstimate.exactly(5), tier=Tier.INTERACTIVE), 9.0)
    assert str(scheduler.step(9.0)[0]) == "preempt prompt on x"


def test_a_piece_takes_a_moment_of_the_engine_and_is_never_tiny() -> None:
    assert piece_tokens(replace(COST, prefill_s_per_token=0.0001)) == 350
    assert piece_tokens(replace(COST, prefill_s_per_token=0.05)) == LEAST_PIECE_TOKENS


@settings(max_examples=examples(150), deadline=None)
@given(settings_of_every_kind, event_lists)
def test_every_promise_holds_where_prompts_come_in_pieces(chosen, events) -> None:
    driver = Driver(chosen, piecewise=True)
    for event in events:
        driver.play([event])
        somebody_goes_on(driver)
    driver.drain()


def somebody_goes_on(driver: Driver) -> None:
    """On each backend a prompt is computed, and not behind those of lower tiers."""
    for held in driver.scheduler.backends.values():
        prompts = [one for one in held.running.values() if not one.output_tokens]
        assert list(held.prompts.values()) == prompts
        going = [
            one
            for one in prompts
            if not one.in_pieces or driver.scheduler.may_go_on(one.id, driver.now_s)
        ]
        assert bool(going) == bool(prompts)
        for one in going:
            if one.in_pieces and one.due_s > driver.now_s:
                assert one.tier <= min(other.tier for other in prompts)


@settings(max_examples=examples(60), deadline=None)
@given(settings_of_every_kind, event_lists, st.sampled_from(list(Tier)))
def test_traffic_of_one_tier_is_decided_as_if_there_were_no_pieces(chosen, events, tier) -> None:
    logs = []
    for piecewise in (False, True):
        driver = Driver(replace(chosen, on_missed_deadline="reject"), piecewise=piecewise)
        for kind, value in events:
            if kind == "move":
                continue  # to another tier
            driver.play([(kind, {**value, "tier": tier} if kind == "add" else value)])
        logs.append(driver.log)
        assert not any(one.in_pieces for one in driver.added.values() if one.state is State.RUNNING)
    assert logs[0] == logs[1]
