"""What is expected to be cached of a prompt."""

from headway.prediction.live.cached_prompts import CachedPrompts
from headway.prediction.live.history import Origin

FIRST, SECOND = Origin("m", "t", 0, "first"), Origin("m", "t", 0, "second")


def test_an_agent_that_goes_on_finds_its_context_cached() -> None:
    cached = CachedPrompts()
    for call in range(1, 30):
        expected = cached.expected(FIRST, 1000 * call)
        cached.answered(FIRST, 1000 * call, 100, max(0, 1000 * (call - 1)))
    assert 0.8 * 28_000 < expected < 29_000


def test_the_first_request_of_a_run_has_no_context() -> None:
    cached = CachedPrompts()
    for call in range(1, 30):
        cached.answered(FIRST, 1000 * call, 100, max(0, 1000 * (call - 1)))
    assert cached.expected(SECOND, 5000) == 0
    assert cached.expected(Origin("m", "t"), 5000) == 0


def test_a_backend_that_caches_nothing_or_does_not_say_teaches_that_nothing_is() -> None:
    for reported in (0, None):
        cached = CachedPrompts()
        for call in range(1, 30):
            cached.answered(FIRST, 1000 * call, 100, reported)
        assert cached.expected(FIRST, 30_000) == 0


def test_some_of_a_prompt_is_always_computed() -> None:
    cached = CachedPrompts()
    for _ in range(100):
        cached.answered(FIRST, 100_000, 100, 100_000)
    assert cached.expected(FIRST, 50) < 50
