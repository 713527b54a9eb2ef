"""The order of waiting requests if some tenants are at their caps."""

from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_policies import COST, request

from headway.core.policies import POLICIES
from headway.core.queue import TierQueue
from headway.core.request import Request
from headway.core.settings import SchedulerSettings

TENANTS = "abcd"
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 300), st.sampled_from(TENANTS)),
        st.tuples(st.just("take"), st.integers(0, 10**6), st.just("")),
    ),
    max_size=40,
)


def queue_of(policy: str) -> TierQueue:
    return POLICIES[policy](SchedulerSettings(policy=policy, cost=COST)).queue_by_tenant()


@given(st.sampled_from(["srpt", "fcfs", "hrrn", "boost"]), steps, st.sets(st.sampled_from(TENANTS)))
def test_the_next_request_is_that_of_a_queue_without_tenants_at_their_cap(
    policy, sequence, capped
) -> None:
    queue = queue_of(policy)
    waiting: list[Request] = []
    for number, (kind, value, tenant) in enumerate(sequence):
        if kind == "add":
            one = request(f"r{number}", value, float(number), tenant=tenant)
            one.sequence = number
            waiting.append(one)
            queue.push(one)
        elif waiting:
            one = waiting.pop(value % len(waiting))
            one.ticket += 1
            queue.removed(one)
        now_s = float(number + 1)
        alone = POLICIES[policy](SchedulerSettings(policy=policy, cost=COST)).queue()
        for one in waiting:
            if one.tenant not in capped:
                alone.push(one)
        assert queue.peek(now_s, lambda tenant: tenant not in capped) is alone.peek(now_s)
        assert queue.waiting == len(waiting)
        for tenant in TENANTS:
            own = POLICIES[policy](SchedulerSettings(policy=policy, cost=COST)).queue()
            for one in waiting:
                if one.tenant == tenant:
                    own.push(one)
            assert queue.first_of(tenant, now_s) is own.peek(now_s)


def test_a_sample_is_small_for_any_number_of_tenants() -> None:
    queue = queue_of("srpt")
    for number in range(1000):
        one = request(f"r{number}", 1 + number, tenant=f"t{number}")
        one.sequence = number
        queue.push(one)
    sample = list(queue.sample(64))
    assert 64 <= len(sample) <= 128
    assert {len(one.id) for one in sample} == {2, 3, 4}, "all parts of the queue are in it"
