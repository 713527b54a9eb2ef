"""Policies side by side, over processes."""

from __future__ import annotations

import pytest
from tests.lab.simulation.conftest import SMALL

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.comparison import Contender, Scenario, compare
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.site import Site

COUNT = 15_000
TRACE = Recipe("poisson:3", "fixed:10", "fixed:40", COUNT).make()
SCENARIO = Scenario([TRACE], [Site("a", SMALL)], SchedulerSettings(), Slo())
CONTENDERS = {policy: Contender.parse(policy, "oracle") for policy in ("fcfs", "sjf")}


@pytest.mark.parametrize("processes", [1, 2])
def test_it_reports_progress_within_runs(processes: int) -> None:
    reported: list[int] = []
    runs = compare(SCENARIO, CONTENDERS, processes=processes, progress=reported.append)
    assert {label: len(of) for label, of in runs.items()} == {"fcfs": 1, "sjf": 1}
    assert reported == sorted(reported)
    assert reported[-1] == 2 * COUNT
    assert set(reported) - {0, COUNT, 2 * COUNT}
