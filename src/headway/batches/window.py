"""The hours of the day in which lines of batches may begin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headway.daily_hours import DailyHours

_WRITTEN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d) (\S+)")


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day, on the clocks of a place."""

    hours: DailyHours
    zone: tzinfo

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "22:00-06:00 Europe/Berlin".

        Raises:
            ValueError: it says what is wrong, and how a window is written.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not a window; write it as 22:00-06:00 Europe/Berlin")
        try:
            begins, ends = (time(int(found[n]), int(found[n + 1])) for n in (1, 3))
        except ValueError:
            raise ValueError(f"{text!r} has a time that no clock shows") from None
        if begins == ends:
            raise ValueError(f"the window {text!r} is empty; leave it out to run at all hours")
        try:
            zone = ZoneInfo(found[5])
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{found[5]!r} is not a time zone; write its name, such as Europe/Berlin or UTC"
            ) from None
        return cls(DailyHours(begins, ends), zone)

    def is_open(self, unix_s: float) -> bool:
        """Whether lines may begin now."""
        return self.hours.include(datetime.fromtimestamp(unix_s, self.zone).time())
