"""The slots that a gateway uses while it hears nothing of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headway.core.sharing.share import share
from headway.sharing.settings import QueueSettings


class OwnShare:
    """How many slots of each backend one gateway may use without asking.

    What it used when it lost the others is its own at first. Then those that use more than their
    share give it back, and once all of them have, the others use theirs: at no time do they use
    more in sum than there are. Times are seconds on any clock.

    Args:
        settings: when that is.
        gateway: its name.
    """

    def __init__(self, settings: QueueSettings, gateway: str) -> None:
        self._settings = settings
        self._gateway = gateway
        self.members: Sequence[str] = ()
        """All gateways, in one order, as last heard."""
        self.slots: Mapping[str, int] = {}
        """Of each backend, those that all share, as last heard."""

    def allowed(self, used: Mapping[str, int], silence_s: float) -> dict[str, int]:
        """The slots of each backend to use now.

        Args:
            used: those that it used before, by backend.
            silence_s: how long it has heard nothing.
        """
        own = self._shares()
        if silence_s < self._settings.shrink_s or not own:
            return dict(used)
        if silence_s < self._settings.grow_s:
            return {name: min(number, own.get(name, 0)) for name, number in used.items()}
        return own

    def _shares(self) -> dict[str, int]:
        if self._gateway not in self.members:
            return {}
        index, count = self.members.index(self._gateway), len(self.members)
        return {name: share(slots, count, index) for name, slots in self.slots.items()}
