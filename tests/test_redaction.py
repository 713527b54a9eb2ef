"""What is hidden of a text before anybody sees it."""

from __future__ import annotations

import time

import pytest

from headway.redaction import is_secret, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ann:s3cret@gpu:8000/v1", "http://***@gpu:8000/v1"),
        ("http://s3cret@gpu:8000/v1", "http://***@gpu:8000/v1"),
        ("http://ann:s3/c@ret@gpu:8000/v1", "http://***@gpu:8000/v1"),
        ("'htps://ann:s3cret@gpu' is no URL", "'htps://***@gpu' is no URL"),
        ("there is no htps:/ann:s3cret@gpu/m", "there is no htps:/***@gpu/m"),
        ("ann:s3cret@gpu:8000", "***@gpu:8000"),
        ("b0 (http://a:s3cret@x/): gone; b1 (http://b:s3cret@y/): gone",
         "b0 (http://***@x/): gone; b1 (http://***@y/): gone"),
        ("https://api/v1?api_key=s3cret&model=m", "https://api/v1?api_key=***&model=m"),
        ("https://api/v1?model=m&access_token=s3cret#x", "https://api/v1?model=m&access_token=***#x"),
        ("https://api/v1?X-Amz-Signature=s3cret", "https://api/v1?X-Amz-Signature=***"),
    ],
)  # fmt: skip
def test_secrets_in_urls_are_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://gpu:8000/v1",
        "http://gpu:8000/@scope/model",
        "http://gpu/@scope/model",
        "http://[::1]:8000/v1",
        "https://api/v1?model=a@b",
        "max_tokens=5, at 10:30",
        "write to ann@example.org",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert masked(text) == text


def test_secrets_are_known_by_their_names() -> None:
    assert all(map(is_secret, ("api_key", "sha256", "password", "client_secret", "hf_token")))
    assert not any(map(is_secret, ("keys", "context_tokens", "tokens_per_minute", "url")))


@pytest.mark.parametrize("part", ["a:", "//a:", "?key", "key", "//", ":/"])
def test_a_long_text_is_read_in_little_time(part: str) -> None:
    began_s = time.process_time()
    masked("@ = ?" + part * 50_000)
    assert time.process_time() - began_s < 2.0
