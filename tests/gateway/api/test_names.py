from __future__ import annotations

import pytest

from headway.gateway.api.errors import ApiError
from headway.gateway.api.names import checked_name


@pytest.mark.parametrize("name", ["", "ann", "x" * 256, "ä" * 128])
def test_a_name_may_have_256_bytes(name: str) -> None:
    assert checked_name(name, "user") == name


@pytest.mark.parametrize("name", ["x" * 257, "ä" * 129, "x" * 10_000_000])
def test_a_longer_one_is_refused_by_its_field_and_not_repeated(name: str) -> None:
    with pytest.raises(ApiError) as raised:
        checked_name(name, "user")
    assert (raised.value.status, raised.value.code) == (400, "name_too_long")
    assert raised.value.param == "user"
    assert len(raised.value.message) < 100


def test_a_header_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ApiError) as raised:
        checked_name("a\udcff", "x-headway-tenant")
    assert raised.value.code == "invalid_utf8"
