"""Which requests are looked for, as conditions of SQL."""

from __future__ import annotations

from typing import Any

import msgspec

from headway.store.history.rollups import DIMENSIONS, MEASURES


class Filters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What requests have in common; None: anything."""

    since_s: float | None = None
    """Unix time of arrival, inclusive."""
    until_s: float | None = None
    """Exclusive."""
    tenant: str | None = None
    model: str | None = None
    tier: str | None = None
    outcome: str | None = None
    key: str | None = None
    program: str | None = None
    total_ms: float | None = None
    """At least."""
    ttft_ms: float | None = None
    queue_ms: float | None = None

    @property
    def names(self) -> dict[str, str]:
        """What rollups can be chosen by."""
        return self._given(DIMENSIONS)

    @property
    def least(self) -> dict[str, float]:
        """Least durations, by measure."""
        return self._given(MEASURES)

    def of_rows(self) -> tuple[list[str], list[Any]]:
        """Conditions on rows of the log, without those on time, and their values."""
        equal = self.names | self._given(("key", "program"))
        conditions = [f"{name} = ?" for name in equal] + [f"{name} >= ?" for name in self.least]
        for name in ("key", "program"):
            if name in equal:  # so that its partial index serves
                conditions.append(f"{name} != ''")
        return conditions, [*equal.values(), *self.least.values()]

    def of_groups(self, by: str | None = None) -> tuple[str, list[Any]]:
        """A condition on the fewest groups of rollups that know these names, and its values.

        Args:
            by: a dimension that they have to know, too.
        """
        names = self.names
        known = {*names} if by is None else {*names, by}
        conditions = [f"{name} = ?" for name in names]
        conditions.append(f"tenant IS {'NOT ' if 'tenant' in known else ''}NULL")
        conditions.append(f"model IS {'' if known <= {'tenant'} else 'NOT '}NULL")
        return " AND ".join(conditions), [*names.values()]

    def _given(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}
