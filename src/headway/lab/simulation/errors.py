"""The one error of this package."""

from __future__ import annotations


class SimulationError(Exception):
    """Something cannot be simulated; the message names the row, field or option, and what to do."""
