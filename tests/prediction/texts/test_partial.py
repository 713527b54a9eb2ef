"""An unfinished answer as numbers."""

import pytest

from headway.prediction.texts.partial import NAMES, partial


def described(text: str, output_tokens: int = 40, asked_items: float = 0.0) -> dict[str, float]:
    return dict(zip(NAMES, partial(text, output_tokens, asked_items), strict=True))


def test_list_items_are_counted_and_those_left_are_known() -> None:
    text = "Here are ten tips:\n1. Sleep.\n2. Eat.\n3. Wal"
    found = described(text, asked_items=10.0)
    assert found["items_left"] == 7.0
    assert found["in_item"] == 1.0
    assert found["last_number"] == described("3) Walk")["last_number"] > 0.0


def test_an_open_code_fence_means_code() -> None:
    assert described("See:\n```python\nfor x in y:\n")["in_code"] == 1.0
    assert described("See:\n```python\nfor x in y:\n```\n")["in_code"] == 0.0


@pytest.mark.parametrize(
    "text", ["In conclusion, bees matter.", "I hope this helps!", "Best regards,"]
)
def test_closing_words(text: str) -> None:
    assert described("Once. " * 100 + text)["closed"] == 1.0
    assert described(text + " Once." * 100)["closed"] == 0.0


def test_a_loop_shows() -> None:
    assert described("The end is near.\n" * 20)["repetition"] > 2.0
    assert described("\n".join(f"Line {n} says {n * n}." for n in range(20)))["repetition"] == 0.0


@pytest.mark.parametrize("text", ["", "\n", "x" * 100_000, "\ud800", "1." * 50_000])
def test_any_text_has_numbers(text: str) -> None:
    assert len(partial(text, 0, 0.0)) == len(NAMES)
