"""The outcome of a simulated run: what happened to each request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """One run, as columns: one row a request of the trace, in its order. Times in seconds."""

    released_s: np.ndarray
    """When it was sent: at its arrival, or after its predecessor in the session."""
    started_s: np.ndarray
    """When it first got a slot; NaN: never."""
    first_token_s: np.ndarray
    ended_s: np.ndarray
    """NaN: it was rejected."""
    preemptions: np.ndarray
    failovers: np.ndarray
    """Times that its backend failed."""
    backends: list[str]
    """By number, those of `backend`."""
    backend: np.ndarray
    """The backend that served it last; -1: none."""
    busy_s: float
    """Seconds in which engines worked, summed over engines."""
    kv_token_s: float
    """KV memory in use, integrated over time and summed over engines."""
    recomputed: int
    """Times that an engine ran out of memory and evicted a request."""
    spans: list[tuple[int, int, float, float]]
    """The first stretches of service: request, backend, from, to."""
    on_spans: list[tuple[int, float, float]]
    """When backends were on, or starting: backend, from, to."""
    starting_spans: list[tuple[int, float, float]]
    """When backends were starting: backend, from, to."""
    cold_starts: int
    inversions: float = 0.0
    """With several gateways: the share of starts for which a request that waited at another gateway
    goes before by the policy, and could have run there."""
    spent_s: float = 0.0
    """Wall-clock time of the run."""

    @property
    def finished(self) -> np.ndarray:
        """Which requests were answered."""
        finished: np.ndarray = np.isfinite(self.ended_s)
        return finished

    @property
    def latency_s(self) -> np.ndarray:
        """From being sent to the last token."""
        latency_s: np.ndarray = self.ended_s - self.released_s
        return latency_s

    @property
    def ttft_s(self) -> np.ndarray:
        """From being sent to the first token."""
        ttft_s: np.ndarray = self.first_token_s - self.released_s
        return ttft_s

    @property
    def wait_s(self) -> np.ndarray:
        """From being sent to the first slot."""
        wait_s: np.ndarray = self.started_s - self.released_s
        return wait_s

    def run_latency_s(self, runs: np.ndarray) -> np.ndarray:
        """From the first request of each run to the end of its last; NaN: one was not answered.

        Args:
            runs: the run of each request, as `Trace.runs` numbers them.
        """
        first, of_run = np.unique(runs, return_inverse=True)
        began_s, ended_s = np.full(len(first), np.inf), np.full(len(first), -np.inf)
        np.minimum.at(began_s, of_run, self.released_s)
        with np.errstate(invalid="ignore"):  # NaN is larger than all
            np.maximum.at(ended_s, of_run, self.ended_s)
        latency_s: np.ndarray = ended_s - began_s
        return latency_s

    def rows(self, chosen: np.ndarray) -> Outcome:
        """The same run, of some of its requests only; totals stay."""
        return replace(
            self,
            released_s=self.released_s[chosen],
            started_s=self.started_s[chosen],
            first_token_s=self.first_token_s[chosen],
            ended_s=self.ended_s[chosen],
            preemptions=self.preemptions[chosen],
            failovers=self.failovers[chosen],
            backend=self.backend[chosen],
        )

    @property
    def cold_start_wait_s(self) -> np.ndarray:
        """The part of `wait_s` in which at least one replica was started and not ready yet."""
        # Seconds of starting up to a time: straight lines between these points.
        times_s, totals_s = [0.0], [0.0]
        for _, from_s, to_s in sorted(self.starting_spans, key=lambda span: span[1]):
            begin_s = max(from_s, times_s[-1])  # of several at once each second counts once
            if to_s > begin_s:
                times_s += [begin_s, to_s]
                totals_s += [totals_s[-1], totals_s[-1] + to_s - begin_s]
        until_start_s = np.interp(self.started_s, times_s, totals_s)
        until_release_s = np.interp(self.released_s, times_s, totals_s)
        started = np.isfinite(self.started_s)
        cold_s: np.ndarray = np.where(started, until_start_s - until_release_s, np.nan)
        return cold_s
