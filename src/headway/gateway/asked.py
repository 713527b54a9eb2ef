"""What a client asks of the scheduler: how urgent, by when, on whose account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.core.request import Tier
from headway.gateway.errors import ApiError
from headway.gateway.keys import Caller

TIER_OF_SERVICE = {
    "priority": Tier.INTERACTIVE,
    "default": Tier.STANDARD,
    "scale": Tier.STANDARD,
    "flex": Tier.BATCH,
}

_NAMES = ("tier", "tenant", "program", "deadline-ms", "expected-tokens")
_HEADERS = {name: f"x-headway-{name}" for name in _NAMES}
_METADATA = {name: f"headway_{name.replace('-', '_')}" for name in _NAMES}


class Asked:
    """Scheduling input by header, or by metadata for clients that cannot set headers."""

    __slots__ = ("_headers", "_metadata")

    def __init__(
        self, headers: Mapping[str, str], metadata: Mapping[str, Any] | None = None
    ) -> None:
        self._headers = headers
        self._metadata = metadata

    def text(self, name: str) -> str | None:
        """The value of `x-headway-<name>`, or None."""
        value = self._headers.get(_HEADERS[name])
        if value is None and self._metadata is not None:
            value = self._metadata.get(_METADATA[name])
            if value is not None and not isinstance(value, str):
                value = str(value)
        return value or None

    def number(self, name: str) -> int | None:
        """The same as a positive integer. Raises ApiError 400 for anything else."""
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and int(text[:12]) > 0 and len(text) <= 12):
            raise ApiError(
                400,
                f"{_HEADERS[name]} is {text[:40]!r}; it must be a positive integer.",
                param=_HEADERS[name],
            )
        return int(text)


@dataclass(frozen=True, slots=True)
class Urgency:
    """What the scheduler goes by, apart from sizes."""

    tier: Tier
    tenant: str
    deadline_s: float | None
    """From now."""
    caller: Caller | None

    @classmethod
    def of(
        cls,
        asked: Asked,
        caller: Caller | None,
        default: Tier,
        service_tier: str | None = None,
        user: str | None = None,
    ) -> Urgency:
        """What was asked, within what the caller may ask.

        Raises:
            ApiError: 400, naming the header that is wrong.
        """
        tier = _tier(asked.text("tier"), service_tier, default)
        deadline_ms = asked.number("deadline-ms")
        return cls(
            tier if caller is None else caller.ceiling(tier),
            asked.text("tenant") or user or (caller.tenant if caller else "anonymous"),
            None if deadline_ms is None else deadline_ms / 1000.0,
            caller,
        )


def _tier(label: str | None, service_tier: str | None, default: Tier) -> Tier:
    if label is not None:
        try:
            return Tier.parse(label)
        except ValueError as error:
            raise ApiError(400, f"{error}.", code="unknown_tier", param="x-headway-tier") from None
    return TIER_OF_SERVICE.get(service_tier or "auto", default)
