"""The page of a comparison."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.comparison import Run, Scenario
from headway.lab.simulation.measures import Slo, measures_of
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.report import report_html
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.site import Site

SITES = [Site("one", CLOCK)]


def page_of(tenants: list[str]) -> str:
    """Of requests that each took a second."""
    count = len(tenants)
    at_s, none = np.arange(count, dtype=float), np.zeros(count, int)
    outcome = Outcome(
        at_s, at_s, at_s + 0.01, at_s + 1.0, none, none, ["one"], none,
        busy_s=float(count), kv_token_s=0.0, recomputed=0, spans=[(0, 0, 0.0, 1.0)],
        on_spans=[(0, 0.0, float(count))], starting_spans=[], cold_starts=0,
    )  # fmt: skip
    of = replace(trace(at_s, [100] * count), tenants=tenants)
    scenario = Scenario([of], SITES, SchedulerSettings(), Slo())
    run = Run("fcfs", 0, outcome, measures_of(of, outcome, SITES))
    return report_html(SimulationResult({"fcfs": [run]}, {}), scenario, {})


def test_the_tenants_that_sent_most_are_drawn() -> None:
    page = page_of([f"t{number}" for number in range(20) for _ in range(1 + number)])
    shown = re.findall(r">(t\d+)<", page)
    assert list(dict.fromkeys(shown)) == [f"t{number}" for number in range(19, 7, -1)]


@pytest.mark.timeout(30)
def test_each_request_may_have_a_tenant_of_its_own() -> None:
    assert "Tenants" in page_of([f"user {number}" for number in range(100_000)])
