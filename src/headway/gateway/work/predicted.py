"""The predictions of one request's output length."""

from __future__ import annotations

from dataclasses import dataclass

from headway.prediction.live.live_predictor import Forecast, Look
from headway.prediction.models.refinement import CUTS
from headway.prediction.texts.prompt import Prompt


@dataclass(slots=True)
class Predicted:
    """All predictions of one request's output length."""

    claim_counts: bool = False
    """Whether the client's claim is believed; nothing is predicted then."""
    asked: bool = False
    """Whether the predictor has been asked."""
    prompt: Prompt | None = None
    """The part of the prompt that refinements need, short even if the prompt is long; None: the
    prompt was not read yet."""
    forecast: Forecast | None = None
    """The prediction from the prompt."""
    looks: tuple[Look, ...] = ()
    """The refinements from the unfinished answer, oldest first."""
    look_at: int = CUTS[0]
    """Number of output tokens at which the length is predicted again."""
