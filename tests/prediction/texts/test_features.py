"""Prompts as numbers."""

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.texts.buckets import BUCKETS
from headway.prediction.texts.features import READ_AT_ONCE, FeatureMaker, fingerprint
from headway.prediction.texts.lexical import NAMES
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.words import FIRST_WORDS, LAST_WORDS, without_middle, words_of


def numbers(text: str, **facts: object) -> dict[str, float]:
    maker = FeatureMaker()
    row = maker.of([Prompt(text, **facts)]).dense[0]  # type: ignore[arg-type]
    return dict(zip(maker.names, row.tolist(), strict=True))


def test_features_are_what_they_were_when_the_shipped_predictor_learned_them() -> None:
    """If you change them on purpose, change the fingerprint and retrain what ships."""
    text = (
        "Explain, step by step: why do 3 birds sing at dawn? Write FIVE short paragraphs and a "
        'list\nof 12 tips, in JSON, "quoted" (at most 250 words); also fix `x = a*b + c/d` in '
        "Python. Привет! "
    )
    beside = {
        "system": "Be brief.",
        "turns": 3,
        "previous_chars": 77,
        "max_tokens": 300,
        "stops": 2,
    }
    long = Prompt(text * 40, **beside, temperature=0.5, tools=2, structured=True)
    features = FeatureMaker().of([Prompt(text), long])
    rounded = np.round(features.dense * 64.0).astype(int).tolist()
    seen = crc32(repr((rounded, features.buckets.lists())).encode())
    assert (fingerprint(), seen) == ("43053b6f-64", 3312347726)


def test_it_finds_what_a_number_counts() -> None:
    asked = numbers("Write three short paragraphs and 10 tips, at most 250 words.")
    assert asked["asked_paragraphs"] == pytest.approx(np.log1p(3))
    assert asked["asked_items"] == pytest.approx(np.log1p(10))
    assert asked["asked_words"] == pytest.approx(np.log1p(250))
    assert asked["asked_sentences"] == 0.0


def test_kinds_of_words_are_counted_in_the_whole_prompt_and_at_its_start() -> None:
    late = numbers("a " * 30 + "essay")
    assert (late["prose_words"] > 0.0, late["prose_at_start"]) == (True, 0.0)


def test_parameters_of_the_request_count_too() -> None:
    assert numbers("Hi", max_tokens=20)["limit"] > 0.0 == numbers("Hi")["limit"]
    assert numbers("Hi", structured=True)["structured"] == 1.0
    assert numbers("Hi", stops=2)["stops"] > numbers("Hi", stops=1)["stops"] > 0.0


def test_a_template_is_left_out_and_kept_with_the_maker() -> None:
    prompts = [Prompt(f"How many are {n} times 7?\nAnswer as JSON.") for n in range(100)]
    learned, plain = FeatureMaker.learned_from(prompts), FeatureMaker()
    own = [Prompt(prompt.text.split("\n")[0]) for prompt in prompts]
    assert np.array_equal(learned.of(prompts).dense, plain.of(own).dense)
    restored = FeatureMaker.from_state(learned.state())
    assert np.array_equal(restored.of(prompts).dense, learned.of(prompts).dense)


def test_a_long_text_without_its_middle_has_the_same_words() -> None:
    text = "List ten " + "whales " * 5000 + "and five tips."
    assert len(without_middle(text)) < 3000
    assert words_of(without_middle(text)) == words_of(text)


def test_the_beginning_and_the_end_of_a_huge_prompt_are_read() -> None:
    words = words_of("first " + "middle " * 2_000_000 + "last")
    assert (words[0], words[-1]) == ("first", "last")
    assert len(words) <= FIRST_WORDS + LAST_WORDS


@given(st.text())
def test_any_text_has_finite_features(text) -> None:
    features = FeatureMaker().of([Prompt(text)])
    assert features.dense.shape == (1, len(FeatureMaker().names))
    assert features.dense.shape[1] > len(NAMES)
    assert np.isfinite(features.dense).all()
    assert all(0 <= bucket < BUCKETS for bucket in features.buckets.lists()[0])


def test_features_do_not_depend_on_the_batch() -> None:
    """What is read beside it says nothing of a prompt, not even a number at the end of the one
    before it."""
    prompts = [Prompt(text) for text in ("Name 5", "words for snow", "", "_", "List 10 tips")]
    maker = FeatureMaker()
    together = maker.of(prompts * READ_AT_ONCE)
    for number, prompt in enumerate(prompts):
        alone = maker.of([prompt])
        at = len(together) - len(prompts) + number
        assert np.allclose(together.dense[at], alone.dense[0], atol=1e-6)
        assert together.rows(slice(at, at + 1)).buckets.lists() == alone.buckets.lists()
