"""Circuit breaker: a backend that keeps failing gets no requests until a trial of ours succeeds."""

from __future__ import annotations

from collections import deque

OUTCOMES = 10
"""How many of the last requests are looked at."""
FORGET_S = 60.0
"""An outcome older than this says nothing about now."""


class CircuitBreaker:
    """Opens on the share of requests that fail; all times are given, in seconds on one clock.

    It never closes on a client's request: while it is open none goes there. The pool sends a
    request of its own when `trial_at_s` has come and reports how it went to `tried`.

    Args:
        failures: requests that must have failed before it opens.
        share: of the last requests, as many must have failed.
        cooldown_s: time until the first trial; doubled by every failed trial, and whenever it
            opens again before a client's request has succeeded.
        max_cooldown_s: limit of that.
        good_trials: trials in a row that must succeed after requests failed: a backend that fails
            at random passes one of them now and then. After silence one is enough.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        share: float = 0.5,
        cooldown_s: float = 0.25,
        max_cooldown_s: float = 5.0,
        good_trials: int = 3,
    ) -> None:
        self._most_failures = failures
        self._share = share
        self._first_cooldown_s = cooldown_s
        self._max_cooldown_s = max_cooldown_s
        self._cooldown_s = cooldown_s
        self._outcomes: deque[tuple[float, str, bool]] = deque(maxlen=OUTCOMES)
        self._needed_trials = good_trials
        self._good_trials = 0
        """In a row, since it opened."""
        self._proven = True
        """A client's request has succeeded since it last closed."""
        self._tripped_s: float | None = None
        """When it was opened for silence; None where failed requests opened it."""
        self.trial_at_s: float | None = None
        """When the next trial is due; None while it is closed."""

    @property
    def is_open(self) -> bool:
        """Whether no client's request may pass."""
        return self.trial_at_s is not None

    @property
    def is_silent(self) -> bool:
        """Whether it is open because nothing came."""
        return self._tripped_s is not None

    def succeeded(self, request: str, now_s: float) -> None:
        """A client's request ended well. One that began before it opened does not close it."""
        if self.is_open:
            return
        self._outcomes.append((now_s, request, True))
        self._cooldown_s = self._first_cooldown_s
        self._proven = True

    def failed(self, request: str, now_s: float) -> None:
        """A client's request failed. However often it is tried again here, it counts once."""
        if self.is_open or any(name == request for _, name, good in self._outcomes if not good):
            return
        self._outcomes.append((now_s, request, False))
        if self._keeps_failing(now_s):
            self._open(now_s)

    def forgive(self, request: str, now_s: float) -> None:
        """The request was to blame: its failures do not count, and it closes if they opened it."""
        kept = [one for one in self._outcomes if one[2] or one[1] != request]
        if len(kept) == len(self._outcomes):
            return
        self._outcomes = deque(kept, maxlen=OUTCOMES)
        if self.is_open and self._tripped_s is None and not self._keeps_failing(now_s):
            self.trial_at_s = None

    def trip(self, now_s: float) -> None:
        """Nothing comes from it any more: open at once."""
        if not self.is_open:
            self._open(now_s)
            self._tripped_s = now_s

    def heard(self, heard_s: float) -> None:
        """Something came from it at `heard_s`: it closes if it was opened for silence before."""
        if self._tripped_s is not None and heard_s > self._tripped_s:
            self.reset()

    def tried(self, good: bool, now_s: float, *, began_s: float) -> None:
        """A trial that `began_s` ended."""
        if not self.is_open:
            return
        if not good:
            self._good_trials = 0
            # From its beginning: one that hung does not hold up the next one.
            self._delay_trial(began_s)
            return
        self._good_trials += 1
        if self.is_silent or self._good_trials >= self._needed_trials:
            self._close()
            self._proven = False
        else:
            self.trial_at_s = now_s

    def reset(self) -> None:
        """Forget everything: it works, or it is another process now."""
        self._close()
        self._cooldown_s = self._first_cooldown_s
        self._proven = True

    def _keeps_failing(self, now_s: float) -> bool:
        recent = [good for at_s, _, good in self._outcomes if now_s - at_s <= FORGET_S]
        failures = recent.count(False)
        # A trial of ours went well, and clients still fail: no need to see five of them again.
        needed = self._most_failures if self._proven else min(2, self._most_failures)
        return failures >= needed and failures >= self._share * len(recent)

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
