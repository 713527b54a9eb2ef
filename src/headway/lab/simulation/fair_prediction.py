"""The prediction to simulate with where none is named: what the trace itself can say of lengths."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np

from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.trace import Trace

TRIED = 2000
"""Requests of the trace that history is tried on."""
LEARNING = 0.25
"""Share of these from which history only learns."""
FAIR_OCTAVES = 1.0
"""Standard deviation of log2(predicted / real) of a fair predictor: a factor of two."""
KNOWN = 0.5
"""Least share of requests with a logged prediction for these to stand for all."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A kind of prediction, as `predictions_of` takes it, and why it is assumed."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})"


def assumed_prediction(asked: str, trace: Trace) -> Assumption:
    """What is asked for; if that is nothing, what is fair to the trace.

    Predictions of a gateway's log stand for themselves. History stands where it errs less than a
    fair predictor, which stands for all other traces: a gateway reads prompts, a trace has none.
    """
    if asked:
        return Assumption(asked, "as asked for")
    predicted = trace.predicted_tokens
    if len(predicted) and float((predicted >= 1.0).mean()) >= KNOWN:
        return Assumption("logged", "what its gateway predicted")
    octaves = history_octaves(trace)
    if octaves <= FAIR_OCTAVES:
        return Assumption(
            "history", f"earlier answers predict these lengths within a factor of {2**octaves:.1f}"
        )
    return Assumption(
        f"noise:{FAIR_OCTAVES:g}",
        f"errors of a factor of two, as of a fair predictor: the trace has no predictions, and "
        f"earlier answers err by a factor of {2**octaves:.1f}",
    )


def history_octaves(trace: Trace) -> float:
    """Root mean square of log2(predicted / real) of FromHistory, once it has learned."""
    tried = trace.first(TRIED)
    history = FromHistory(tried)
    errors = []
    for number, tokens in enumerate(tried.output_tokens.tolist()):
        estimate, _ = history.predict(number)
        errors.append(log2(max(1, estimate.quantile(0.5))) - log2(tokens))
        history.finished(number)
    learned = np.array(errors[int(LEARNING * len(errors)) :])
    return float(np.sqrt(np.mean(learned**2)))
