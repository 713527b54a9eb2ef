"""What the scheduler is given of the runs that requests are part of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.lab.simulation.trace import Trace
from headway.prediction.live.cached_prompts import CachedPrompts
from headway.prediction.live.history import Origin
from headway.prediction.live.run_history import RunHistory

MODEL = "simulated"


class Runs(Protocol):
    """Predicts what comes after each answer in its run, and what is cached of its prompt."""

    def arrives(self, number: int, request: Request, now_s: float) -> None:
        """Set `cached_tokens` and `to_come` of `request`, number `number`, which is sent now."""
        ...

    def left(self, number: int, request: Request, cached_tokens: int | None, now_s: float) -> None:
        """`request` has its answer, or was rejected: then `cached_tokens` is None."""
        return


@dataclass(frozen=True)
class Learned:
    """What was learned of runs; a run of the simulator goes on learning."""

    history: RunHistory = field(default_factory=RunHistory)
    cached: CachedPrompts = field(default_factory=CachedPrompts)


class LearnedRuns(Runs):
    """As in the gateway, from the runs so far.

    Args:
        trace: has the runs.
        cost: turns tokens into service.
        learned: to begin with; None: nothing.
    """

    def __init__(self, trace: Trace, cost: CostModel, learned: Learned | None = None) -> None:
        self._trace = trace
        self._cost = cost
        self._learned = learned or Learned()

    def arrives(self, number: int, request: Request, now_s: float) -> None:
        if request.program:
            origin = _origin(request)
            request.cached_tokens = self._learned.cached.expected(origin, request.prompt_tokens)
            own_s = self._cost.service_s(request)
            request.to_come = self._learned.history.arrived(origin, request.step, own_s, now_s)

    def left(self, number: int, request: Request, cached_tokens: int | None, now_s: float) -> None:
        if not request.program:
            return
        origin, path_s = _origin(request), None
        if cached_tokens is not None:
            path_s = request.run_path_s + self._cost.attained_s(request)
            self._learned.cached.answered(
                origin, request.prompt_tokens, request.output_tokens, cached_tokens
            )
        self._learned.history.left(origin, request.step, path_s, now_s)


class KnownRuns(Runs):
    """Knows what comes, and that the whole context of a run is cached.

    Args:
        trace: has the runs.
        cost: turns tokens into service.
    """

    def __init__(self, trace: Trace, cost: CostModel) -> None:
        shared = trace.shared_tokens.tolist() or [0] * len(trace)
        self._cached = [
            min(a, b - 1) for a, b in zip(shared, trace.prompt_tokens.tolist(), strict=True)
        ]
        own_s = cost.held_slots * cost.prefill_s_per_token * (trace.prompt_tokens - self._cached)
        own_s = (own_s + cost.decode_s_per_token * trace.output_tokens).tolist()
        self._to_come_s = [0.0] * len(trace)
        for number in range(len(trace) - 1, -1, -1):
            self._to_come_s[number] = max(
                (
                    own_s[after] + self._to_come_s[after]
                    for after in trace.followers.get(number, ())
                ),
                default=0.0,
            )

    def arrives(self, number: int, request: Request, now_s: float) -> None:
        request.cached_tokens = self._cached[number]
        if request.program:
            request.to_come = SizeEstimate.exactly(round(1000.0 * self._to_come_s[number]))


def _origin(request: Request) -> Origin:
    return Origin(MODEL, request.tenant, 0, request.program)
