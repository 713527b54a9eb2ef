"""What a request did, one stretch after another, as far as it is known."""

from __future__ import annotations

import pytest
from tests.store.history.rows import record

from headway.store.history.life import Life, Run, Stretch, stretches

STREAMED = Life("chat/completions", stream=True)
WHOLE = Life("chat/completions", whole=True)


def told(parts: list[Stretch]) -> list[tuple[str, float, float]]:
    return [(part.phase, part.began_ms, part.ended_ms) for part in parts]


@pytest.mark.parametrize(
    ("life", "running"),
    [
        (STREAMED, [("prefill", 5.0, 50.0), ("decode", 50.0, 500.0)]),
        (None, [("prefill", 5.0, 50.0), ("decode", 50.0, 500.0)]),
        (WHOLE, [("running", 5.0, 500.0)]),
    ],
)
def test_of_an_answer_that_comes_whole_nobody_sees_the_first_token(
    life: Life | None, running: list[tuple[str, float, float]]
) -> None:
    parts = stretches(record(1), life)
    assert told(parts) == [("queued", 0.0, 5.0), *running]
    assert (parts[-1].backend, parts[-1].output_tokens) == ("embedded", 20)


def test_nor_in_any_of_its_tries() -> None:
    tries = (Run("a", 5.0, None, 20.0, "failed", 0), Run("b", 30.0, 499.0, 500.0, "finished", 20))
    parts = stretches(record(1), Life("chat/completions", runs=tries, whole=True))
    assert told(parts) == [
        ("queued", 0.0, 5.0),
        ("running", 5.0, 20.0),
        ("stopped", 20.0, 30.0),
        ("running", 30.0, 500.0),
    ]


def test_a_model_that_answers_whole_batches_has_no_slots_to_wait_for() -> None:
    embedded = record(1, policy="", backend="", queue_ms=None, ttft_ms=None)
    assert told(stretches(embedded, None)) == [("batched", 0.0, 500.0)]


def test_what_was_refused_before_it_was_scheduled_did_nothing() -> None:
    refused = record(1, policy="", queue_ms=None, total_ms=None, outcome="rejected")
    assert stretches(refused, Life(message="No.")) == []
