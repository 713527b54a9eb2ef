"""The settings of a queue that gateways share, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

PREFIX = "headway"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Where gateways share one order, and when one counts as gone."""

    url: str = field(repr=False)
    """Of Redis."""
    lease_s: float = 3.0
    """A gateway that is not heard of for so long loses its slots."""
    prefix: str = PREFIX
    """Of the keys: gateways with the same one share."""

    clock_ahead_s: float = 0.0
    """What to add to this machine's monotonic clock, so that all gateways have one."""

    @property
    def beat_s(self) -> float:
        """Time between two signs of life."""
        return self.lease_s / 4.0

    @property
    def answer_s(self) -> float:
        """Redis is gone if it takes longer to answer."""
        return self.lease_s / 3.0

    @property
    def shrink_s(self) -> float:
        """After so long without Redis a gateway uses no more than its share."""
        return 0.6 * self.lease_s

    @property
    def grow_s(self) -> float:
        """After so long it uses its whole share: all others have shrunk to theirs."""
        return 1.2 * self.lease_s
