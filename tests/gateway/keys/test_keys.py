from __future__ import annotations

import pytest

from headway.core.request import Tier
from headway.gateway.api.errors import ApiError
from headway.gateway.keys.keys import Caller, KeyRing, hash_key, must_be_admin
from headway.gateway.settings import ApiKey

BEARER = {"authorization": "Bearer secret"}


def ring(**limits: object) -> KeyRing:
    return KeyRing([ApiKey(name="team", sha256=hash_key("secret"), **limits)], now_s=0.0)


def caller(**limits: object) -> Caller:
    found = ring(**limits).caller(BEARER)
    assert found is not None
    return found


def test_without_keys_everybody_may_ask() -> None:
    assert KeyRing([], 0.0).caller({}) is None
    assert KeyRing([], 0.0).caller({"authorization": "Bearer whatever"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "secret"},
        {"authorization": "Basic secret"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer \udcff"},
        {"x-api-key": ""},
        {"x-api-key": "wrong"},
        {"x-api-key": "Bearer secret"},
        {"authorization": "Bearer secret", "x-api-key": "wrong"},
        {"authorization": "Bearer wrong", "x-api-key": "secret"},
    ],
)
def test_with_keys_only_they_may(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as raised:
        ring().caller(headers)
    assert (raised.value.status, raised.value.code) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "bearer  secret"},
        {"x-api-key": "secret"},
        {"authorization": "Bearer secret", "x-api-key": "secret"},
        {"authorization": "Basic of-a-proxy", "x-api-key": "secret"},
    ],
)
def test_a_key_comes_as_clients_of_openai_or_of_anthropic_send_it(headers: dict[str, str]) -> None:
    found = ring().caller(headers)
    assert found is not None and found.name == "team"


def test_a_known_key_names_its_tenant() -> None:
    assert caller().tenant == "team"
    assert caller(tenant="sales").tenant == "sales"


def test_keys_that_are_replaced_keep_what_they_have_used_unless_they_changed() -> None:
    one = ApiKey("team", hash_key("secret"), requests_per_minute=1)
    keys = KeyRing([one], 0.0)
    first = keys.caller(BEARER)
    assert first is not None
    first.admit(1, 0.0)
    keys.replace([one, ApiKey("other", hash_key("another"))], 0.0)
    assert keys.caller(BEARER) is first
    keys.replace([ApiKey("team", hash_key("secret"), requests_per_minute=2)], 0.0)
    changed = keys.caller(BEARER)
    assert changed is not None and changed is not first
    changed.admit(1, 0.0)
    with pytest.raises(ApiError):
        keys.caller({"authorization": "Bearer another"})


def test_what_only_operators_may_do_needs_an_admins_key() -> None:
    with pytest.raises(ApiError) as raised:
        must_be_admin(caller())
    assert (raised.value.status, raised.value.code) == (403, "admin_only")
    must_be_admin(caller(admin=True))
    must_be_admin(None)


def test_a_ceiling_lowers_what_is_above_it_and_leaves_the_rest() -> None:
    limited = caller(max_tier=Tier.STANDARD)
    assert limited.ceiling(Tier.INTERACTIVE) is Tier.STANDARD
    assert limited.ceiling(Tier.BATCH) is Tier.BATCH


def test_requests_per_minute() -> None:
    limited = caller(requests_per_minute=2)
    limited.admit(10, 0.0)
    limited.admit(10, 0.0)
    with pytest.raises(ApiError) as raised:
        limited.admit(10, 0.0)
    assert raised.value.status == 429
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.headers["Retry-After"] == "30"
    limited.admit(10, 30.0)


def test_a_burst_shares_one_minute_s_tokens() -> None:
    limited = caller(tokens_per_minute=100)
    for _ in range(10):
        limited.admit(10, 0.0)
    for _ in range(30):
        with pytest.raises(ApiError, match="tokens per minute") as raised:
            limited.admit(10, 0.0)
        assert raised.value.headers["Retry-After"] == "6"
    limited.admit(10, 6.0)


def test_what_was_used_takes_the_place_of_what_was_reserved() -> None:
    limited = caller(tokens_per_minute=100)
    limited.admit(90, 0.0).settle(20, 0.0)
    admission = limited.admit(80, 0.0)
    admission.settle(140, 0.0)
    admission.settle(140, 0.0)  # the second time counts nothing
    with pytest.raises(ApiError) as raised:
        limited.admit(1, 0.0)
    assert raised.value.headers["Retry-After"] == "37"
    limited.admit(1, 37.0)


def test_who_was_turned_away_gets_everything_back() -> None:
    limited = caller(tokens_per_minute=100, requests_per_minute=1)
    for _ in range(5):
        limited.admit(100, 0.0).withdraw(0.0)
    limited.admit(100, 0.0).settle(0, 0.0)
    with pytest.raises(ApiError, match="requests per minute"):
        limited.admit(1, 0.0)


def test_retry_after_is_when_there_is_room_for_both_requests_and_tokens() -> None:
    limited = caller(tokens_per_minute=100, requests_per_minute=60)
    limited.admit(100, 0.0)
    for _ in range(59):
        limited.admit(0, 0.0)
    with pytest.raises(ApiError, match="tokens per minute") as raised:
        limited.admit(50, 0.0)
    assert raised.value.headers["Retry-After"] == "30"
