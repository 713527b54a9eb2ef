"""Test requests to a backend that gets no client requests."""

from __future__ import annotations

import asyncio

from headway.engines.engine import BackendGone, Engine, EngineError

TRIAL_S = 5.0
"""Time limit for one token."""
LONGEST_S = 60.0
"""A trial that exceeds it may still succeed within this time: a model may be loading, and some
servers stop loading when no client waits."""


class Trials:
    """At most two trials at a time: the oldest pending one, and the newest."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Task[None]] = []

    async def outcome(self, engine: Engine, model: str) -> BackendGone | EngineError | None:
        """Ask `model` for one token; returns the error, or None if it answered.

        A trial of before that is answered now is as good.
        """
        for task in self._waiting[1:]:
            task.cancel()
        newest = asyncio.create_task(engine.trial(model, LONGEST_S))
        self._waiting = [*self._waiting[:1], newest]
        done, waiting = await asyncio.wait(
            self._waiting, timeout=TRIAL_S, return_when=asyncio.FIRST_COMPLETED
        )
        self._waiting = [task for task in self._waiting if task in waiting]
        if not done:
            return BackendGone(f"no answer within {TRIAL_S:g} s")
        error: BackendGone | EngineError | None = None
        for task in done:
            try:
                task.result()
            except (BackendGone, EngineError) as failed:
                error = failed
            else:
                self.close()
                return None
        return error

    def close(self) -> None:
        """Cancel pending trials."""
        for task in self._waiting:
            task.cancel()
        self._waiting = []
