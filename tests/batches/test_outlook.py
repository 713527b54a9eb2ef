"""When a batch ends, by its pace and by when its lines may begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from tests.batches.test_runner import CHAT, Engine

from headway.batches.batch import WINDOW_S, Batch, Status
from headway.batches.outlook import Outlook
from headway.batches.running import RunningBatch
from headway.batches.schema import Held
from headway.batches.serving import Pause

HOUR_S = 3600.0


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-01-{text}:00+00:00").timestamp())


NOON = at("10 12:00")
BATCH = Batch("batch_1", "ann", CHAT, "file-1", NOON, NOON + WINDOW_S, Status.IN_PROGRESS, total=8)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningBatch]:
    """Eight lines, none of them answered."""
    input = tmp_path / "in.jsonl"
    input.touch()
    with closing(RunningBatch(Held(BATCH, 1), BATCH, input)) as running:
        yield running


def answered(running: RunningBatch, lines: int) -> None:
    running.batch = replace(running.batch, completed=lines)


def outlook(window: str = "", pause: Pause | None = None, slots: int = 4) -> Outlook:
    engine = Engine(slots)
    engine.paused = pause
    return Outlook(window, engine)


def test_pace_counts_only_the_time_in_which_lines_might_begin(running: RunningBatch) -> None:
    assert running.work_s == 0.0  # not known yet
    running.seen(NOON, True)
    running.seen(NOON + 40.0, False)
    running.seen(NOON + 50 * HOUR_S, False)  # a long pause
    answered(running, 2)
    assert running.work_s == 6 * 20.0
    running.seen(NOON + 60 * HOUR_S, True)
    running.seen(NOON + 60 * HOUR_S + 60.0, True)
    answered(running, 4)
    assert running.work_s == 4 * 25.0


def test_without_a_window_it_ends_after_its_work() -> None:
    always = outlook()
    assert always.ends_at(BATCH, 2 * HOUR_S, NOON) == NOON + 2 * HOUR_S
    assert always.slack_s(BATCH, 2 * HOUR_S, NOON) == 22 * HOUR_S


def test_nobody_knows_when_one_ends_that_is_paused_or_has_no_answer() -> None:
    always, paused = outlook(), BATCH.paused(NOON)
    assert always.ends_at(paused, 2 * HOUR_S, NOON) is None
    assert always.ends_at(BATCH, 0.0, NOON) is None
    later = NOON + 23 * HOUR_S
    assert always.slack_s(paused, 2 * HOUR_S, later) == -HOUR_S  # a pause uses up its time


@pytest.mark.parametrize(("hours", "end", "slack_h"), [
    (0.5, "11 03:30", 0.5),
    (1.0, "11 04:00", 0.0),
    (2.0, "12 04:00", -1.0),  # one hour a day: it does not end before it expires
    (2.5, "13 03:30", -1.5),
])  # fmt: skip
def test_what_is_left_is_laid_into_the_hours_of_the_window(
    hours: float, end: str, slack_h: float
) -> None:
    nightly = outlook("03:00-04:00 UTC")
    assert nightly.waits(BATCH, NOON) == "lines begin at 03:00-04:00 UTC"
    assert nightly.ends_at(BATCH, hours * HOUR_S, NOON) == at(end)
    assert nightly.slack_s(BATCH, hours * HOUR_S, NOON) == slack_h * HOUR_S


def test_a_window_that_is_open_counts_from_now_on() -> None:
    daily, now = outlook("11:00-13:00 UTC"), at("10 12:30")
    assert daily.waits(BATCH, now) == ""
    assert daily.ends_at(BATCH, 0.5 * HOUR_S, now) == at("10 13:00")
    assert daily.ends_at(BATCH, HOUR_S, now) == at("11 11:30")
    assert daily.slack_s(BATCH, HOUR_S, now) == 0.5 * HOUR_S  # 11:00 to 12:00, when it expires


def test_a_spent_budget_lets_it_go_on_when_it_begins_anew() -> None:
    spent = Pause("the budget is spent", at("11 00:00"))
    assert outlook("", spent).waits(BATCH, NOON) == "the budget is spent"
    assert outlook("", spent).ends_at(BATCH, HOUR_S, NOON) == at("11 01:00")
    assert outlook("", spent).slack_s(BATCH, HOUR_S, NOON) == 11 * HOUR_S
    assert outlook("22:00-01:00 UTC", spent).ends_at(BATCH, 2 * HOUR_S, NOON) == at("11 23:00")


def test_one_without_a_backend_says_so_and_ends_nobody_knows_when() -> None:
    away, asked = outlook(slots=0), replace(BATCH, model="llama")
    assert away.waits(asked, NOON) == "this gateway has no backend for 'llama' now"
    assert away.waits(BATCH, NOON) == "", "its model is not read yet"
    assert away.ends_at(asked, 2 * HOUR_S, NOON) is None
    assert away.slack_s(asked, 2 * HOUR_S, NOON + 23 * HOUR_S) == -HOUR_S


def test_one_whose_lines_may_not_begin_before_it_expires_has_no_slack_even_without_a_pace() -> None:
    spent = Pause("the budget is spent", at("31 00:00"))
    assert outlook("", spent).slack_s(BATCH, 0.0, NOON) == 0.0


def test_an_end_in_years_is_none() -> None:
    assert outlook("03:00-03:01 UTC").ends_at(BATCH, 100 * HOUR_S, NOON) is None
