"""Who may ask, how much and how urgently."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from math import ceil

from headway.core.request import Tier
from headway.gateway.errors import ApiError
from headway.gateway.rate_limit import TokenBucket
from headway.gateway.settings import ApiKey


def hash_key(key: str) -> str:
    """What the configuration keeps of an API key."""
    return sha256(key.encode()).hexdigest()


class Caller:
    """A known API key and what it has used."""

    def __init__(self, key: ApiKey, now_s: float) -> None:
        self.name = key.name
        self.tenant = key.tenant or key.name
        self.max_tier = key.max_tier
        self._requests = _bucket(key.requests_per_minute, now_s)
        self._tokens = _bucket(key.tokens_per_minute, now_s)

    def admit(self, tokens: float, now_s: float) -> None:
        """Count one request that is predicted to cost `tokens`.

        Raises:
            ApiError: 429 with Retry-After when it is over its rate.
        """
        for bucket, amount, unit in (
            (self._requests, 1.0, "requests"),
            (self._tokens, tokens, "tokens"),
        ):
            wait_s = bucket.wait_s(amount, now_s) if bucket else 0.0
            if wait_s > 0.0:
                raise ApiError(
                    429,
                    f"Key {self.name!r} is over its {unit} per minute; "
                    f"try again in {max(1, ceil(wait_s))} s.",
                    type="rate_limit_error",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": str(max(1, ceil(wait_s)))},
                )
        if self._requests:
            self._requests.take(1.0, now_s)

    def charge(self, tokens: int, now_s: float) -> None:
        """Take what a request really cost, once that is known."""
        if self._tokens:
            self._tokens.take(tokens, now_s)

    def ceiling(self, tier: Tier) -> Tier:
        """`tier`, or the best one this key may use."""
        return tier if self.max_tier is None else max(tier, self.max_tier)


class KeyRing:
    """All keys by their hash. Without any, the gateway is open."""

    def __init__(self, keys: Iterable[ApiKey], now_s: float) -> None:
        self._callers = {key.sha256.lower(): Caller(key, now_s) for key in keys}

    def caller(self, authorization: str | None) -> Caller | None:
        """Who sends this `Authorization` header; None where the gateway is open.

        Raises:
            ApiError: 401 when there are keys and this is none of them.
        """
        if not self._callers:
            return None
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _unauthorized("No API key: send it as 'Authorization: Bearer KEY'.")
        # Looked up by its hash, so timing tells nothing about the keys themselves.
        caller = self._callers.get(hash_key(key.strip()))
        if caller is None:
            raise _unauthorized("This API key is not known here; check it with the operator.")
        return caller


def _bucket(per_minute: float | None, now_s: float) -> TokenBucket | None:
    return TokenBucket(per_minute, now_s) if per_minute else None


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
