"""The part of the slots that a gateway uses while it cannot reach the others."""

from __future__ import annotations


def share(slots: int, gateways: int, index: int) -> int:
    """Slots of gateway number `index`, counted from 0, of `gateways`: in sum exactly `slots`.

    Raises:
        ValueError: there is no gateway of that number.
    """
    if not 0 <= index < gateways:
        raise ValueError(f"there is no gateway {index} of {gateways}; count from 0")
    return slots // gateways + (index < slots % gateways)
