"""Which backends take requests now, and since when the others do not."""

from __future__ import annotations

from math import inf

from headway.engines.member import BackendStatus


class Rotation:
    """Backends that are down, paused, or left alone because they fail, and since when.

    All times are seconds on the dispatcher's clock.
    """

    def __init__(self) -> None:
        self._out_since: dict[str, float] = {}
        self._models: dict[str, tuple[str, ...]] = {}

    @property
    def incomplete(self) -> bool:
        """Whether some backend takes nothing now."""
        return bool(self._out_since)

    def changed(self, status: BackendStatus, now_s: float) -> None:
        """This is the status of a backend from now on."""
        self._models[status.name] = status.models
        if status.slots:
            self._out_since.pop(status.name, None)
        else:
            self._out_since.setdefault(status.name, now_s)

    def unserved_since_s(self, model: str) -> float | None:
        """Since when no backend that has `model` takes anything; None: one does.

        A backend that has never answered may have any model.
        """
        since_s = -inf
        for name, models in self._models.items():
            if model in models or not models:
                if name not in self._out_since:
                    return None
                since_s = max(since_s, self._out_since[name])
        return since_s
