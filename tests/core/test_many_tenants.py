"""The cost of an event does not grow with the number of waiting tenants."""

import sys
from types import FrameType
from typing import Any

import pytest
from tests.core.test_policies import COST, request, scheduler

from headway.core.backend import Backend
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import TierSettings

SLOTS = 8


class Instructions:
    """Counts interpreter instructions: a measure that a busy machine does not disturb."""

    def __init__(self) -> None:
        self.count = 0
        self._before = sys.gettrace()

    def __enter__(self) -> "Instructions":
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        self.count += event == "opcode"
        return self._trace


def with_tenants(tenants: int, **settings: object) -> Scheduler:
    """One waiting or running request per tenant, of various lengths."""
    schedule = scheduler("srpt", tiers={Tier.STANDARD: TierSettings(max_wait_s=1e6)}, **settings)
    schedule.set_backend(Backend("x", SLOTS, cost=COST), 0.0)
    for number in range(tenants):
        schedule.add(request(f"r{number}", 50 + number % 97, tenant=f"t{number}"), 0.0)
        schedule.step(0.0)
    return schedule


def cost_of_events(schedule: Scheduler) -> int:
    with Instructions() as counted:
        for number in range(100):
            new = request(f"new{number}", 20 + number, 1.0, tenant=f"t{number}")
            schedule.add(new, 1.0)
            schedule.step(1.0)
            schedule.outlook.explain(new, 1.0)
            done = next(iter(schedule.backends["x"].running))
            schedule.progress(done, 200, 1.0)
            schedule.finish(done, 1.0)
            schedule.step(1.0)
            schedule.next_wakeup_s(1.0)
    return counted.count


@pytest.mark.parametrize("cap", [None, 1])
@pytest.mark.parametrize("fairness", ["off", "vtc", "drr"])
def test_ten_times_the_tenants_cost_about_the_same(fairness, cap) -> None:
    few, many = (
        cost_of_events(with_tenants(tenants, fairness=fairness, tenant_max_running=cap))
        for tenants in (200, 2000)
    )
    assert many < 1.5 * few
