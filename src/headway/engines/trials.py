"""Test requests to a backend that fails or is silent."""

from __future__ import annotations

import asyncio

from headway.engines.engine import BackendGone, Engine, EngineError

TRIAL_S = 5.0
"""Time after which a trial no longer delays the next one."""
LONGEST_S = 60.0
"""Time limit of a trial, longer than `TRIAL_S`: a model may be loading, and some servers stop
loading when no client waits."""


class Trials:
    """At most two trials at a time: the oldest pending one, and the newest."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Task[None]] = []

    async def outcome(self, engine: Engine, model: str) -> BackendGone | EngineError | None:
        """Requests a few tokens from `model`; returns the error, or None if it answered.

        An answer to an earlier trial that is still pending counts too.
        """
        for task in self._waiting[1:]:
            task.cancel()
        newest = asyncio.create_task(engine.trial(model, LONGEST_S))
        self._waiting = [*self._waiting[:1], newest]
        try:
            async with asyncio.timeout(TRIAL_S):
                while True:
                    done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
                    self._waiting = [task for task in self._waiting if task not in done]
                    errors = {task: task.exception() for task in done}
                    if None in errors.values():
                        self.close()
                        return None
                    # The failure of an older trial says nothing about now.
                    error = errors.get(newest)
                    if isinstance(error, BackendGone | EngineError):
                        return error
                    if error is not None:
                        raise error
        except TimeoutError:
            return BackendGone(f"no answer within {TRIAL_S:g} s")

    def close(self) -> None:
        """Cancel pending trials."""
        for task in self._waiting:
            task.cancel()
        self._waiting = []
