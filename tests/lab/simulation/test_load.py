"""How much traffic engines can take, and a trace that loads them so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, SMALL, trace

from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.site import Site


def test_the_capacity_of_a_clock_is_what_it_counts() -> None:
    of = trace([0.0] * 100, [50] * 100)
    assert capacity_rps(of, [Site("one", CLOCK)]) == pytest.approx(2.0, rel=0.02)
    assert capacity_rps(of, [Site("a", CLOCK), Site("b", CLOCK)]) == pytest.approx(4.0, rel=0.05)


def test_deadlines_change_no_capacity() -> None:
    of = Recipe("poisson:5", count=200).make()
    tight = replace(of, deadline_s=np.full(len(of), 0.05))
    sites = [Site("one", SMALL)]
    assert capacity_rps(tight, sites) == capacity_rps(of, sites)


def test_a_load_is_a_share_of_the_capacity() -> None:
    of = trace(np.linspace(0.0, 99.0, 100).tolist(), [50] * 100)
    paced = at_load(of, capacity=4.0, load=0.5)
    assert len(paced) / paced.span_s == pytest.approx(2.0)
