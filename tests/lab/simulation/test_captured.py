"""How much of the oracle's gain the policy in use captured on recent traffic."""

from __future__ import annotations

import pytest
from tests.lab.simulation.test_choice import FCFS, SITES, logged

from headway.lab.simulation.captured import LEAST_REQUESTS, Captured, captured


def of(policy: str, **traffic: float) -> Captured:
    return captured(logged(**traffic), SITES, FCFS, policy)  # type: ignore[arg-type]


def test_fcfs_gains_nothing_over_itself() -> None:
    found = of("fcfs")
    assert found.share == 0.0 and found.p99_ratio == 1.0


def test_a_policy_that_knows_half_gains_part_of_it() -> None:
    found = of("srpt")
    assert found.share is not None and 0.2 < found.share < 1.0
    assert found.oracle_s is not None and found.policy_s is not None
    assert found.oracle_s < found.policy_s < (found.fcfs_s or 0.0)


def test_without_a_queue_there_is_nothing_to_gain() -> None:
    found = of("srpt", gap_s=5.0)
    assert found.share is None and "hardly any request waited" in found.reason


@pytest.mark.parametrize("requests", [1, LEAST_REQUESTS - 1])
def test_few_requests_say_too_little(requests: int) -> None:
    found = of("srpt", requests=requests)
    assert found.share is None and "say too little" in found.reason
