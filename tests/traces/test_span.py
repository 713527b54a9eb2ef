"""Traces go on where others began them, and are sampled as they said."""

from __future__ import annotations

import pytest

from headway.traces.span import begun

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_trace_goes_on_under_its_parent() -> None:
    place = begun(f"00-{TRACE}-{PARENT}-01", 0.0)
    assert place is not None
    assert (f"{place.trace_id:032x}", f"{place.parent_id:016x}") == (TRACE, PARENT)
    version, trace, span, flags = place.traceparent.split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert int(span, 16) == place.span_id != place.parent_id


def test_one_that_is_not_sampled_stays_so() -> None:
    assert begun(f"00-{TRACE}-{PARENT}-00", 1.0) is None


@pytest.mark.parametrize("header", ["", "junk", f"00-{'0' * 32}-{PARENT}-01"])
def test_without_a_valid_one_a_new_trace_begins(header: str) -> None:
    place = begun(header, 1.0)
    assert place is not None and place.parent_id is None
    assert begun(header, 0.0) is None


def test_a_share_of_new_traces_is_sampled() -> None:
    sampled = sum(begun("", 0.25) is not None for _ in range(4000))
    assert 800 < sampled < 1200
