"""Policies that requests to the gateway name."""

from __future__ import annotations

from headway.core.policies import POLICIES
from headway.gateway.api.errors import invalid_value


def check_policy(name: str, param: str) -> None:
    """Raise ApiError 400 if there is no policy `name`, which is in the field `param`."""
    if name not in POLICIES:
        known = ", ".join(POLICIES)
        raise invalid_value(f"There is no policy {name[:100]!r}; there are {known}.", param)
