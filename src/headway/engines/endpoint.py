"""The address of a backend, and its settings."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

_VERSION = re.compile(r"/v\d[^/]*$")
"""The version at the end of a path such as `/api/paas/v4`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI-compatible server, as configured."""

    name: str
    url: str
    """The base URL of its API; without a path, `/v1` is added. A user and password in it move to
    `authorization`, so that the URL can be printed."""
    api_key: str | None = field(default=None, repr=False)
    max_concurrency: int | None = None
    """Maximum requests in flight; None: the slots that it reports, else an adaptive limit."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Its own model names by the names offered to clients; replaces its own list of models."""
    inputs: frozenset[str] | None = None
    """What its models take beside text, `image` or `audio`; None: what it reports."""
    first_byte_timeout_s: float | None = None
    """Longest time to the start of an answer; None: learned."""
    idle_timeout_s: float | None = None
    """Longest time without data within an answer; None: learned."""
    authorization: str | None = field(default=None, init=False, repr=False)
    """The value of the Authorization header to send, if any."""

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        credentials, _, host = url.netloc.rpartition("@")
        if self.api_key:
            object.__setattr__(self, "authorization", f"Bearer {self.api_key}")
        elif credentials:
            basic = b64encode(unquote(credentials).encode()).decode()
            object.__setattr__(self, "authorization", f"Basic {basic}")
        object.__setattr__(self, "url", url._replace(netloc=host).geturl())

    @property
    def access(self) -> tuple[object, ...]:
        """All that its client depends on: another one is needed where this differs."""
        return self.url, self.authorization, dict(self.models), self.inputs

    @property
    def timeouts_s(self) -> tuple[float | None, float | None]:
        """Longest time to the start of an answer, and without data within it; None: learned."""
        return self.first_byte_timeout_s, self.idle_timeout_s

    def address(self, path: str) -> str:
        """The URL of `path` on this server.

        A path without a leading slash belongs to the OpenAI API and is appended to the base URL
        (`chat/completions`). One with a leading slash is the server's own (`/health`); it replaces
        the version at the end of the base URL.
        """
        url = urlsplit(self.url)
        base = url.path.rstrip("/")
        if path.startswith("/"):
            return _at(url, _VERSION.sub("", base) + path)
        return _at(url, f"{base or '/v1'}/{path}")


def _at(url: SplitResult, path: str) -> str:
    return url._replace(path=path, fragment="").geturl()
