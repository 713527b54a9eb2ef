"""What the policy gained in the last hour, from a real request log in a real process."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.foresight.test_advisor import FCFS, busy, fill

from headway.core.backend import Backend
from headway.core.scheduler import Scheduler
from headway.gateway.foresight.gain import EVERY_S, Gain
from headway.gateway.foresight.recent_traffic import RecentTraffic
from headway.store.request_log import RequestLog


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def gain_of(path: Path, clock: Clock) -> Gain:
    scheduler = Scheduler(FCFS)
    scheduler.set_backend(Backend("exact", 4), 0.0)
    scheduler.use_policy("srpt", 0.0)
    return Gain(RecentTraffic(scheduler, path, lambda: None, clock))


async def asked(gain: Gain) -> None:
    gain.watch()
    assert gain._task is not None
    await gain._task


async def test_it_is_replayed_while_somebody_looks_and_not_too_often(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    fill(log, busy(300))
    clock = Clock()
    gain = gain_of(log.path, clock)
    assert gain.view is None
    await asked(gain)
    first = gain.view
    assert first is not None and first.policy == "srpt" and first.requests == 300
    assert first.share is not None and 0.0 < first.share < 1.0, first
    gain.watch()
    assert gain._task is None, "the answer is still new"
    clock.now_s += EVERY_S
    await asked(gain)
    assert gain.view is not first
    log.close()


async def test_why_it_is_not_known_is_said(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.db", batch_s=0.0)
    gain = gain_of(log.path, Clock())
    await asked(gain)
    assert gain.view is not None and gain.view.share is None and gain.view.reason
    await gain.close()
    log.close()
