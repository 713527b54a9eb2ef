"""What clients may ask of the scheduler, and in whose name."""

from __future__ import annotations

from typing import Any

import pytest

from headway.core.request import Tier
from headway.gateway.api.errors import ApiError
from headway.gateway.intake.asked import Asked, PlaceInRun, Urgency
from headway.gateway.keys.keys import Caller
from headway.gateway.settings import ApiKey


def tenant(
    key: ApiKey | None,
    headers: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
    user: str | None = None,
) -> str:
    caller = None if key is None else Caller(key, 0.0)
    return Urgency.of(Asked(headers or {}, metadata), caller, Tier.STANDARD, user=user).tenant


ITS_OWN = ApiKey("team", "0" * 64, tenant="sales")
FOR_MANY = ApiKey("team", "0" * 64, tenant="sales", may_name_tenants=True)
HEADER = {"x-headway-tenant": "ann"}
METADATA = {"headway_tenant": "ann"}


@pytest.mark.parametrize(
    ("key", "asked", "expected"),
    [
        (None, {}, "anonymous"),
        (None, {"headers": HEADER}, "ann"),
        (None, {"user": "ann"}, "ann"),
        (ITS_OWN, {}, "sales"),
        (ITS_OWN, {"user": "ann"}, "sales"),
        (ITS_OWN, {"headers": {"x-headway-tenant": "sales"}}, "sales"),
        (FOR_MANY, {}, "sales"),
        (FOR_MANY, {"headers": HEADER, "user": "bob"}, "ann"),
        (FOR_MANY, {"metadata": METADATA}, "ann"),
        (FOR_MANY, {"user": "ann"}, "ann"),
    ],
)
def test_a_key_s_tenant_is_its_own_unless_it_may_name_others(
    key: ApiKey | None, asked: dict[str, Any], expected: str
) -> None:
    assert tenant(key, **asked) == expected


@pytest.mark.parametrize("asked", [{"headers": HEADER}, {"metadata": METADATA}])
def test_another_tenant_is_refused_not_ignored(asked: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as raised:
        tenant(ITS_OWN, **asked)
    assert (raised.value.status, raised.value.code) == (403, "tenant_not_allowed")


LONG = "x" * 257


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"headers": {"x-headway-tenant": LONG}}, "x-headway-tenant"),
        ({"headers": {"x-headway-tier": LONG}}, "x-headway-tier"),
        ({"headers": {"x-headway-deadline-ms": LONG}}, "x-headway-deadline-ms"),
        ({"metadata": {"headway_tenant": LONG}}, "metadata.headway_tenant"),
        ({"metadata": {"headway_tenant": 10**300}}, "metadata.headway_tenant"),
        ({"metadata": {"headway_tier": ["a", "b"]}}, "metadata.headway_tier"),
        ({"user": LONG}, "user"),
    ],
)
@pytest.mark.parametrize("key", [None, ITS_OWN])
def test_a_name_that_is_none_is_refused_by_its_field(
    key: ApiKey | None, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(ApiError) as raised:
        tenant(key, **asked)
    assert (raised.value.status, raised.value.param) == (400, param)


def test_the_program_is_a_name_as_well() -> None:
    with pytest.raises(ApiError) as raised:
        Asked({"x-headway-program": LONG}).text("program")
    assert raised.value.code == "name_too_long"
    assert Asked({}, {"headway_program": 7}).text("program") == "7"


RUN = {"x-headway-program": "run 7"}


def test_a_request_says_where_it_stands_in_its_run() -> None:
    headers = {
        "x-headway-step": "vote",
        "x-headway-parents": "a, b ,c",
        "x-headway-remaining-ms": "0",
    }
    assert PlaceInRun.of(Asked(RUN | headers)) == PlaceInRun("run 7", "vote", ("a", "b", "c"), 0)
    metadata = {"headway_program": "run 7", "headway_remaining_ms": 1500}
    assert PlaceInRun.of(Asked({}, metadata)) == PlaceInRun("run 7", "", (), 1500)
    assert PlaceInRun.of(Asked({})) == PlaceInRun("", "", (), None)


@pytest.mark.parametrize(
    ("headers", "code", "param"),
    [
        ({"x-headway-step": "vote"}, "program_missing", "x-headway-step"),
        ({"x-headway-parents": "a"}, "program_missing", "x-headway-parents"),
        (RUN | {"x-headway-step": LONG}, "name_too_long", "x-headway-step"),
        (RUN | {"x-headway-parents": LONG}, "name_too_long", "x-headway-parents"),
        (RUN | {"x-headway-remaining-ms": "-1"}, None, "x-headway-remaining-ms"),
        (RUN | {"x-headway-remaining-ms": "1.5"}, None, "x-headway-remaining-ms"),
        (RUN | {"x-headway-remaining-ms": "9" * 13}, None, "x-headway-remaining-ms"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused_by_its_field(headers, code, param) -> None:
    with pytest.raises(ApiError) as raised:
        PlaceInRun.of(Asked(headers))
    assert (raised.value.status, raised.value.param) == (400, param)
    assert code is None or raised.value.code == code
