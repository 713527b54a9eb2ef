"""Who may ask, how much and how urgently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from math import ceil

from headway.core.request import Tier
from headway.gateway.api.errors import ApiError
from headway.gateway.keys.rate_limit import Reservation, TokenBucket
from headway.gateway.settings import ApiKey


def hash_key(key: str) -> str:
    """What the configuration keeps of an API key."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Admission:
    """What one admitted request holds of its key's rates until it ends."""

    __slots__ = ("_requests", "_tokens")

    def __init__(self, requests: Reservation | None, tokens: Reservation | None) -> None:
        self._requests = requests
        self._tokens = tokens

    def settle(self, tokens: float, now_s: float) -> None:
        """The request used `tokens`, prompt and output together; a second call does nothing."""
        self._end(1.0, tokens, now_s)

    def withdraw(self, now_s: float) -> None:
        """The request was turned away: it does not count at all."""
        self._end(0.0, 0.0, now_s)

    def _end(self, requests: float, tokens: float, now_s: float) -> None:
        if self._requests is not None:
            self._requests.settle(requests, now_s)
        if self._tokens is not None:
            self._tokens.settle(tokens, now_s)
        self._requests = self._tokens = None


class Caller:
    """A known API key and what it has used."""

    def __init__(self, key: ApiKey, now_s: float) -> None:
        self.name = key.name
        self.tenant = key.tenant or key.name
        self.may_name_tenants = key.may_name_tenants
        self.admin = key.admin
        self.max_tier = key.max_tier
        self._requests = _bucket(key.requests_per_minute, now_s)
        self._tokens = _bucket(key.tokens_per_minute, now_s)

    def admit(self, tokens: float, now_s: float) -> Admission:
        """Let one request in that is predicted to use `tokens`, which are reserved for it.

        The caller of this must `settle` or `withdraw` what it returns.

        Raises:
            ApiError: 429 when it is over its rate; Retry-After says when there is room.
        """
        waits = [
            (bucket.wait_s(amount, now_s), unit)
            for bucket, amount, unit in (
                (self._requests, 1.0, "requests"),
                (self._tokens, tokens, "tokens"),
            )
            if bucket is not None
        ]
        wait_s, unit = max(waits, default=(0.0, ""))
        if wait_s > 0.0:
            retry_after_s = max(1, ceil(wait_s))
            raise ApiError(
                429,
                f"Key {self.name!r} is over its {unit} per minute; try again in {retry_after_s} s.",
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"Retry-After": str(retry_after_s)},
            )
        return Admission(
            self._requests.reserve(1.0, now_s) if self._requests else None,
            self._tokens.reserve(tokens, now_s) if self._tokens else None,
        )

    def ceiling(self, tier: Tier) -> Tier:
        """`tier`, or the best one this key may use."""
        return tier if self.max_tier is None else max(tier, self.max_tier)

    def sees(self, tenant: str) -> bool:
        """Whether it may look at the requests of `tenant`."""
        return self.admin or tenant == self.tenant


class KeyRing:
    """All keys by their hash. Without any, the gateway is open."""

    def __init__(self, keys: Iterable[ApiKey], now_s: float) -> None:
        self._callers = {key.sha256.lower(): Caller(key, now_s) for key in keys}

    def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Who sends these headers; None where the gateway is open.

        The key is in `Authorization: Bearer KEY` or in `x-api-key: KEY`, as clients of Anthropic's
        API send it. Nothing but the headers is looked at, so that a stranger's body is never read.

        Args:
            headers: looked up by names in lower case.

        Raises:
            ApiError: 401 when there are keys and this is none of them, or two different ones.
        """
        if not self._callers:
            return None
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        other = headers.get("x-api-key", "").strip()
        if bearer and other and bearer != other:
            raise _unauthorized("Authorization and x-api-key hold different keys; send one.")
        key = bearer or other
        if not key:
            raise _unauthorized("No API key: send it as 'Authorization: Bearer KEY'.")
        # Looked up by its hash, so the time this takes says nothing about the keys themselves.
        caller = self._callers.get(hash_key(key))
        if caller is None:
            raise _unauthorized("This API key is not known here; check it with the operator.")
        return caller


def must_be_admin(caller: Caller | None) -> None:
    """For what only operators may do. An open gateway does not know who they are: all may.

    Raises:
        ApiError: 403 when the key is no admin's.
    """
    if caller is not None and not caller.admin:
        raise ApiError(
            403,
            f"Key {caller.name!r} may not do this; use a key with `admin: true`.",
            type="permission_error",
            code="admin_only",
        )


def _bucket(per_minute: float | None, now_s: float) -> TokenBucket | None:
    return TokenBucket(per_minute, now_s) if per_minute else None


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
