"""Retries: elsewhere first, then again more and more slowly, and not for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.gateway.work.retries import (
    FIRST_PAUSE_OF_LINE_S,
    FIRST_PAUSE_S,
    MOST_PAUSE_S,
    MOST_RETRY_AFTER_S,
    Retries,
)


def failed(
    retries: Retries,
    backend: str,
    *others: str,
    here_again: bool = True,
    retry_after_s: float | None = None,
    jitter: float = 0.5,
) -> float | None:
    return retries.failed(
        backend,
        others,
        most_runs=5,
        here_again=here_again,
        retry_after_s=retry_after_s,
        jitter=jitter,
    )


def test_another_backend_is_tried_at_once() -> None:
    retries = Retries()
    assert failed(retries, "a", "a", "b", "c") == 0.0
    assert retries.avoid == {"a"}
    assert failed(retries, "b", "a", "b", "c") == 0.0
    assert retries.avoid == {"a", "b"}


def test_once_all_have_failed_a_new_round_begins_after_a_pause() -> None:
    retries = Retries()
    failed(retries, "a", "a", "b")
    assert failed(retries, "b", "a", "b") == FIRST_PAUSE_S
    assert retries.avoid == {"b"}, "not where it failed just now"
    assert failed(retries, "a", "a", "b") == 2 * FIRST_PAUSE_S
    assert retries.failed_on == {"a", "b"}


def test_five_runs_on_a_lone_backend_take_their_time() -> None:
    retries = Retries()
    pauses = [failed(retries, "a", "a", jitter=0.0) for _ in range(5)]
    assert pauses == [0.125, 0.25, 0.5, 1.0, None]
    line = Retries(FIRST_PAUSE_OF_LINE_S)
    pauses = [failed(line, "a", "a", jitter=0.0) for _ in range(5)]
    assert pauses == [1.0, 2.0, 4.0, 4.0, None], "and longer where nobody waits"


def test_a_short_retry_after_is_waited_for_and_a_long_one_is_left_to_the_client() -> None:
    assert failed(Retries(), "a", "a", retry_after_s=3.0) == 3.0
    assert failed(Retries(), "a", "a", retry_after_s=20.0) is None
    assert failed(Retries(), "a", "a", "b", retry_after_s=20.0) == 0.0


def test_what_will_fail_here_again_is_tried_elsewhere_only() -> None:
    retries = Retries()
    assert failed(retries, "a", "a", "b", here_again=False) == 0.0
    assert failed(retries, "b", "a", "b", here_again=False) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sets(st.sampled_from("abc")),
            st.booleans(),
            st.none() | st.floats(0.0, 100.0),
            st.floats(0.0, 1.0),
        ),
        max_size=12,
    )
)
def test_whatever_fails(
    runs: list[tuple[str, set[str], bool, float | None, float]],
) -> None:
    retries = Retries()
    for number, (backend, others, here_again, asked_s, jitter) in enumerate(runs, start=1):
        pause_s = retries.failed(
            backend,
            others,
            most_runs=5,
            here_again=here_again,
            retry_after_s=asked_s,
            jitter=jitter,
        )
        assert backend in retries.avoid
        if number >= 5:
            assert pause_s is None
        if pause_s is None:
            return
        if pause_s == 0.0:
            assert others - retries.avoid, "there is somewhere else to go"
        else:
            assert here_again
            assert pause_s <= max(1.5 * MOST_PAUSE_S, MOST_RETRY_AFTER_S)
