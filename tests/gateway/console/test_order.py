"""The order of waiting requests, kept from one look to the next."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_policies import COST

from headway.core.backend import Backend
from headway.core.decision import Start
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings, TierSettings
from headway.gateway.console.order import WaitingOrder
from headway.gateway.console.slices import Slices
from headway.gateway.work.work import Work
from headway.prediction.live.history import Origin

ORDERED_BY_RANK = sorted(set(POLICIES) - {"hrrn", "mlfq", "boost"})
"""Policies whose order does not change while requests wait."""

events = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 300), st.sampled_from(Tier)),
    st.tuples(st.just("cancel"), st.integers(0, 99), st.none()),
    st.tuples(st.just("move"), st.integers(0, 99), st.sampled_from(Tier)),
    st.tuples(st.just("look"), st.none(), st.none()),
)


def work(name: str, tokens: int = 5, tier: Tier = Tier.STANDARD, arrival_s: float = 0.0) -> Work:
    estimate = SizeEstimate.exactly(tokens)
    request = Request(name, arrival_s, 5, estimate, tier=tier, deadline_s=1e6)
    return Work(request, "chat", "chat/completions", Origin("m"), b"", {})


async def look(order: WaitingOrder, works: dict[str, Work], now_s: float) -> list[str]:
    found = await order.look(works.values(), now_s, Slices())
    return [one.request.id for one in found.works]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ORDERED_BY_RANK), st.lists(events, min_size=1, max_size=40))
async def test_it_is_the_order_in_which_they_start(
    policy: str, what: list[tuple[Any, ...]]
) -> None:
    tiers = {Tier.BATCH: TierSettings(max_wait_s=20.0)}
    scheduler = Scheduler(SchedulerSettings(policy=policy, tiers=tiers, cost=COST))
    order, works, now_s = WaitingOrder(scheduler), {}, 0.0
    for number, (kind, value, tier) in enumerate(what):
        now_s += 1.0
        if kind == "add":
            one = work(f"r{number}", tokens=value, tier=tier, arrival_s=now_s)
            scheduler.add(one.request, now_s)
            works[one.request.id] = one
        elif kind == "look":
            await look(order, works, now_s)
        elif works:
            name = sorted(works)[value % len(works)]
            if kind == "cancel":
                scheduler.cancel(name, now_s)
                del works[name]
            else:
                scheduler.move(name, tier, now_s)
    seen = await look(order, works, now_s)
    assert sorted(seen) == sorted(works)
    scheduler.set_backend(Backend("x", 100, cost=COST), now_s)
    started = [one.request.id for one in scheduler.step(now_s) if isinstance(one, Start)]
    assert seen == started
    assert await look(order, works, now_s) == []


async def test_one_that_pauses_between_two_runs_is_last() -> None:
    scheduler = Scheduler(SchedulerSettings(policy="fcfs"))
    paused, waits = work("paused"), work("waits")
    scheduler.add(waits.request, 0.0)
    assert paused.request.state is State.NEW
    works = {"paused": paused, "waits": waits}
    assert await look(WaitingOrder(scheduler), works, 0.0) == ["waits", "paused"]


async def test_another_policy_orders_anew() -> None:
    scheduler = Scheduler(SchedulerSettings(policy="fcfs"))
    works = {name: work(name, tokens=tokens) for name, tokens in (("long", 900), ("short", 3))}
    for one in works.values():
        scheduler.add(one.request, 0.0)
    order = WaitingOrder(scheduler)
    assert await look(order, works, 0.0) == ["long", "short"]
    scheduler.use_policy("sjf", 1.0)
    assert await look(order, works, 1.0) == ["short", "long"]
