"""The scheduler's events and decisions: logged, and decided alike when replayed."""

from __future__ import annotations

import inspect
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.backend import Backend
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import PreemptionSettings, SchedulerSettings, TierSettings
from headway.store.event_log import (
    EVENTS,
    EventLogError,
    LoggedScheduler,
    begin,
    read_events,
    replay,
)

EAGER = PreemptionSettings(min_run_s=0.0)


def drive(scheduler: Scheduler, moves: list[tuple[int, int, Tier, float]]) -> None:
    """Let things happen: `moves` say what arrives, how long it is, and how much is produced."""
    scheduler.set_backend(Backend("a", 2), 0.0)
    now_s = 0.0
    for number, (kind, tokens, tier, wait_s) in enumerate(moves):
        now_s += wait_s
        running = [r for b in scheduler.backends.values() for r in b.running.values()]
        if kind == 0 or not running:
            estimate = SizeEstimate((tokens, tokens + 50), (0.7, 0.3))
            deadline_s = now_s + 100.0 if kind == 3 else None
            request = Request(
                f"r{number}", now_s, 5, estimate, tier=tier, deadline_s=deadline_s, tenant=str(kind)
            )
            scheduler.add(request, now_s)
        elif kind == 1:
            first = running[0]
            scheduler.progress(first.id, first.output_tokens + tokens, now_s)
        elif kind == 2:
            scheduler.finish(running[-1].id, now_s)
        elif kind == 3:
            scheduler.revise(running[0].id, SizeEstimate.exactly(tokens), 3.0, now_s)
        elif kind == 4:
            scheduler.requeue(running[0].id, now_s, frozenset("ab"[tokens % 3 : tokens % 3 + 1]))
        elif kind == 5:
            scheduler.cancel(running[0].id, now_s)
        elif kind == 8:
            scheduler.pin(running[0].id, "b"[: tokens % 2], now_s)
        elif kind == 7:
            moved = scheduler.hand_over(running[0].id, now_s)
            scheduler.step(now_s)
            now_s += 0.3
            scheduler.add(moved, now_s)
        else:
            scheduler.set_backend(Backend("b", tokens % 3, frozenset({"", "b"})), now_s)
        scheduler.step(now_s)


moves = st.tuples(
    st.integers(0, 8), st.integers(1, 300), st.sampled_from(Tier), st.sampled_from([0.0, 0.1, 5.0])
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(POLICIES)), st.lists(moves, min_size=1, max_size=60))
def test_replayed_it_decides_alike(
    tmp_path_factory: pytest.TempPathFactory, policy: str, what: list[tuple[int, int, Tier, float]]
) -> None:
    file = io.BytesIO()
    tiers = {Tier.BATCH: TierSettings(max_wait_s=20.0)}
    scheduler = LoggedScheduler(
        SchedulerSettings(policy=policy, preemption=EAGER, tiers=tiers, fairness="vtc"), file
    )
    drive(scheduler, what)
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    path.write_bytes(file.getvalue())
    found = list(replay(list(read_events(path))))
    assert len(found) >= len(what)
    assert any(then for _, then, _ in found)
    for event, then, now in found:
        assert then == now, event


def test_every_event_of_a_scheduler_is_logged() -> None:
    """A method that changes a scheduler must be in the log, or a replay goes another way."""
    made_of_others = {"hand_over"}
    of_the_simulator_alone = {"catch_up"}
    questions = {"next_wakeup_s", "may_go_on"}
    with_a_queue_which_goes_with_no_log = {"grant", "give_way"}
    with_a_time = {
        name
        for name, method in inspect.getmembers(Scheduler, inspect.isfunction)
        if not name.startswith("_") and "now_s" in inspect.signature(method).parameters
    }
    others = questions | made_of_others | of_the_simulator_alone
    assert with_a_time - others - with_a_queue_which_goes_with_no_log == set(EVENTS.values())


def test_the_layout_of_a_log_stays() -> None:
    """The file is a wire format: what an earlier version wrote, this one writes again."""
    lines = (Path(__file__).parent / "events_of_every_kind.jsonl").read_bytes()
    opened, *events = read_events(Path(__file__).parent / "events_of_every_kind.jsonl")
    assert {event.kind for event in events} == set(EVENTS)
    file = io.BytesIO()
    scheduler = LoggedScheduler(**opened.arguments, log=file)
    for event in events:
        getattr(scheduler, EVENTS[event.kind])(**event.arguments, now_s=event.now_s)
    assert file.getvalue() == lines


def test_a_lane_in_a_progressed_line_of_an_old_log_pins_the_request(tmp_path: Path) -> None:
    file = io.BytesIO()
    scheduler = LoggedScheduler(SchedulerSettings(), file)
    scheduler.set_backend(Backend("a", 1, frozenset({"m", "m#v"})), 0.0)
    scheduler.add(Request("r", 0.0, 5, SizeEstimate.exactly(9), lane="m"), 0.0)
    scheduler.step(0.0)
    old = b'{"type":"Progressed","now_s":1.0,"id":"r","output_tokens":2,"lane":"m#v"}\n'
    path = tmp_path / "events.jsonl"
    path.write_bytes(file.getvalue() + old)
    *_, pinned, progressed = read_events(path)
    assert (pinned.kind, pinned.arguments) == ("Pinned", {"request_id": "r", "lane": "m#v"})
    assert (progressed.kind, progressed.arguments["output_tokens"]) == ("Progressed", 2)
    assert len(list(replay(list(read_events(path))))) == 5


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = io.BytesIO()
    LoggedScheduler(SchedulerSettings(), file).set_backend(Backend("a", 1), 0.0)
    path = tmp_path / "events.jsonl"
    path.write_bytes(file.getvalue()[:-5])
    assert len(list(read_events(path))) == 1


def test_a_broken_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with pytest.raises(EventLogError, match="cannot be read"):
        list(read_events(path))
    path.write_text('{"type": "nonsense"}\n')
    with pytest.raises(EventLogError, match="line 1"):
        list(read_events(path))
    path.write_text('{"type": "Revised", "now_s": 1.0, "id": "a", "score": 1.0}\n')
    with pytest.raises(EventLogError, match=r"line 1, is no event .*'estimate'"):
        list(read_events(path))
    with pytest.raises(EventLogError, match="it is empty; record one with"):
        list(replay([]))
    file = io.BytesIO()
    LoggedScheduler(SchedulerSettings(), file)
    path.write_bytes(file.getvalue() * 2)
    with pytest.raises(EventLogError, match="begins twice"):
        list(replay(list(read_events(path))))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock")
def test_two_gateways_do_not_write_one_log(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(b"of the start before")
    with begin(path) as log:
        assert path.read_bytes() == b""
        log.write(b"ours")
        log.flush()
        with pytest.raises(EventLogError, match="of another gateway that runs; name another file"):
            begin(path)
    assert path.read_bytes() == b"ours"
    begin(path).close()
