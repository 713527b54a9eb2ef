"""What of a prompt is in the KV memory still: its session's context, its blocks, the longer one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import CLOCK, trace

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.prefix_cache import PrefixCache
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

TOKENS_TAKE_TIME = replace(CLOCK, dense_tokens=(1.0, 2.0), dense_s=(0.01, 0.011))


def run(of: Trace) -> Outcome:
    settings = SchedulerSettings(policy="fcfs")
    return simulate(of, [Site("one", TOKENS_TAKE_TIME)], settings, Oracle(of))


@pytest.mark.parametrize(
    ("session", "shared_tokens", "found"),
    [(None, 0, 1024), ("s", 0, 1024), ("s", 400, 1024), ("s", 1200, 1200), ("other", 1200, 1024)],
)
def test_of_context_and_blocks_the_longer_is_found(
    session: str | None, shared_tokens: int, found: int
) -> None:
    cache = PrefixCache()
    cache.keep_blocks((1, 2), 1024)
    cache.keep("s", 1400)
    request = EngineRequest(
        0, 1500, 10, hashes=(1, 2, 3), session=session, shared_tokens=shared_tokens
    )
    assert cache.found(request) == found


def test_who_names_a_program_begins_like_others_all_the_same() -> None:
    of = replace(trace([0.0, 20.0], [1, 1], prompt_tokens=1024), prefix_hashes=[(1, 2), (1, 2)])
    ttft_s = [run(one).ttft_s[1] for one in (of, replace(of, programs=["a", "b"]))]
    assert ttft_s[1] == ttft_s[0] < 0.1


def test_a_session_that_names_no_program_goes_on_from_its_own_context() -> None:
    of = replace(
        trace([0.0, 0.0, 20.0], [1, 1, 1], prompt_tokens=1000),
        after=np.array([-1, 0, -1]),
        gap_s=np.zeros(3),
        shared_tokens=np.array([0, 990, 0]),
    )
    whole_s, rest_s = (TOKENS_TAKE_TIME.prefill_s(1000, cached) for cached in (0, 990))
    outcome = run(of)
    assert outcome.ttft_s - outcome.wait_s == pytest.approx([whole_s, rest_s, whole_s])
    assert run(replace(of, programs=["p", "p", ""])).ttft_s.tolist() == outcome.ttft_s.tolist()
