"""Times that start runs: `Cron`, with a time zone, and `Every`, an interval.

Which moments are due follows from the last one that was handled and from the clock alone, so any
number of workers compute the same events, and a restart misses none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headway.daily_hours import DailyHours
from headway.workflows.triggers.event import Around, Event, Fire

logger = logging.getLogger(__name__)

CatchUp = Literal["skip", "once", "all"]
LATE_S = 60.0
"""A moment that is older was missed."""
LONGEST_SLEEP_S = 10.0
"""Looks at the clock so often: it may jump."""
MOST_MISSED = 1000
"""Moments of a downtime that start runs; older ones are dropped, with a warning."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day, such as `22:00-06:00`, in which runs may start.

    Raises:
        ValueError: the text is no such window.
    """

    text: str

    def __post_init__(self) -> None:
        self.hours()

    def hours(self) -> DailyHours:
        """The hours that it names."""
        first, _, last = self.text.partition("-")
        try:
            begin, end = time.fromisoformat(first.strip()), time.fromisoformat(last.strip())
        except ValueError:
            raise ValueError(f"{self.text!r} is no window of the day; write 22:00-06:00") from None
        if begin == end:
            raise ValueError(f"the window {self.text} is empty")
        return DailyHours(begin, end)

    def first_in(self, moment: datetime) -> datetime:
        """The moment itself if it is in the window, else when the window begins next."""
        hours = self.hours()
        if hours.include(moment.time()):
            return moment
        begin = hours.begins
        opening = moment.replace(
            hour=begin.hour, minute=begin.minute, second=begin.second, microsecond=0
        )
        return opening if opening >= moment else opening + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """Starts a run at the times of a cron expression of five fields.

    A time that a change of the clock skips or repeats starts one run.

    Args:
        expression: minute, hour, day of the month, month, day of the week.
        timezone: such as Europe/Berlin.
        window: runs start in this time of the day only, `22:00-06:00`: earlier ones wait.
        catch_up: of the times that were missed while no worker was up, start `all` (of more than
            1000 the latest ones), `once` the last one, or `skip` them.
        input: of each run.

    Raises:
        ValueError: the expression is none or names a time that never comes; the zone is unknown.
    """

    expression: str
    timezone: str = "UTC"
    window: str | None = None
    catch_up: CatchUp = "once"
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"there is no time zone {self.timezone!r}; write Europe/Berlin"
            ) from None
        _check(self.catch_up, self.window)
        try:
            next(self._from(datetime.now(zone)))
        except StopIteration:
            raise ValueError(f"the times of {self.expression!r} never come") from None

    def _from(self, moment: datetime) -> Iterator[datetime]:
        from cronsim import CronSim, CronSimError

        try:
            return CronSim(self.expression, moment)
        except CronSimError as error:
            why = str(error)
            raise ValueError(
                f"{self.expression!r} is no time that ever comes ({why}); write minute, hour, day, "
                "month and weekday, as '0 2 * * 1-5'"
            ) from None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """All its times after a moment, the first first."""
        return self._from(moment.astimezone(ZoneInfo(self.timezone)))

    @property
    def zone(self) -> tzinfo:
        """Its time zone."""
        return ZoneInfo(self.timezone)

    @property
    def watches(self) -> str:
        """Its times."""
        return f"{self.expression} {self.timezone}"

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire an event at each of its times; its `at` is that time."""
        await _watch(self, around, fire)


@dataclass(frozen=True, slots=True)
class Every:
    """Starts a run every `seconds`: at the times that divide by it since 1970.

    Raises:
        ValueError: `seconds` is below 1.
    """

    seconds: float
    window: str | None = None
    catch_up: CatchUp = "skip"
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.seconds >= 1:
            raise ValueError(f"an interval has at least a second, not {self.seconds}")
        _check(self.catch_up, self.window)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """All its times after a moment, the first first."""
        number = int(moment.timestamp() // self.seconds)
        while True:
            number += 1
            yield datetime.fromtimestamp(number * self.seconds, UTC)

    @property
    def zone(self) -> tzinfo:
        """In which its window is meant: that of this machine."""
        zone = datetime.now().astimezone().tzinfo
        assert zone is not None
        return zone

    @property
    def watches(self) -> str:
        """Its interval."""
        return f"{self.seconds:g}"

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire an event at each of its times; its `at` is that time."""
        await _watch(self, around, fire)


Schedule = Cron | Every


def due(schedule: Schedule, last: datetime, now: datetime) -> tuple[list[datetime], datetime]:
    """The times that start a run now.

    Args:
        schedule: whose.
        last: the last time that was handled.
        now: the clock.

    Returns:
        These times, and the last one that is handled once they are fired.
    """
    window = Window(schedule.window) if schedule.window else None

    def start(moment: datetime) -> datetime:
        return window.first_in(moment.astimezone(schedule.zone)) if window else moment

    def is_due(moment: datetime) -> bool:
        return start(moment) <= now

    passed = list(takewhile(is_due, islice(schedule.after(last), MOST_MISSED)))
    if not passed:
        return [], last
    if len(passed) == MOST_MISSED:
        first, passed = passed[0], _latest(schedule, last, now, is_due)
        if schedule.catch_up == "all" and passed[0] != first:
            logger.warning("times from %s to %s were missed and are dropped", first, passed[0])
    newest = passed[-1]
    if schedule.catch_up == "all":
        return passed, newest
    if schedule.catch_up == "skip" and (now - start(newest)).total_seconds() > LATE_S:
        return [], newest
    return [newest], newest


def _latest(
    schedule: Schedule, last: datetime, now: datetime, is_due: Callable[[datetime], bool]
) -> list[datetime]:
    """The latest MOST_MISSED times that are due, without going through all of a long downtime."""
    span = timedelta(hours=1)
    while True:
        begin = max(last, now - span)
        found = list(takewhile(is_due, schedule.after(begin)))
        if len(found) >= MOST_MISSED or begin == last:
            return found[-MOST_MISSED:]
        span *= 2


async def _watch(schedule: Schedule, around: Around, fire: Fire) -> None:
    while True:
        now = datetime.fromtimestamp(around.clock(), UTC)
        text = await around.journal.mark(around.name)
        if text is None:
            await around.journal.set_mark(around.name, now.isoformat())
            last = now
        else:
            last = datetime.fromisoformat(text)
            if last > now:  # the clock was set back: it must not wait for the time it showed before
                await around.journal.set_mark(around.name, now.isoformat())
                last = now
        times, handled = due(schedule, last, now)
        for moment in times:
            at = moment.isoformat()
            await fire(Event(at, {"at": at}))
        if handled != last:
            await around.journal.set_mark(around.name, handled.isoformat())
        coming = next(iter(schedule.after(max(handled, now))))
        left_s = coming.timestamp() - around.clock()
        await asyncio.sleep(min(max(left_s, 0.05), LONGEST_SLEEP_S))


def _check(catch_up: str, window: str | None) -> None:
    if catch_up not in ("skip", "once", "all"):
        raise ValueError(f"catch_up is {catch_up!r}; it is skip, once or all")
    if window is not None:
        Window(window)
