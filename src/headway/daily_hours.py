"""Hours of the day, such as those of the night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time


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
