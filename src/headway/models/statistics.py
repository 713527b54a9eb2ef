"""What is counted of the requests to one served model."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """Counters since the gateway started."""

    succeeded: int = 0
    succeeded_s: float = 0.0
    """Total time from their arrival to their results."""
    failed: int = 0
    failed_s: float = 0.0
    last_ms: int = 0
    """When a request was last answered, in ms since 1970; 0: never."""

    def answered(self, took_s: float, well: bool) -> None:
        """A request was answered."""
        if well:
            self.succeeded += 1
            self.succeeded_s += took_s
        else:
            self.failed += 1
            self.failed_s += took_s
        self.last_ms = round(time.time() * 1000)
