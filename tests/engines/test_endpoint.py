"""Endpoint: which URLs a backend is asked at, and with which credentials."""

from __future__ import annotations

from base64 import b64decode

import pytest

from headway.engines.endpoint import Endpoint


@pytest.mark.parametrize(
    ("url", "chat", "health"),
    [
        ("http://gpu:8000", "http://gpu:8000/v1/chat/completions", "http://gpu:8000/health"),
        ("http://gpu:8000/", "http://gpu:8000/v1/chat/completions", "http://gpu:8000/health"),
        ("http://gpu:8000/v1", "http://gpu:8000/v1/chat/completions", "http://gpu:8000/health"),
        ("http://gpu:8000/v1/", "http://gpu:8000/v1/chat/completions", "http://gpu:8000/health"),
        (
            "https://host/api/paas/v4",
            "https://host/api/paas/v4/chat/completions",
            "https://host/api/paas/health",
        ),
        (
            "https://host/v1beta/openai",
            "https://host/v1beta/openai/chat/completions",
            "https://host/v1beta/openai/health",
        ),
        ("https://host/llama", "https://host/llama/chat/completions", "https://host/llama/health"),
        ("https://host/v1beta", "https://host/v1beta/chat/completions", "https://host/health"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1/chat/completions", "http://[::1]:80/health"),
        (
            "https://host/openai?api-version=7",
            "https://host/openai/chat/completions?api-version=7",
            "https://host/openai/health?api-version=7",
        ),
    ],
)
def test_a_base_url_is_taken_as_it_is(url: str, chat: str, health: str) -> None:
    endpoint = Endpoint("b", url)
    assert endpoint.address("chat/completions") == chat
    assert endpoint.address("/health") == health


def test_a_password_in_the_url_is_sent_and_never_shown() -> None:
    endpoint = Endpoint("b", "http://user:s%40cret@host:1/v1")
    assert endpoint.url == "http://host:1/v1"
    assert "cret" not in repr(endpoint) + endpoint.address("models")
    assert endpoint.authorization is not None
    kind, _, credentials = endpoint.authorization.partition(" ")
    assert kind == "Basic" and b64decode(credentials) == b"user:s@cret"


def test_an_api_key_is_sent_and_never_shown() -> None:
    endpoint = Endpoint("b", "http://host", api_key="secret")
    assert endpoint.authorization == "Bearer secret"
    assert "secret" not in repr(endpoint)
    assert Endpoint("b", "http://host").authorization is None
