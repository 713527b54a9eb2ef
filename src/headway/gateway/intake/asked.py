"""The scheduling fields of a request: tier, tenant, deadline, length, and its place in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.core.request import Tier
from headway.gateway.api.errors import ApiError
from headway.gateway.api.names import checked_name
from headway.gateway.keys.keys import Caller

TIER_OF_SERVICE = {
    "priority": Tier.INTERACTIVE,
    "default": Tier.STANDARD,
    "scale": Tier.STANDARD,
    "flex": Tier.BATCH,
}

ANONYMOUS = "anonymous"
"""The tenant of requests that name none, where the gateway has no keys."""

_NAMES = (
    "tier",
    "tenant",
    "program",
    "step",
    "parents",
    "remaining-ms",
    "deadline-ms",
    "expected-tokens",
)
_HEADERS = {name: f"x-headway-{name}" for name in _NAMES}
_METADATA = {name: f"headway_{name.replace('-', '_')}" for name in _NAMES}


class Asked:
    """Scheduling fields from headers, or from `metadata` for clients that cannot set headers."""

    __slots__ = ("_headers", "_metadata")

    def __init__(
        self, headers: Mapping[str, str], metadata: Mapping[str, Any] | None = None
    ) -> None:
        self._headers = headers
        self._metadata = metadata

    def text(self, name: str) -> str | None:
        """The value of `x-headway-<name>`, or None.

        Raises:
            ApiError: 400 if it is too long, or its entry in `metadata` is another type.
        """
        value = self._headers.get(_HEADERS[name])
        if value is not None:
            return checked_name(value, _HEADERS[name]) or None
        value = None if self._metadata is None else self._metadata.get(_METADATA[name])
        if value is None:
            return None
        param = f"metadata.{_METADATA[name]}"
        if not isinstance(value, str | int | float):
            raise ApiError(
                400, f"{param} must be a string or a number.", code="invalid_value", param=param
            )
        return checked_name(str(value), param) or None

    def number(self, name: str, least: int = 1) -> int | None:
        """As `text`, but an integer from `least` on. Raises ApiError 400 for anything else."""
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and int(text[:12]) >= least and len(text) <= 12):
            what = "a positive integer" if least else "an integer from 0 on"
            raise ApiError(
                400,
                f"{_HEADERS[name]} is {text[:40]!r}; it must be {what}.",
                param=_HEADERS[name],
            )
        return int(text)

    def names(self, name: str) -> tuple[str, ...]:
        """As `text`, but several names with commas between; without any it is empty."""
        text = self.text(name) or ""
        return tuple(part for one in text.split(",") if (part := one.strip()))


@dataclass(frozen=True, slots=True)
class PlaceInRun:
    """Which run a request is part of, and where it stands in it."""

    program: str
    """Empty: none."""
    step: str
    parents: tuple[str, ...]
    to_come_ms: int | None
    """What comes after the answer on the longest path to the end; None: the client does not say."""

    @classmethod
    def of(cls, asked: Asked) -> PlaceInRun:
        """What the client says. Raises ApiError 400, naming the header that is wrong."""
        program, step = asked.text("program") or "", asked.text("step") or ""
        parents = asked.names("parents")
        if not program:
            for name, given in (("step", step), ("parents", parents)):
                if given:
                    raise ApiError(
                        400,
                        f"x-headway-{name} names a part of a run, but no run is named; send "
                        "x-headway-program too.",
                        code="program_missing",
                        param=f"x-headway-{name}",
                    )
        return cls(program, step, parents, asked.number("remaining-ms", least=0))


@dataclass(frozen=True, slots=True)
class Urgency:
    """The tier, tenant and deadline of a request, its key and its batch."""

    tier: Tier
    tenant: str
    deadline_s: float | None
    """Seconds from now; None: no deadline."""
    caller: Caller | None
    batch: str = ""
    """The batch that it is a line of; empty: none."""
    key_name: str = ""
    """Of its key, or of that which began its batch; empty: none."""

    @classmethod
    def of(
        cls,
        asked: Asked,
        caller: Caller | None,
        default: Tier,
        service_tier: str | None = None,
        user: str | None = None,
    ) -> Urgency:
        """The urgency that the client asks for, within the limits of its key.

        Raises:
            ApiError: 400, naming the header that is wrong; 403 for another key's tenant.
        """
        tier = _tier(asked.text("tier"), service_tier, default)
        deadline_ms = asked.number("deadline-ms")
        return cls(
            tier if caller is None else caller.ceiling(tier),
            _tenant(asked.text("tenant"), user, caller),
            None if deadline_ms is None else deadline_ms / 1000.0,
            caller,
            key_name="" if caller is None else caller.name,
        )


def _tenant(named: str | None, user: str | None, caller: Caller | None) -> str:
    """The tenant of a request: its key's own, unless the key may name tenants.

    Clients often set `user` for other purposes, so it is ignored if the key may not name tenants.
    """
    if user is not None:
        user = checked_name(user, "user")
    if caller is None:
        return named or user or ANONYMOUS
    if caller.may_name_tenants:
        return named or user or caller.tenant
    if named is not None and named != caller.tenant:
        raise ApiError(
            403,
            f"Key {caller.name!r} may not name a tenant, its own is {caller.tenant!r}; leave out "
            "x-headway-tenant, or set `may_name_tenants: true` for the key.",
            type="permission_error",
            code="tenant_not_allowed",
            param="x-headway-tenant",
        )
    return caller.tenant


def _tier(label: str | None, service_tier: str | None, default: Tier) -> Tier:
    if label is not None:
        try:
            return Tier.parse(label)
        except ValueError as error:
            raise ApiError(400, f"{error}.", code="unknown_tier", param="x-headway-tier") from None
    return TIER_OF_SERVICE.get(service_tier or "auto", default)
