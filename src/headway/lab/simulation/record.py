"""What has happened to each request of a simulated run so far."""

from __future__ import annotations

import time
from collections.abc import Collection
from math import isnan, nan

import numpy as np

from headway.lab.simulation.engine import EngineModel
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.replicas import Replicas

MOST_SPANS = 3000
"""Stretches of service to keep for charts."""


class Record:
    """Times and counts by request, as lists: one by one they are written faster than arrays.

    Args:
        requests: how many there are.
        backends: by number.
    """

    def __init__(self, requests: int, backends: list[str]) -> None:
        self._began_s = time.perf_counter()
        self._backends = backends
        self.released_s, self.started_s = ([nan] * requests for _ in range(2))
        self.first_s, self.ended_s = ([nan] * requests for _ in range(2))
        self.preemptions, self.failovers = ([0] * requests for _ in range(2))
        self.backend = [-1] * requests
        self._resumed_s: dict[int, float] = {}
        self._spans: list[tuple[int, int, float, float]] = []

    def resumed(self, number: int, backend: int, now_s: float) -> bool:
        """A request starts on a backend. Returns whether for the first time."""
        self.backend[number] = backend
        self._resumed_s[number] = now_s
        first = isnan(self.started_s[number])
        if first:
            self.started_s[number] = now_s
        return first

    def stopped(self, number: int, now_s: float) -> None:
        """A request ends, or is stopped, where it ran."""
        from_s = self._resumed_s.pop(number)
        if len(self._spans) < MOST_SPANS:
            self._spans.append((number, self.backend[number], from_s, now_s))

    def outcome(
        self, engines: Collection[EngineModel], replicas: Replicas, inversions: float
    ) -> Outcome:
        """The run so far; `inversions` as in Outcome."""
        return Outcome(
            np.array(self.released_s),
            np.array(self.started_s),
            np.array(self.first_s),
            np.array(self.ended_s),
            np.array(self.preemptions),
            np.array(self.failovers),
            self._backends,
            np.array(self.backend),
            sum(engine.busy_s for engine in engines),
            sum(engine.kv_token_s for engine in engines),
            sum(engine.recomputed for engine in engines),
            self._spans,
            replicas.on_spans,
            replicas.starting_spans,
            replicas.cold_starts,
            inversions,
            time.perf_counter() - self._began_s,
        )
