"""The requests of a trace, as the scheduler and the engines take them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan

import numpy as np
from numpy import fmin

from headway.core.request import Request, Tier
from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.predictions import Predictions
from headway.lab.simulation.runs import Runs
from headway.lab.simulation.trace import Trace
from headway.prediction.models.bins import score_within


class TraceRequests:
    """Makes requests from the rows of a trace.

    Args:
        trace: the rows.
        predictions: predicts their lengths.
        runs: predicts what their runs do after them.
        lane_of: the lane of each, by number.
    """

    def __init__(
        self, trace: Trace, predictions: Predictions, runs: Runs, lane_of: Sequence[str]
    ) -> None:
        self._trace = trace
        self._predictions = predictions
        self._runs = runs
        self._lane_of = lane_of
        # Lists: one by one they are read faster than arrays.
        self._prompt_tokens = trace.prompt_tokens.tolist()
        self._output_tokens = trace.output_tokens.tolist()
        self._max_tokens = trace.max_tokens.tolist()
        self._deadline_s = trace.deadline_s.tolist()
        self._run_deadline_s = trace.run_deadline_s.tolist()
        self._run_of = trace.runs.tolist() if self._run_deadline_s else []
        self._run_began_s: dict[int, float] = {}
        """When the first request of each run was sent, by its number."""
        self._shared_tokens = trace.shared_tokens.tolist()
        self._waited_s = trace.waited_s.tolist()
        self._produced_tokens = trace.produced_tokens.tolist()
        self._sessions = _sessions(trace)

    def request(self, number: int, now_s: float) -> Request:
        """Request `number`, sent now, with a prediction of its length."""
        trace = self._trace
        estimate, score = self._predictions.predict(number)
        limit = (self._max_tokens[number] if self._max_tokens else 0) or None
        if score is not None:
            score = score_within(score, estimate, limit)
        arrival_s = now_s - (self._waited_s[number] if self._waited_s else 0.0)
        request = Request(
            id=str(number),
            arrival_s=arrival_s,
            prompt_tokens=self._prompt_tokens[number],
            estimate=estimate.capped(limit),
            lane=self._lane_of[number],
            tier=trace.tiers[number] if trace.tiers else Tier.STANDARD,
            tenant=trace.tenants[number] if trace.tenants else "",
            program=trace.programs[number] if trace.programs else "",
            step=trace.steps[number] if trace.steps else "",
            parents=self._parents(number),
            deadline_s=self._deadline(number, arrival_s),
            prefix=self._prefix(number),
            max_tokens=limit,
            score=score,
        )
        self._runs.arrives(number, request, now_s)
        if self._produced_tokens:
            request.output_tokens = max(0, self._produced_tokens[number])
        return request

    def sequence(self, number: int, request: Request) -> EngineRequest:
        """What the engine runs for `request`, from what it has produced so far."""
        trace = self._trace
        return EngineRequest(
            number,
            request.prompt_tokens,
            self._output_tokens[number],
            request.output_tokens,
            trace.prefix_hashes[number] if trace.prefix_hashes else (),
            self._sessions[number] if self._sessions else None,
            self._shared_tokens[number] if self._shared_tokens else 0,
        )

    def _deadline(self, number: int, arrival_s: float) -> float | None:
        """The earlier one of its own deadline and that of its run."""
        deadline_s = arrival_s + self._deadline_s[number] if self._deadline_s else nan
        if self._run_deadline_s:
            began_s = self._run_began_s.setdefault(self._run_of[number], arrival_s)
            deadline_s = fmin(deadline_s, began_s + self._run_deadline_s[number])
        return None if isnan(deadline_s) else float(deadline_s)

    def _parents(self, number: int) -> tuple[str, ...]:
        """The names of the steps that request `number` waited for."""
        trace = self._trace
        if not trace.steps or not len(trace.after) or trace.after[number] < 0:
            return ()
        joined = trace.joins[number] if trace.joins else ()
        return tuple(trace.steps[before] for before in (int(trace.after[number]), *joined))

    def _prefix(self, number: int) -> int:
        """What placement knows requests by that begin alike."""
        trace = self._trace
        if trace.prefix_hashes and trace.prefix_hashes[number]:
            return trace.prefix_hashes[number][0] + 1
        if trace.programs and trace.programs[number]:
            return hash(trace.programs[number]) or 1
        if self._sessions and self._sessions[number] is not None:
            return hash(self._sessions[number]) or 1
        return 0


def _sessions(trace: Trace) -> list[object]:
    """Whose context each request goes on from and adds to; empty: the trace says of none.

    A program is one session. Where a request names none, all that were sent one after another are.
    """
    if not len(trace.shared_tokens):
        return []
    programs = trace.programs or [""] * len(trace)
    waits = trace.after >= 0 if len(trace.after) else np.zeros(len(trace), bool)
    return [
        ("program", program)
        if program
        else ("session", first)
        if of_chain or number in trace.followers
        else None
        for number, (program, first, of_chain) in enumerate(
            zip(programs, trace.began.tolist(), waits.tolist(), strict=True)
        )
    ]
