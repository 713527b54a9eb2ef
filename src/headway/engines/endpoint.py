"""Where a backend is and how the operator wants it used."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

_VERSION = re.compile(r"/v\d[^/]*$")
"""The end of a path such as `/api/paas/v4`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI-compatible server, as configured."""

    name: str
    url: str
    """The base URL of its API; one without a path means `/v1`. A user and password in it become
    `authorization`, so that this can be shown to everybody."""
    api_key: str | None = field(default=None, repr=False)
    max_concurrency: int | None = None
    """Requests to keep in flight there; None: the slots it reports, else an adaptive limit."""
    models: Mapping[str, str] = field(default_factory=dict)
    """What clients call its models -> its own names of them, to offer instead of what it lists."""
    first_byte_timeout_s: float | None = None
    """An answer must have begun after this time; None: learned."""
    idle_timeout_s: float | None = None
    """Longest time between two parts of an answer; None: learned."""
    authorization: str | None = field(default=None, init=False, repr=False)
    """The header of this name to send, if any."""

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        credentials, _, host = url.netloc.rpartition("@")
        if self.api_key:
            object.__setattr__(self, "authorization", f"Bearer {self.api_key}")
        elif credentials:
            basic = b64encode(unquote(credentials).encode()).decode()
            object.__setattr__(self, "authorization", f"Basic {basic}")
        object.__setattr__(self, "url", url._replace(netloc=host).geturl())

    def address(self, path: str) -> str:
        """The URL of `path` there.

        A path without a leading slash is a part of the OpenAI API and hangs at the base URL
        (`chat/completions`); one with it is the server's own (`/health`) and hangs before the
        version that ends the base URL's path.
        """
        url = urlsplit(self.url)
        base = url.path.rstrip("/")
        if path.startswith("/"):
            return _at(url, _VERSION.sub("", base) + path)
        return _at(url, f"{base or '/v1'}/{path}")


def _at(url: SplitResult, path: str) -> str:
    return url._replace(path=path, fragment="").geturl()
