"""What other settings would have done: the answer in a sentence or two, and what it rests on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.lab.simulation.what_if.logs import FCFS, busy, written

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.what_if.advised import advised
from headway.lab.simulation.what_if.answer import Answer
from headway.lab.simulation.what_if.compared import compared
from headway.lab.simulation.what_if.ground import FITTED, MOST_REQUESTS, Ground, ground_of
from headway.lab.simulation.what_if.planned import planned
from headway.lab.simulation.what_if.recorded import Log
from headway.store.request_record import RequestRecord

HOUR_S = 3600.0


def ground(
    folder: Path, records: Sequence[RequestRecord], profile: str = FITTED, file: Path | None = None
) -> Ground:
    log = Log(written(folder / "log.db", records), time.time(), HOUR_S, (), {"exact": 4})
    return ground_of(log, file, profile, FCFS)


def of(given: Ground, *policies: str, slots: Sequence[int] = (), now: str = "fcfs") -> Answer:
    return compared(given, policies, slots, now, "headway simulate", lambda share: None)[0]


def test_the_policy_that_pays_by_how_much_and_for_whom_it_is_worse(tmp_path: Path) -> None:
    given = ground(tmp_path, busy())
    shares: list[float] = []
    answer, page = compared(given, ["sjf", "srpt"], [], "fcfs", "headway simulate", shares.append)
    pays, price = answer.answer
    assert pays.startswith("srpt pays: its mean latency is ") and pays.endswith("% less.")
    assert "of fcfs, which runs now" in pays
    assert "It is worse for answers of more than " in price and "tenant nightly" in price
    assert "p99 latency is" in price and "the worst wait is" in price
    assert (answer.policy, answer.now, answer.doubts) == ("srpt", "fcfs", [])
    assert answer.table.marks == {"fcfs": "now", "srpt": "best"}
    losers = {one.who for one in answer.groups if one.verdict == "worse"}
    assert "tenant nightly" in losers and "tenant chat" not in losers
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert pays in page and "<script" not in page


def test_what_runs_now_stays_where_nothing_is_better(tmp_path: Path) -> None:
    answer = of(ground(tmp_path, busy()), "fcfs", now="srpt")
    assert answer.answer[0].startswith("Nothing that was tried is better than srpt, which runs now")
    assert not answer.policy


def test_without_a_queue_no_policy_pays(tmp_path: Path) -> None:
    answer = of(ground(tmp_path, busy(gap_s=5.0)), "srpt")
    assert "no request waits, so there is no choice to make" in answer.answer[0]
    assert not answer.policy


def test_more_slots_are_tried_and_said_to_be_extrapolated(tmp_path: Path) -> None:
    answer = of(ground(tmp_path, busy()), "srpt", slots=[8])
    labels = [row[0] for row in answer.table.rows]
    assert labels == [
        *("fcfs", "srpt", "srpt+oracle"),
        *("fcfs, 8 slots", "srpt, 8 slots", "srpt+oracle, 8 slots"),
    ]
    assert any("No more than 4 requests ever ran at once" in note for note in answer.notes)


def test_too_many_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="more than can be read"):
        of(ground(tmp_path, busy()), "srpt", slots=list(range(1, 20)))


def test_the_engine_is_fitted_to_the_log_and_how_well_is_said(tmp_path: Path) -> None:
    given = ground(tmp_path, busy())
    assert given.own and not given.doubts
    (engine,) = [note for note in given.notes if note.startswith("Engine")]
    assert "exact with 4 slots, fitted to 300 answers in a request log" in engine
    assert "A replay of how they were served" in engine


def test_a_replay_that_is_far_off_is_doubted(tmp_path: Path) -> None:
    stalled = [
        msgspec.structs.replace(one, total_ms=(one.total_ms or 0.0) + 6e5 * (number % 30 == 0))
        for number, one in enumerate(busy())
    ]
    assert any("not to be relied on" in doubt for doubt in ground(tmp_path, stalled).doubts)


def test_another_engine_is_said_not_to_be_fitted(tmp_path: Path) -> None:
    given = ground(tmp_path, busy(), "smollm2-135m-2-cores")
    assert not given.own
    assert any("was not fitted to an engine of this gateway" in note for note in given.notes)
    assert not of(given, "srpt").policy, "the gateway has no such engine"


def test_few_requests_are_doubted_and_too_few_refused(tmp_path: Path) -> None:
    (doubt,) = ground(tmp_path, busy(100)).doubts
    assert doubt == "100 requests say little about a p99; 200 are needed."
    (doubt,) = ground(tmp_path / "few", busy(40)).doubts
    assert doubt == "40 requests say too little; 50 are needed."
    with pytest.raises(SimulationError, match="a profile needs 30 answers of one backend"):
        ground(tmp_path / "fewer", busy(20))


def test_answers_without_token_counts_are_counted(tmp_path: Path) -> None:
    uncounted = [msgspec.structs.replace(one, output_tokens=None) for one in busy(10)]
    failed = [msgspec.structs.replace(one, outcome="failed") for one in busy(3)]
    notes = ground(tmp_path, [*busy(), *uncounted, *failed]).notes
    assert any("10 answers whose backend counted no tokens" in note for note in notes)
    assert any("3 requests without a whole answer (3 failed)" in note for note in notes)
    with pytest.raises(SimulationError, match="numbers of tokens of none of its 10 answers"):
        ground(tmp_path / "none", uncounted)


def test_a_trace_takes_the_place_of_the_log_s_traffic(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    rows = [
        f"{number / 10},{20 + number % 7},{5 + 90 * (number % 9 == 0)}" for number in range(400)
    ]
    file.write_text("arrival_s,prompt_tokens,output_tokens\n" + "\n".join(rows))
    given = ground(tmp_path, busy(), FITTED, file)
    assert given.own and len(given.trace) == 400
    assert given.notes[0].startswith("400 requests over 39.9 s from mine.csv")
    without = ground_of(None, file, "smollm2-135m-2-cores", FCFS)
    assert len(without.trace) == 400
    with pytest.raises(SimulationError, match="keeps no request log"):
        ground_of(None, file, FITTED, FCFS)
    with pytest.raises(SimulationError, match="no profile 'nosuch'; there are "):
        ground_of(None, file, "nosuch", FCFS)
    many = [f"{number / 100},20,5" for number in range(MOST_REQUESTS + 1)]
    file.write_text("arrival_s,prompt_tokens,output_tokens\n" + "\n".join(many))
    assert len(ground_of(None, file, "smollm2-135m-2-cores", FCFS).trace) == MOST_REQUESTS


def test_which_settings_meet_an_slo(tmp_path: Path) -> None:
    given = ground(tmp_path, busy())
    tried: list[float] = []

    def asked(slo: str) -> Answer:
        return advised(
            given, ["fcfs", "srpt"], slo, "fcfs", "", embedded=True, progress=tried.append
        )[0]

    met = asked("latency_p50=5s")
    assert " meets latency_p50=5s (" in met.answer[0]
    assert met.serve.startswith("headway serve --set policy=srpt")
    assert tried[-1] > 2.0
    wider = asked("latency_p95=4s")
    assert wider.answer[0].startswith("No setting of these engines meets latency_p95=4s")
    assert wider.answer[1].startswith("It takes 16 requests at once on each engine")
    assert any("so how slow 16 make each other is extrapolated" in note for note in wider.notes)
    unmet = asked("latency_mean=0.8s")
    assert unmet.answer[0].startswith("No setting of these engines meets latency_mean=0.8s")
    assert " engines like this one, with " in " ".join(unmet.answer)
    with pytest.raises(SimulationError, match="no SLO 'nosuch'"):
        asked("nosuch=1s")


def test_how_many_engines_meet_an_slo(tmp_path: Path) -> None:
    given = ground(tmp_path, busy())
    answer, page = planned(given, "srpt", "latency_p99=10s", "headway plan", lambda engines: None)
    first, margin = answer.answer
    assert first.startswith("Take ") and first.endswith(
        " of exact to meet latency_p99=10s with srpt."
    )
    assert "1 of exact reaches " in margin
    assert first in page
