"""Backends that were taken out of the settings, and have not left yet."""

from __future__ import annotations

from headway.engines.backend_status import BackendStatus


class Departures:
    """Which backends are leaving, and since when. Times are seconds on the dispatcher's clock."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def changed(self, status: BackendStatus, now_s: float) -> None:
        """Record the new status of a backend; one that is configured again stays."""
        if status.leaving:
            self._since_s.setdefault(status.name, now_s)
        else:
            self._since_s.pop(status.name, None)

    def left(self, name: str) -> None:
        """Nothing runs on it any more."""
        del self._since_s[name]

    @property
    def names(self) -> list[str]:
        """Those that are leaving."""
        return list(self._since_s)

    def overdue(self, limit_s: float, now_s: float) -> list[str]:
        """Those that have been leaving for longer than `limit_s`."""
        return [name for name, since_s in self._since_s.items() if now_s - since_s >= limit_s]
