"""How much traffic engines can take, and a trace that loads them so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.core.request import Tier
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.site import Site


def test_the_capacity_of_a_clock_is_what_it_counts() -> None:
    of = trace([0.0] * 100, [50] * 100)
    assert capacity_rps(of, [Site("one", CLOCK)]) == pytest.approx(2.0, rel=0.02)
    assert capacity_rps(of, [Site("a", CLOCK), Site("b", CLOCK)]) == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("count", [1, 20, 64, 100, 3000])
def test_few_requests_for_many_slots_are_repeated_until_they_show_the_capacity(count) -> None:
    """64 slots, each of which takes a request for 100 iterations of 10 ms."""
    of = trace([0.0] * count, [100] * count)
    wide = Site("wide", replace(CLOCK, slots=64))
    assert capacity_rps(of, [wide]) == pytest.approx(64.0, rel=0.05)
    assert capacity_rps(of, [wide] * 7 + [Site("one", CLOCK)]) == pytest.approx(449.0, rel=0.05)


def test_a_round_finds_nothing_of_another_in_the_prefix_cache() -> None:
    once = Recipe("burst", "fixed:64", "fixed:1", count=100).make()
    alike = replace(once, prefix_hashes=[(number,) for number in range(100)])
    one = [Site("one", replace(SMALL, slots=100))]
    assert capacity_rps(alike, one) == pytest.approx(capacity_rps(once, one), rel=0.01)
    program = replace(
        once, programs=[str(n) for n in range(100)], shared_tokens=once.prompt_tokens - 1
    )
    assert capacity_rps(program, one) == pytest.approx(capacity_rps(once, one), rel=0.01)


def test_the_capacity_is_that_for_all_tiers_together() -> None:
    """Served tier by tier, the few long ones of the lowest would all come last, and not count."""
    tokens = [10] * 9 + [910]
    of = trace([0.0] * 400, tokens * 40)
    tiers = [Tier.BATCH if long > 10 else Tier.INTERACTIVE for long in of.output_tokens]
    capacity = capacity_rps(replace(of, tiers=tiers), [Site("one", CLOCK)])
    assert capacity == pytest.approx(1.0, rel=0.02)


def test_what_comes_at_once_has_no_load() -> None:
    with pytest.raises(SimulationError, match="come at once"):
        at_load(trace([0.0, 0.0], [50, 50]), capacity=4.0, load=0.5)


def test_deadlines_change_no_capacity() -> None:
    of = Recipe("poisson:5", count=200).make()
    tight = replace(of, deadline_s=np.full(len(of), 0.05))
    sites = [Site("one", SMALL)]
    assert capacity_rps(tight, sites) == capacity_rps(of, sites)


def test_a_load_is_a_share_of_the_capacity() -> None:
    of = trace(np.linspace(0.0, 99.0, 100).tolist(), [50] * 100)
    paced = at_load(of, capacity=4.0, load=0.5)
    assert len(paced) / paced.span_s == pytest.approx(2.0)
