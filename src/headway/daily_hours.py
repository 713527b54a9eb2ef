"""Hours of the day, such as those of the night."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WRITTEN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d) (\S+)")


@dataclass(frozen=True, slots=True)
class DailyHours:
    """From one time of the day to another; they may span midnight."""

    begins: time
    ends: time

    def include(self, now: time) -> bool:
        """Whether a time of the day is among them."""
        if self.begins < self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends


@dataclass(frozen=True, slots=True)
class ZonedHours:
    """Hours of the day, on the clocks of a place."""

    hours: DailyHours
    zone: tzinfo

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "22:00-06:00 Europe/Berlin".

        Raises:
            ValueError: it says what is wrong, and how hours are written.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} are no hours; write them as 22:00-06:00 Europe/Berlin")
        try:
            begins, ends = (time(int(found[n]), int(found[n + 1])) for n in (1, 3))
        except ValueError:
            raise ValueError(f"{text!r} has a time that no clock shows") from None
        if begins == ends:
            raise ValueError(f"{text!r} is empty; leave it out to mean all hours")
        try:
            zone = ZoneInfo(found[5])
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{found[5]!r} is not a time zone; write its name, such as Europe/Berlin or UTC"
            ) from None
        return cls(DailyHours(begins, ends), zone)

    def include(self, unix_s: float) -> bool:
        """Whether that moment, in seconds since 1970, is among them."""
        return self.hours.include(datetime.fromtimestamp(unix_s, self.zone).time())

    def openings(self, unix_s: float) -> Iterator[tuple[float, float]]:
        """When they begin and end, day after day; the first may have begun at that moment."""
        day = datetime.fromtimestamp(unix_s, self.zone).date() - timedelta(days=1)
        spans_midnight = timedelta(days=int(self.hours.begins >= self.hours.ends))
        while True:
            begins = datetime.combine(day, self.hours.begins, self.zone)
            ends = datetime.combine(day + spans_midnight, self.hours.ends, self.zone)
            if ends.timestamp() > unix_s:
                yield max(unix_s, begins.timestamp()), ends.timestamp()
            day += timedelta(days=1)
