"""What is kept of a prompt."""

import msgspec
import numpy as np

from headway.prediction.learning.logged import LoggedPrompt, features_of, logged_features
from headway.prediction.texts.buckets import BUCKETS
from headway.prediction.texts.features import FeatureMaker
from headway.prediction.texts.prompt import Prompt


def prompt(text: str) -> LoggedPrompt:
    messages = [{"role": "user", "content": text}]
    return LoggedPrompt("chat", {"messages": msgspec.Raw(msgspec.json.encode(messages))})


def logged(text: str) -> tuple[int, ...]:
    (features,) = logged_features([prompt(text)])
    return features


def test_the_features_come_back_and_the_order_of_words_does_not() -> None:
    texts = ["Write TEN lines about whales.", "Why?"]
    features, rows = features_of([logged(text) for text in texts])
    made = FeatureMaker().of([Prompt(text) for text in texts])
    assert rows == [0, 1]
    assert np.allclose(features.dense, made.dense, atol=0.01)
    assert features.buckets.lists() == made.buckets.lists()


def test_rows_of_other_versions_and_damaged_ones_are_left_out() -> None:
    good = logged("Hello")
    features, rows = features_of([(), (1, 2, 3), good, (0, *good[1:]), good[:50]])
    assert (rows, len(features)) == ([2], 1)
    wrong_buckets = [(*good[:-1], bucket) for bucket in (-1, BUCKETS, 2**70)]
    assert features_of([*wrong_buckets, good])[1] == [3]
    assert len(features_of([])[0]) == 0


def test_a_prompt_of_token_ids_or_no_prompt_is_accepted() -> None:
    ids = LoggedPrompt("completion", {"prompt": msgspec.Raw(b"[1,2,3]")})
    assert all(logged_features([ids, LoggedPrompt("completion", {})]))


def test_logged_features_do_not_depend_on_the_batch() -> None:
    texts = [
        *("Write TEN lines about whales.", "", "Why?", "Why? " * 300, "日本語で三つ教えて。"),
        *(f"Give {n} reasons for {n * 7919} things,\nand {n}." for n in range(150)),
    ]
    assert logged_features(list(map(prompt, texts))) == list(map(logged, texts))
    assert logged_features([]) == []
