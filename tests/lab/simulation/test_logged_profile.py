"""The profile that a gateway's own answers show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.lab.simulation.conftest import SMALL, trace
from tests.lab.simulation.served_log import records_of

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.request_log import trace_of
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.predictions import Oracle
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace
from headway.store.request_record import RequestRecord

FCFS = SchedulerSettings(policy="fcfs")


def traffic(requests: int = 600, gap_s: float = 0.25) -> Trace:
    rng = np.random.default_rng(1)
    arrival_s = np.cumsum(rng.exponential(gap_s, requests))
    lengths = rng.lognormal(3.8, 0.9, requests).astype(int) + 1
    return trace(arrival_s - arrival_s[0], lengths, prompt_tokens=40)


def served(traffic: Trace, *sites: Site) -> list[RequestRecord]:
    return records_of(traffic, simulate(traffic, sites, FCFS, Oracle(traffic)))


def test_a_replay_over_it_takes_as_long_as_what_was_served() -> None:
    given = traffic()
    records = served(given, Site("one", SMALL))
    (site,) = logged_sites(records, {"one": SMALL.slots})
    replayed = simulate(given, [site], FCFS, Oracle(given))
    real_s = np.mean([record.total_ms or 0.0 for record in records]) / 1000.0
    assert np.mean(replayed.latency_s) == pytest.approx(real_s, rel=0.1)
    context_tokens = 4 * (40 + 60)  # prompt and half of a usual answer, of four requests
    decode_s = SMALL.dense(4) + 4 * SMALL.sequence_s + SMALL.decode_kv_s * context_tokens
    assert site.backend.cost.decode_s_per_token == pytest.approx(decode_s, rel=0.1)


def test_so_does_that_of_a_log_whose_prompts_were_mostly_cached() -> None:
    records = [
        RequestRecord(**{**_fields(record), "prompt_tokens": 940, "cached_tokens": 900})
        for record in served(traffic(gap_s=0.4), Site("one", SMALL))
    ]
    logged = trace_of(records, "log")
    replayed = simulate(logged, logged_sites(records, {}), FCFS, Oracle(logged))
    real_s = np.mean([record.total_ms or 0.0 for record in records]) / 1000.0
    assert np.mean(replayed.latency_s) == pytest.approx(real_s, rel=0.1)


def test_each_backend_has_its_own() -> None:
    slow = Site("slow", SMALL.slower(3.0))
    fast, slower = logged_sites(served(traffic(), Site("fast", SMALL), slow), {})
    assert (fast.name, slower.name) == ("fast", "slow")
    ratio = slower.profile.dense_s[0] / fast.profile.dense_s[0]
    assert ratio == pytest.approx(3.0, rel=0.15)


def test_without_slots_it_has_as_many_as_ran_at_once_and_one_that_is_down_has_none() -> None:
    records = served(traffic(gap_s=0.05), Site("one", SMALL))
    (site,) = logged_sites(records, {})
    assert site.profile.slots == SMALL.slots
    with pytest.raises(SimulationError, match="needs 30 answers"):
        logged_sites(records, {"one": 0})


def test_answers_that_were_not_timed_do_not_count() -> None:
    records = served(traffic(), Site("one", SMALL))
    backwards = [
        RequestRecord(**{**_fields(record), "ttft_ms": (record.total_ms or 0.0) + 1.0})
        for record in records[30:]
    ]
    with pytest.raises(SimulationError, match="log has 29"):
        logged_sites(records[:29] + backwards, {})
    whole = [RequestRecord(**{**_fields(record), "ttft_ms": record.total_ms}) for record in records]
    with pytest.raises(SimulationError, match="30 streamed answers"):
        logged_sites(whole, {})


def test_the_trace_of_a_log_keeps_what_was_predicted() -> None:
    records = served(traffic(50), Site("one", SMALL))
    logged = trace_of(records, "log")
    assert logged.predicted_tokens.tolist() == [record.predicted_tokens for record in records]
    assert len(replace(logged).first(3).predicted_tokens) == 3


def _fields(record: RequestRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in RequestRecord.__struct_fields__}
