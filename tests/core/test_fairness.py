"""Which tenant is next, and what is remembered of tenants without requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_policies import COST, request, scheduler

from headway.core import fairness as fair
from headway.core.backend import Backend
from headway.core.departed import Departed
from headway.core.fairness import DeficitRoundRobin, Fairness, VirtualTokenCounter
from headway.core.scheduler import Scheduler

TENANTS = "abcdef"
visits = st.lists(
    st.tuples(
        st.sampled_from(["comes", "is served", "leaves"]),
        st.sampled_from(TENANTS),
        st.integers(1, 100),
    ),
    max_size=60,
)


def play(ledger: Fairness, sequence: list[tuple[str, str, int]], forgets: bool) -> list[float]:
    """The service given to each tenant when it came, by its counter or deficit."""
    given = ledger.counter if isinstance(ledger, VirtualTokenCounter) else ledger.deficit
    present: set[str] = set()
    found = []
    for kind, tenant, tokens in sequence:
        if kind == "comes" and tenant not in present:
            present.add(tenant)
            ledger.backlogged(tenant)
            found.append(abs(given[tenant]))
        elif kind == "is served" and tenant in present:
            ledger.charge(tenant, float(tokens))
        elif kind == "leaves" and tenant in present:
            present.remove(tenant)
            ledger.drained(tenant)
            if forgets:
                ledger.departed(tenant)
    if forgets:
        assert set(given) == present
    return found


@pytest.mark.parametrize("kind", [VirtualTokenCounter, DeficitRoundRobin])
@given(visits)
def test_a_tenant_that_returns_counts_as_if_it_had_been_kept(kind, sequence):
    assert play(kind({}), sequence, forgets=True) == play(kind({}), sequence, forgets=False)


@pytest.mark.parametrize("kind", [VirtualTokenCounter, DeficitRoundRobin])
@given(visits)
def test_no_tenant_gains_by_being_forgotten(kind, sequence):
    ledger = kind({})
    ledger._departed = Departed(most=1)
    kept = play(kind({}), sequence, forgets=False)
    for forgotten, remembered in zip(play(ledger, sequence, forgets=True), kept, strict=True):
        assert forgotten >= remembered


def test_a_counter_up_to_the_least_of_the_waiting_tenants_is_forgotten() -> None:
    ledger = VirtualTokenCounter({})
    given = {"gone": 10.0, "ahead": 90.0, "waits": 50.0}
    for tenant in given:
        ledger.backlogged(tenant)
    for tenant, tokens in given.items():
        ledger.charge(tenant, tokens)
    for tenant in ("gone", "ahead"):
        ledger.drained(tenant)
        ledger.departed(tenant)
    ledger.backlogged("new")
    assert len(ledger._departed) == 1, (
        "only a tenant that was given more than the others is remembered"
    )
    ledger.backlogged("ahead")
    assert ledger.counter == {"waits": 50.0, "new": 50.0, "ahead": 90.0}


def kept_of(schedule: Scheduler) -> int:
    """The largest number of entries in the ledger and the turns."""
    ledger = schedule._ledger
    assert ledger is not None
    held = [ledger._departed._entries]
    if isinstance(ledger, VirtualTokenCounter):
        held += [ledger.counter, ledger._least, ledger._in_least, ledger._waiting]
    else:
        held.append(ledger.deficit)
    for queue in schedule._lanes.queues.values():
        for tier in queue._queues.values():
            turn = tier._turn
            held += [turn._active, turn._ring if hasattr(turn, "_ring") else turn._entries]
    return max(map(len, held))


@pytest.mark.parametrize("fairness", ["vtc", "drr"])
@pytest.mark.parametrize("served", [True, False])
def test_tenants_that_come_once_do_not_grow_the_ledger(fairness, served, monkeypatch) -> None:
    monkeypatch.setattr(fair, "MOST_DEPARTED", 100)
    schedule = scheduler("fcfs", fairness=fairness)
    schedule.set_backend(Backend("x", 2, cost=COST), 0.0)
    for name in ("r1", "r2", "waits all along"):
        schedule.add(request(name, tenant=name), 0.0)
    schedule.step(0.0)
    for number in range(2000):
        name = f"t{number}"
        schedule.add(request(name, tenant=name), 1.0)
        schedule.step(1.0)
        if served:
            done = next(iter(schedule.backends["x"].running))
            schedule.progress(done, 100, 1.0)
            schedule.finish(done, 1.0)
        else:
            schedule.cancel(name, 1.0)
    assert kept_of(schedule) < 400
