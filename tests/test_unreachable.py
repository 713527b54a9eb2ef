"""Why a server does not answer, without its address."""

from __future__ import annotations

import socket
from email.message import Message
from urllib.error import HTTPError, URLError

import pytest

from headway.unreachable import why_unreachable


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (URLError(ConnectionRefusedError(111, "Connection refused")), "connection refused"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), …"),
            "connection refused",
        ),
        (URLError(socket.gaierror(-2, "Name or service not known")), "there is no host of that"),
        (TimeoutError(), "no answer in time"),
        (HTTPError("http://a", 404, "Not Found", Message(), None), "it answers 404 Not Found"),
        (ValueError("not JSON"), "not JSON"),
        (ValueError(), "ValueError"),
    ],
)
def test_it_is_the_reason_alone(error: Exception, says: str) -> None:
    assert why_unreachable(error).startswith(says)
