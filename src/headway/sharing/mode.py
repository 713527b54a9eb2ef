"""How a gateway gets the slots of shared backends."""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """How a gateway gets slots."""

    SHARED = "shared"
    """Each one is granted."""
    SETTLING = "settling"
    """None is granted until all gateways are back; it keeps what it has."""
    APART = "apart"
    """It cannot reach the others, and uses what it had, then its share."""
