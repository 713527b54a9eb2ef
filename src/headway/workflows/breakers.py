"""Tasks that keep failing, in whatever run, are not begun again until one attempt succeeds.

What such a task calls is away: further attempts would only use up the retries of more runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from headway.engines.breaker import CircuitBreaker
from headway.workflows.failures import may_be_away

logger = logging.getLogger(__name__)

FAILURES = 5
"""Failed steps, and at least half of the latest ones, after which the others wait."""
COOLDOWN_S = 1.0
MOST_COOLDOWN_S = 60.0
LONGEST_SLEEP_S = 5.0


class Breakers:
    """A circuit breaker for each task.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._tried: set[str] = set()
        """Tasks of which one attempt runs while the others wait for its end."""

    @asynccontextmanager
    async def passed(self, task: str, step: str) -> AsyncIterator[None]:
        """While an attempt of a task runs; waits before it while the task keeps failing.

        Args:
            task: its name.
            step: the run and the path: failures of one step count once.
        """
        breaker = self._breakers.get(task)
        if breaker is None:
            breaker = self._breakers[task] = CircuitBreaker(
                failures=FAILURES,
                cooldown_s=COOLDOWN_S,
                max_cooldown_s=MOST_COOLDOWN_S,
                good_trials=1,
            )
        is_trial = await self._until_open(task, breaker)
        began_s = self._clock()
        try:
            yield
        except Exception as error:
            if may_be_away(error):
                self._note_failure(task, step, breaker, began_s, is_trial)
            elif is_trial:  # it fails for another reason: whatever it calls is there
                breaker.tried(True, self._clock(), began_s=began_s)
            raise
        else:
            if is_trial:
                breaker.tried(True, self._clock(), began_s=began_s)
                logger.warning("task %s succeeds again", task)
            else:
                breaker.succeeded(step, self._clock())
        finally:
            if is_trial:
                self._tried.discard(task)

    async def _until_open(self, task: str, breaker: CircuitBreaker) -> bool:
        """Wait while the task keeps failing; whether the attempt is the one that tries it."""
        while breaker.trial_at_s is not None:
            left_s = breaker.trial_at_s - self._clock()
            if left_s <= 0 and task not in self._tried:
                self._tried.add(task)
                return True
            await asyncio.sleep(min(max(left_s, 0.02), LONGEST_SLEEP_S))
        return False

    def _note_failure(
        self, task: str, step: str, breaker: CircuitBreaker, began_s: float, is_trial: bool
    ) -> None:
        if is_trial:
            breaker.tried(False, self._clock(), began_s=began_s)
            return
        breaker.failed(step, self._clock())
        if breaker.is_open and task not in self._tried:
            logger.warning("task %s keeps failing: its other steps wait until one succeeds", task)
