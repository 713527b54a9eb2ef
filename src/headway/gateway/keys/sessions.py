"""Sessions of browsers: a key signs in once, and a cookie stands for it.

Only a hash of the cookie is kept, and in memory only: a restart signs everybody out. A key that is
revoked takes its sessions with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from headway.gateway.api.errors import ApiError
from headway.gateway.keys.keys import READS, Caller, KeyRing, hash_key

COOKIE = "headway_session"
CSRF = "x-csrf-token"
"""Header with the session's token: other sites can make a browser send the cookie, but not this."""
LASTS_S = 12 * 3600.0
MOST = 1000
"""Sessions at once: the oldest ends when another begins."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has signed in."""

    key_sha256: str
    csrf: str
    """The token that it sends with everything that is not merely read."""
    ends_s: float


class Sessions:
    """All sessions of one gateway.

    Args:
        keys: the known API keys.
        clock: returns seconds; never goes backwards.
    """

    def __init__(self, keys: KeyRing, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        """By the hash of their cookie, the oldest first."""

    @property
    def possible(self) -> bool:
        """Whether there is any key that could sign in."""
        return not self._keys.empty

    def begin(self, key: str) -> str:
        """Sign in with an API key; return the value of the cookie.

        Raises:
            ApiError: 401: the key is unknown; 403: there are no keys.
        """
        if not self.possible:
            raise ApiError(
                403,
                "This gateway has no API keys; make one with `headway key new NAME`.",
                type="permission_error",
                code="no_keys",
            )
        self._keys.caller({"authorization": f"Bearer {key}"})
        cookie = secrets.token_urlsafe(32)
        session = Session(hash_key(key), secrets.token_urlsafe(32), self._clock() + LASTS_S)
        while len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_hash(cookie)] = session
        return cookie

    def end(self, headers: Mapping[str, str]) -> None:
        """Sign out."""
        self._sessions.pop(_hash(_cookie(headers)), None)

    def of(self, headers: Mapping[str, str]) -> Session | None:
        """The session whose cookie is in these headers; None if there is none, or it has ended."""
        cookie = _cookie(headers)
        session = self._sessions.get(_hash(cookie)) if cookie else None
        if session is None:
            return None
        if session.ends_s <= self._clock() or self._keys.known(session.key_sha256) is None:
            self.end(headers)
            return None
        return session

    def caller(self, method: str, headers: Mapping[str, str]) -> Caller | None:
        """The key of the session in these headers; None if there is no session.

        Raises:
            ApiError: 403: something is to be changed, and the session's token is missing.
        """
        session = self.of(headers)
        if session is None:
            return None
        token = headers.get(CSRF, "")
        if method not in READS and not secrets.compare_digest(
            token.encode(), session.csrf.encode()
        ):
            raise ApiError(
                403,
                f"The header {CSRF} is missing or stale; load the page again.",
                type="permission_error",
                code="csrf",
            )
        return self._keys.known(session.key_sha256)


def _cookie(headers: Mapping[str, str]) -> str:
    """The value of our cookie; other cookies of the same host may be malformed."""
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _hash(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "surrogateescape")).hexdigest()
