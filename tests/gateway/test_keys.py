from __future__ import annotations

import pytest

from headway.core.request import Tier
from headway.gateway.errors import ApiError
from headway.gateway.keys import KeyRing, hash_key
from headway.gateway.settings import ApiKey


def ring(**limits: object) -> KeyRing:
    return KeyRing([ApiKey(name="team", sha256=hash_key("secret"), **limits)], now_s=0.0)


def test_without_keys_everybody_may_ask() -> None:
    assert KeyRing([], 0.0).caller(None) is None
    assert KeyRing([], 0.0).caller("Bearer whatever") is None


@pytest.mark.parametrize("header", [None, "", "secret", "Basic secret", "Bearer", "Bearer wrong"])
def test_with_keys_only_they_may(header: str | None) -> None:
    with pytest.raises(ApiError) as raised:
        ring().caller(header)
    assert (raised.value.status, raised.value.code) == (401, "invalid_api_key")


def test_a_known_key_names_its_tenant() -> None:
    caller = ring().caller("bearer  secret")
    assert caller is not None and caller.tenant == "team"
    caller = ring(tenant="sales").caller("Bearer secret")
    assert caller is not None and caller.tenant == "sales"


def test_a_ceiling_lowers_what_is_above_it_and_leaves_the_rest() -> None:
    caller = ring(max_tier=Tier.STANDARD).caller("Bearer secret")
    assert caller is not None
    assert caller.ceiling(Tier.INTERACTIVE) is Tier.STANDARD
    assert caller.ceiling(Tier.BATCH) is Tier.BATCH


def test_requests_per_minute() -> None:
    caller = ring(requests_per_minute=2).caller("Bearer secret")
    assert caller is not None
    caller.admit(10, 0.0)
    caller.admit(10, 0.0)
    with pytest.raises(ApiError) as raised:
        caller.admit(10, 0.0)
    assert raised.value.status == 429
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.headers["Retry-After"] == "30"
    caller.admit(10, 30.0)


def test_tokens_per_minute_count_what_was_really_used() -> None:
    caller = ring(tokens_per_minute=100).caller("Bearer secret")
    assert caller is not None
    caller.admit(50, 0.0)
    caller.charge(100, 0.0)
    with pytest.raises(ApiError, match="tokens per minute"):
        caller.admit(1, 0.0)
    caller.admit(1, 0.6)
