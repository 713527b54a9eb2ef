"""The last durations, against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from headway.core.latency_window import REMEMBERED, LatencyWindow

values = st.floats(0.0, 1e6)


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "add", "revise", "drop"]), values, st.integers(0, 999)),
        max_size=60,
    ),
    values,
)
def test_it_is_a_sorted_list_of_what_was_added_last(steps, limit) -> None:
    window, entries = LatencyWindow(), []
    for kind, value, number in steps:
        if kind == "add":
            entries.append(window.add(value))
        elif entries:
            entry = entries[number % len(entries)]
            if kind == "revise":
                window.revise(entry, value)
            else:
                window.drop(entry)
                entries.remove(entry)
    known = sorted(entry.value_s for entry in entries)
    assert len(window) == len(known)
    assert window.above(limit) == sum(value > limit for value in known)
    for q in (0.0, 0.5, 0.99):
        assert window.quantile_s(q) == (known[int(q * len(known))] if known else 0.0)


def test_it_forgets_the_oldest() -> None:
    window = LatencyWindow()
    first = window.add(1e9)
    for _ in range(REMEMBERED):
        window.add(1.0)
    window.revise(first, 2e9)
    window.drop(first)
    assert len(window) == REMEMBERED
    assert window.quantile_s(1.0) == 1.0
