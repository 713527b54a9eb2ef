"""What is kept of a prompt."""

import msgspec

from headway.prediction.hashed_words import BUCKETS, HASHED_WORDS, prompt_features


def features_of(text: str) -> tuple[int, ...]:
    messages = [{"role": "user", "content": text}]
    return prompt_features("chat", {"messages": msgspec.Raw(msgspec.json.encode(messages))})


def test_equal_words_have_equal_hashes_whatever_their_case() -> None:
    assert features_of("Write TEN lines") == features_of("write ten Lines")
    assert features_of("write ten lines") != features_of("write two lines")


def test_no_more_is_kept_than_the_end_of_a_long_prompt() -> None:
    hashes = features_of("word " * 10_000)
    assert len(hashes) == HASHED_WORDS
    assert all(0 <= one < BUCKETS for one in hashes)


def test_a_prompt_of_token_ids_or_none_at_all_is_fine() -> None:
    assert len(prompt_features("completion", {"prompt": msgspec.Raw(b"[1,2,3]")})) == 3
    assert prompt_features("completion", {}) == ()
