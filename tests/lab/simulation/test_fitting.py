"""A request runs only where its prompt and its answer fit into the KV memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import SMALL, trace

from headway.core.policies import POLICIES
from headway.core.routing import SHARED
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.failures import Failures, Outage
from headway.lab.simulation.fitting import Fitting
from headway.lab.simulation.predictions import Noisy, Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

MEDIUM, LARGE, ENDLESS = (
    Site(name, replace(SMALL, name=name, kv_tokens=tokens))
    for name, tokens in (("medium", 64), ("large", 200), ("endless", 0))
)
FCFS = SchedulerSettings(policy="fcfs")


def mixed() -> Trace:
    """Every fourth prompt is longer than the memory of the medium site."""
    of = trace(np.linspace(0.0, 2.0, 40).tolist(), [20] * 40)
    return replace(of, prompt_tokens=np.array([100, 10, 30, 44] * 10))


def test_what_fits_no_memory_is_named() -> None:
    of = trace([0.0, 1.0], [10, 60], prompt_tokens=10)
    with pytest.raises(SimulationError, match=r"row 2: 70 tokens .* KV memory of medium"):
        simulate(of, [MEDIUM], SchedulerSettings(), Oracle(of))


def test_a_site_serves_what_it_has_memory_for() -> None:
    of = replace(trace([0.0] * 3, [4] * 3), prompt_tokens=np.array([60, 61, 197]))
    fitting = Fitting(of, [LARGE, ENDLESS, MEDIUM])
    served = {
        site.name: [lane in fitting.lanes_of(site) for lane in fitting.lane_of]
        for site in (MEDIUM, LARGE, ENDLESS)
    }
    assert served["medium"] == [True, False, False]
    assert served["large"] == [True, True, False]
    assert served["endless"] == [True, True, True]


@pytest.mark.parametrize("other", [LARGE, ENDLESS])
@pytest.mark.parametrize("routing", [SHARED, "round_robin", "least_work", "prefix", "hexgen:0.5"])
@pytest.mark.parametrize("policy", ["fcfs", "srpt"])
def test_a_large_request_never_runs_where_it_does_not_fit(
    policy: str, routing: str, other: Site
) -> None:
    of = mixed()
    settings = SchedulerSettings(policy=policy)
    outcome = simulate(of, [MEDIUM, other], settings, Noisy(of, 0.5), cluster=Cluster(routing))
    too_large = of.prompt_tokens + of.output_tokens > 64
    assert outcome.finished.all()
    assert set(outcome.backend[too_large].tolist()) == {1}
    assert set(outcome.backend[~too_large].tolist()) == {0, 1}
    assert {span[1] for span in outcome.spans if too_large[span[0]]} == {1}


@pytest.mark.parametrize("routing", [SHARED, "least_work"])
def test_a_large_request_waits_for_the_site_that_fails(routing: str) -> None:
    of = replace(trace([0.5, 0.5], [5, 5]), prompt_tokens=np.array([100, 10]))
    failing = Cluster(routing, failures=Failures((("large", Outage(0.1, 9.9)),)))
    outcome = simulate(of, [MEDIUM, LARGE], FCFS, Oracle(of), cluster=failing)
    assert outcome.started_s.tolist() == pytest.approx([10.0, 0.5])
    assert outcome.backend.tolist() == [1, 0]


@pytest.mark.parametrize("policy", POLICIES)
def test_memory_that_nothing_exceeds_changes_nothing(policy: str) -> None:
    of = trace(np.linspace(0.0, 1.0, 40).tolist(), [1 + n % 9 for n in range(40)])
    settings = SchedulerSettings(policy=policy)
    ample = replace(SMALL, kv_tokens=100_000)
    ends_s = [
        simulate(of, [Site("a", least), Site("b", most)], settings, Noisy(of, 0.5)).ended_s.tolist()
        for least, most in ((ample, ample), (ample, replace(ample, kv_tokens=200_000)))
    ]
    assert ends_s[0] == ends_s[1]
