"""Circuit breaker: a backend that keeps failing gets no requests until a trial succeeds."""

from __future__ import annotations

from collections import deque

OUTCOMES = 10
"""Number of latest requests that are considered."""
SHARE = 0.5
"""Of failed requests among the latest ones: fewer do not open it."""
FORGET_S = 60.0
"""Outcomes older than this are ignored."""


class CircuitBreaker:
    """Opens when too many requests fail. Times are seconds on one clock, passed by the caller.

    While it is open, the backend gets no client requests. At `trial_at_s` the pool sends a trial
    request and reports its result to `tried`.

    Args:
        failures: number of failed requests that opens it, if SHARE is reached, too.
        cooldown_s: time until the first trial; doubled by every failed trial, and whenever it
            opens again before a client's request has succeeded.
        max_cooldown_s: maximum of that time.
        good_trials: trials in a row that must succeed after requests failed, because a backend
            that fails at random sometimes passes one. After silence one is enough.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        cooldown_s: float = 0.25,
        max_cooldown_s: float = 5.0,
        good_trials: int = 3,
    ) -> None:
        self._most_failures = failures
        self._first_cooldown_s = cooldown_s
        self._max_cooldown_s = max_cooldown_s
        self._cooldown_s = cooldown_s
        self._outcomes: deque[tuple[float, str, bool]] = deque(maxlen=OUTCOMES)
        self._needed_trials = good_trials
        self._good_trials = 0
        """Successful trials in a row since it opened."""
        self._proven = True
        """Whether a client's request has succeeded since it last closed."""
        self._tripped_s: float | None = None
        """When silence opened it; None if failed requests opened it, or it is closed."""
        self.trial_at_s: float | None = None
        """When the next trial is due; None while it is closed."""

    @property
    def is_open(self) -> bool:
        """Whether the backend gets no client requests."""
        return self.trial_at_s is not None

    @property
    def is_silent(self) -> bool:
        """Whether it is open because the backend was silent."""
        return self._tripped_s is not None

    def succeeded(self, request: str, now_s: float) -> None:
        """A client's request succeeded. Ignored while open: it began before that."""
        if self.is_open:
            return
        self._outcomes.append((now_s, request, True))
        self._cooldown_s = self._first_cooldown_s
        self._proven = True

    def failed(self, request: str, now_s: float) -> None:
        """A client's request failed. Repeated failures of one request count once."""
        if self.is_open or any(name == request for _, name, good in self._outcomes if not good):
            return
        self._outcomes.append((now_s, request, False))
        if self._keeps_failing(now_s):
            self._open(now_s)

    def forgive(self, request: str, now_s: float) -> None:
        """Ignore the failures of `request`, its own fault; close if they opened the breaker."""
        kept = [one for one in self._outcomes if one[2] or one[1] != request]
        if len(kept) == len(self._outcomes):
            return
        self._outcomes = deque(kept, maxlen=OUTCOMES)
        if self.is_open and self._tripped_s is None and not self._keeps_failing(now_s):
            self.trial_at_s = None

    def trip(self, now_s: float) -> None:
        """The backend is silent: opens at once."""
        if not self.is_open:
            self._open(now_s)
            self._tripped_s = now_s

    def heard(self, heard_s: float) -> None:
        """Data last arrived at `heard_s`: closes if silence opened it before that."""
        if self._tripped_s is not None and heard_s > self._tripped_s:
            self.reset()

    def tried(self, good: bool, now_s: float, *, began_s: float) -> None:
        """A trial that began at `began_s` ended; `good` if it succeeded."""
        if not self.is_open:
            return
        if not good:
            self._good_trials = 0
            # Counted from its beginning: a trial that hung does not delay the next one.
            self._delay_trial(began_s)
            return
        self._good_trials += 1
        if self.is_silent or self._good_trials >= self._needed_trials:
            self._close()
            self._proven = False
        else:
            self.trial_at_s = now_s

    def reset(self) -> None:
        """Close and forget all failures: the backend works, or it was restarted."""
        self._close()
        self._cooldown_s = self._first_cooldown_s
        self._proven = True

    def _keeps_failing(self, now_s: float) -> bool:
        recent = [good for at_s, _, good in self._outcomes if now_s - at_s <= FORGET_S]
        failures = recent.count(False)
        # Trials succeeded but clients still fail: two failures are enough to open it again.
        needed = self._most_failures if self._proven else min(2, self._most_failures)
        return failures >= needed and failures >= SHARE * len(recent)

    def _open(self, now_s: float) -> None:
        self._tripped_s = None
        self._good_trials = 0
        self._delay_trial(now_s)

    def _delay_trial(self, now_s: float) -> None:
        self.trial_at_s = now_s + self._cooldown_s
        self._cooldown_s = min(2.0 * self._cooldown_s, self._max_cooldown_s)

    def _close(self) -> None:
        self.trial_at_s = self._tripped_s = None
        self._outcomes.clear()
