"""Predicted lengths for the scheduler, with prediction error as an input."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log2
from pathlib import Path
from typing import Protocol

import numpy as np

from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import columns_of
from headway.lab.simulation.runs import MODEL, KnownRuns, LearnedRuns, Runs
from headway.lab.simulation.trace import Trace
from headway.lab.simulation.trained import Trained
from headway.prediction.live.history import LengthHistory, Origin
from headway.prediction.models.bins import BIN_TOKENS


class Predictions(Protocol):
    """Predicts the lengths of a trace's requests."""

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        """The estimate and the score of request `number`, from what is known on its arrival,
        before any limit that it sets."""
        ...

    def finished(self, number: int) -> None:
        """Request `number` ended: its length is known from now on. Most learn nothing."""
        return

    def runs(self, trace: Trace, cost: CostModel) -> Runs:
        """What is predicted of the runs of `trace`; here learned from those that ended."""
        return LearnedRuns(trace, cost)


class Oracle(Predictions):
    """Knows every length."""

    def __init__(self, trace: Trace) -> None:
        self._tokens = trace.output_tokens.tolist()

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        estimate = _exactly(self._tokens[number])
        return estimate, log2(self._tokens[number])

    def runs(self, trace: Trace, cost: CostModel) -> Runs:
        return KnownRuns(trace, cost)


class FromHistory(Predictions):
    """The gateway without a predictor: lengths of the tenant's and program's requests so far.

    Args:
        trace: the requests whose lengths are predicted.
        history: of earlier requests; None: there were none.
    """

    def __init__(self, trace: Trace, history: LengthHistory | None = None) -> None:
        self._trace = trace
        self._history = history or LengthHistory()

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        return self._history.estimate(self._origin(number), None), None

    def finished(self, number: int) -> None:
        tokens = int(self._trace.output_tokens[number])
        self._history.observe(self._origin(number), tokens)

    def _origin(self, number: int) -> Origin:
        trace = self._trace
        tenant = trace.tenants[number] if trace.tenants else ""
        program = trace.programs[number] if trace.programs else ""
        return Origin(MODEL, tenant, 0, program)


class Noisy(Predictions):
    """A predictor whose errors are log-normal, and which knows how large they are.

    Args:
        trace: the requests whose lengths are predicted.
        octaves: standard deviation of log2(predicted / real); 1 is a factor of two.
        seed: equal seeds err alike.
    """

    def __init__(self, trace: Trace, octaves: float, seed: int = 0) -> None:
        errors = np.random.default_rng(seed).normal(0.0, octaves, len(trace))
        self._scores = (np.log2(trace.output_tokens) + errors).tolist()
        self._octaves = octaves

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        score = self._scores[number]
        return _log_normal(round(score * 8), self._octaves), score


class Logged(Predictions):
    """What a gateway's request log says that it predicted, with the spread of its errors there.

    Args:
        trace: from a request log.

    Raises:
        SimulationError: the trace holds no predictions.
    """

    def __init__(self, trace: Trace) -> None:
        predicted = trace.predicted_tokens
        known = predicted >= 1.0 if len(predicted) else np.zeros(0, bool)
        if not known.any():
            raise SimulationError(
                f"{trace.name} holds no predicted lengths; take a gateway's request log, or "
                "another --predict"
            )
        middle = float(np.median(trace.output_tokens))
        self._scores = np.log2(np.where(known, predicted, middle)).tolist()
        errors = np.log2(trace.output_tokens[known]) - np.log2(predicted[known])
        self._octaves = max(LEAST_SPREAD_OCTAVES, float(np.std(errors)))

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        score = self._scores[number]
        return _log_normal(round(score * 8), self._octaves), score


class Recorded(Predictions):
    """A predictor of classes, with the errors that a real one made.

    Args:
        trace: the requests whose lengths are predicted.
        lengths: real lengths of a record, output tokens.
        classes: what was predicted for each.
        seed: which of the record's requests of about a length stands for one of the trace.
    """

    def __init__(self, trace: Trace, lengths: np.ndarray, classes: np.ndarray, seed: int) -> None:
        rng = np.random.default_rng(seed)
        order = np.argsort(lengths, kind="stable")
        place = np.searchsorted(lengths[order], trace.output_tokens)
        near = place + rng.integers(-NEIGHBOURS, NEIGHBOURS + 1, len(trace))
        self._classes = classes[order][np.clip(near, 0, len(order) - 1)].tolist()
        self._estimates = {
            int(name): SizeEstimate.from_lengths(lengths[classes == name].astype(int).tolist())
            for name in np.unique(classes)
        }

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        estimate = self._estimates[self._classes[number]]
        return estimate, log2(estimate.mean)


NEIGHBOURS = 20
"""Requests of a record that are about as long as one of the trace."""
LEAST_SPREAD_OCTAVES = 0.1
"""Of logged predictions: no log proves that a predictor does not err."""
KINDS = (
    "oracle, history, logged, noise:OCTAVES (0.5 is good, 1 fair), recorded:FILE, "
    "predictor:FILE@PROMPTS"
)
REAL, PREDICTED = "output_tokens", "pred_multi_class"
"""Columns of a record: lengths, and the predicted class of each."""


def predictions_of(kind: str, trace: Trace, seed: int = 0) -> Predictions:
    """The predictions that a name stands for: one of KINDS.

    Raises:
        SimulationError: there is none of that name.
    """
    name, _, argument = kind.partition(":")
    if name == "oracle" and not argument:
        return Oracle(trace)
    if name == "history" and not argument:
        return FromHistory(trace)
    if name == "logged" and not argument:
        return Logged(trace)
    if name == "noise":
        try:
            octaves = float(argument)
        except ValueError:
            octaves = -1.0
        if 0.0 < octaves < 20.0:
            return Noisy(trace, octaves, seed)
    if name == "recorded" and argument:
        found = columns_of(Path(argument), {REAL: float, PREDICTED: float})
        lengths, classes = np.array(found[REAL]), np.array(found[PREDICTED])
        answered = np.isfinite(lengths) & (lengths >= 1.0)  # 0 and -1 say that there was no answer
        if not answered.any():
            raise SimulationError(f"{argument} holds no length of 1 token or more")
        return Recorded(trace, lengths[answered], classes[answered], seed)
    model, _, prompts = argument.partition("@")
    if name == "predictor" and model and prompts:
        return Trained(trace, Path(model), Path(prompts))
    raise SimulationError(f"no prediction {kind!r}; there are {KINDS}")


@lru_cache(maxsize=65536)
def _exactly(tokens: int) -> SizeEstimate:
    return SizeEstimate.exactly(tokens)


@lru_cache(maxsize=4096)
def _log_normal(eighths: int, octaves: float) -> SizeEstimate:
    """Around 2 ** (eighths / 8) tokens."""
    weights = [_density(log2(tokens) - eighths / 8.0, octaves) for tokens in BIN_TOKENS]
    return SizeEstimate(BIN_TOKENS, weights)


def _density(distance: float, spread: float) -> float:
    # The floor keeps all lengths possible, as those of a predictor that was surprised before.
    return exp(-0.5 * (distance / spread) ** 2) + 1e-6
