"""Why a server does not answer, in words that do not repeat its address."""

from __future__ import annotations

import os
import re
import socket
from urllib.error import HTTPError


def why_unreachable(error: BaseException) -> str:
    """The reason in an error of aiohttp, urllib or a socket, which quote the address in theirs."""
    if isinstance(error, HTTPError):
        return f"it answers {error.code} {error.reason}"
    inner = getattr(error, "os_error", None) or getattr(error, "reason", None)
    if isinstance(inner, BaseException):
        error = inner
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "there is no host of that name"
    number = re.search(r"\[Errno (\d+)\]", str(error))
    if isinstance(error, OSError) and number is not None and "SSL" not in str(error):
        return os.strerror(int(number[1])).lower()
    return str(error) or type(error).__name__
