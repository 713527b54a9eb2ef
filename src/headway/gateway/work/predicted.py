"""What is predicted of one request's answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.prediction.live.live_predictor import Forecast, Look
from headway.prediction.models.refinement import CUTS
from headway.prediction.texts.prompt import Prompt


@dataclass(slots=True)
class Predicted:
    """The predictions for one request, from the first to the last."""

    claim_counts: bool = False
    """The client's claim is believed, and nothing else is predicted."""
    asked: bool = False
    """The predictor was asked for a forecast."""
    prompt: Prompt | None = None
    """The part of its prompt that every later look needs, once the prompt was read: short, however
    long the prompt is."""
    forecast: Forecast | None = None
    """From its prompt, before its first token."""
    looks: list[Look] = field(default_factory=list)
    """What its unfinished answer showed about the rest."""
    look_at: int = CUTS[0]
    """Output tokens at which the rest is predicted again."""
