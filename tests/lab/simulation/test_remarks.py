"""What is said before a table that would mislead without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.lab.simulation.conftest import SMALL, trace

from headway.lab.simulation.comparison import Contender, Scenario, compare
from headway.lab.simulation.fair_prediction import Assumption
from headway.lab.simulation.measures import Measures, Slo
from headway.lab.simulation.remarks import (
    assumptions,
    equals,
    few,
    headline,
    left_out,
    offered_load,
    rejections,
    remarks,
)
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.settings import served_settings, settings_of
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace

LENGTHS = np.random.default_rng(0).lognormal(3.5, 1.2, 80).astype(int) + 1
SITES = [Site("small-1", SMALL)]


def came_every(gap_s: float, lengths: np.ndarray = LENGTHS) -> Trace:
    return trace(gap_s * np.arange(len(lengths)), lengths)


def measured(of: Trace) -> list[Measures]:
    contenders = {name: Contender(name, "oracle") for name in ("fcfs", "srpt")}
    runs = compare(Scenario([of], SITES, settings_of(), Slo()), contenders, processes=1)
    return [one.measures for (one,) in runs.values()]


def said(of: Trace) -> str:
    return " ".join(remarks(of, SITES, measured(of)))


def test_a_load_far_above_capacity_is_named() -> None:
    assert "times the traffic that these engines can take" in said(came_every(0.001))


def test_where_nobody_waited_the_policies_had_no_choice() -> None:
    assert said(came_every(60.0)).startswith("Nobody waited, so there was no choice")


def test_what_a_trace_is_without_and_how_little_it_says_is_named() -> None:
    whole = came_every(60.0)
    assert left_out(whole) == []
    (said,) = left_out(replace(whole, left_out=1234))
    assert said.startswith("test also holds 1,234 requests without a whole answer")
    assert [few(49), few(199), few(200)] == [
        ["49 requests say too little; 50 are needed."],
        ["199 requests say little about a p99; 200 are needed."],
        [],
    ]


def test_a_load_is_suggested_only_where_there_are_times_to_scale() -> None:
    assert "as --load 0.9" in said(came_every(60.0))
    assert "--load" not in said(came_every(60.0, LENGTHS[:1]))


def test_rows_that_are_equal_although_requests_waited_are_named() -> None:
    assert "All rows are equal" in said(came_every(0.02, np.full(80, 50)))


def test_rows_that_differ_in_the_tail_alone_are_not_equal() -> None:
    row = measured(came_every(0.02))[0]
    longer = replace(row, latency_s=replace(row.latency_s, p99=2.0 * row.latency_s.p99))
    assert "All rows are equal" in " ".join(remarks(came_every(0.02), SITES, [row, row]))
    assert "equal" not in " ".join(remarks(came_every(0.02), SITES, [row, longer]))


def compared(of: Trace, *policies: str) -> SimulationResult:
    contenders = {name: Contender.parse(name, "oracle") for name in policies}
    scenario = Scenario([of], SITES, settings_of(), Slo())
    return SimulationResult(compare(scenario, contenders, processes=1), {})


def test_rows_that_are_equal_among_others_are_named() -> None:
    found = compared(came_every(0.02), "fcfs", "edf", "sjf")
    assert equals(found) == ["Equal here: fcfs and edf; their latencies differ by less than 0.1%."]
    assert equals(compared(came_every(60.0), "fcfs", "sjf")) == []  # all are: said by remarks


def test_the_headline_compares_the_best_with_fcfs() -> None:
    load = compared(came_every(0.02), "fcfs", "sjf")
    assert headline(load).startswith("sjf has 0.") and "the worst wait is" in headline(load)
    assert headline(compared(came_every(60.0), "fcfs", "sjf")) == ""


def test_an_ordinary_comparison_needs_no_remark() -> None:
    load = offered_load(came_every(1.0), SITES)
    assert load is not None
    assert said(came_every(load / 0.9)) == ""


def test_rows_that_reject_more_are_no_better_for_it() -> None:
    """Deadlines let the oracle reject at once what others start and finish too late."""
    tight = replace(came_every(0.02), deadline_s=np.full(len(LENGTHS), 2.0))
    found = compared(tight, "fcfs", "sjf", "mlfq")
    rejected = {name: found.runs[name][0].measures.rejected for name in found.runs}
    assert len(set(rejected.values())) > 1
    (said,) = rejections(found)
    assert said.startswith("Latencies are of answered requests only: ")
    assert f"{max(rejected, key=rejected.__getitem__)} {max(rejected.values())}, so" in said
    assert rejections(compared(came_every(0.02), "fcfs", "sjf")) == []


def test_what_comes_at_once_or_after_another_has_no_load() -> None:
    assert offered_load(trace([0.0] * 4, [9] * 4), SITES) is None
    session = replace(
        came_every(0.001, np.full(3, 9)),
        after=np.array([-1, 0, 1]), gap_s=np.zeros(3), shared_tokens=np.zeros(3, int),
    )  # fmt: skip
    assert offered_load(session, SITES) is None


def test_engine_prediction_and_bound_are_named() -> None:
    assumed = Assumption("noise:1", "why")
    unbounded = assumptions([*SITES, Site("small-2", SMALL)], assumed, settings_of())
    assert unbounded.startswith("Assumed: 2 of small with 4 slots; prediction noise:1 (why);")
    assert unbounded.endswith("bound: none (`headway serve` has one: see --max-wait).")
    assert assumptions(SITES, assumed, settings_of(30.0)).endswith("bound: 30 s.")
    served = assumptions(SITES, assumed, served_settings())
    assert "bound: interactive 120 s, standard 600 s, batch 3600 s." in served


def test_no_queue_is_said_to_grow_where_nobody_waited() -> None:
    few = came_every(0.001, LENGTHS[:2])
    assert offered_load(few, SITES) > 1.2
    remark = said(few)
    assert "times the traffic" not in remark
    assert "more requests would show a difference." in remark
