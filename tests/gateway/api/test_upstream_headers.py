from __future__ import annotations

from headway.gateway.api.upstream_headers import passed_on


def test_what_clients_need_is_passed_on_and_nothing_else() -> None:
    sent = {
        "retry-after": "7",
        "X-RateLimit-Remaining-Requests": "3",
        "OpenAI-Organization": "acme",
        "X-Request-Id": "theirs",
        "x-should-retry": "false",
        "Set-Cookie": "a=b",
        "Server": "theirs",
        "Content-Length": "3",
        "x-ratelimit-long": "x" * 2000,
    }
    assert passed_on(sent) == {
        "Retry-After": "7",
        "x-ratelimit-remaining-requests": "3",
        "openai-organization": "acme",
        "x-headway-upstream-request-id": "theirs",
        "x-should-retry": "false",
    }
