"""API keys: whose they are, what they may do, and how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from math import ceil

from headway.core.request import Tier
from headway.gateway.api.errors import ApiError
from headway.gateway.keys.budget import Amount
from headway.gateway.keys.budget import Reservation as OfBudgets
from headway.gateway.keys.rate_limit import Reservation, TokenBucket
from headway.gateway.settings import ApiKey

READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


def hash_key(key: str) -> str:
    """The hash of an API key, as in the configuration."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Admission:
    """What one request has reserved of its key's rates and of budgets, until it ends."""

    __slots__ = ("_budgets", "_requests", "_tokens")

    def __init__(
        self,
        requests: Reservation | None,
        tokens: Reservation | None,
        budgets: OfBudgets | None = None,
    ) -> None:
        self._requests = requests
        self._tokens = tokens
        self._budgets = budgets

    def settle(self, tokens: float, now_s: float, cost: float | None = None) -> None:
        """The request used `tokens` (prompt and output). A second call has no effect.

        Args:
            tokens: that it used.
            now_s: the current time.
            cost: what it cost; None: it has no price.
        """
        if self._budgets is not None:
            self._budgets.settle(Amount(tokens, cost))
        self._end(1.0, tokens, now_s)

    def withdraw(self, now_s: float) -> None:
        """The request was rejected: it does not count."""
        if self._budgets is not None:
            self._budgets.withdraw()
        self._end(0.0, 0.0, now_s)

    def _end(self, requests: float, tokens: float, now_s: float) -> None:
        if self._requests is not None:
            self._requests.settle(requests, now_s)
        if self._tokens is not None:
            self._tokens.settle(tokens, now_s)
        self._requests = self._tokens = None


class Caller:
    """A known API key and its use."""

    def __init__(self, key: ApiKey, now_s: float) -> None:
        self.key = key
        self.name = key.name
        self.tenant = key.tenant or key.name
        self.may_name_tenants = key.may_name_tenants
        self.admin = key.admin
        self.read_only = key.read_only
        self.max_tier = key.max_tier
        self._requests = _bucket(key.requests_per_minute, now_s)
        self._tokens = _bucket(key.tokens_per_minute, now_s)

    def admit(self, tokens: float, now_s: float, budgets: OfBudgets | None = None) -> Admission:
        """Admit one request and reserve its predicted `tokens`.

        The result must be settled or withdrawn, and with it what is reserved of `budgets`.

        Raises:
            ApiError: 429 if the key is over its rate; Retry-After says when to retry.
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
            budgets,
        )

    def ceiling(self, tier: Tier) -> Tier:
        """`tier`, or the best tier that this key may use if `tier` is better."""
        return tier if self.max_tier is None else max(tier, self.max_tier)

    def sees(self, tenant: str) -> bool:
        """Whether this key may see the requests of `tenant`."""
        return self.admin or tenant == self.tenant


class KeyRing:
    """All keys. Without any, the gateway is open to everybody."""

    def __init__(self, keys: Iterable[ApiKey], now_s: float) -> None:
        self._callers: dict[str, Caller] = {}
        self.replace(keys, now_s)

    def replace(self, keys: Iterable[ApiKey], now_s: float) -> None:
        """Know these keys from now on; one that did not change keeps what it has used."""
        known = self._callers
        self._callers = {}
        for key in keys:
            caller = known.get(key.sha256.lower())
            if caller is None or caller.key != key:
                caller = Caller(key, now_s)
            self._callers[key.sha256.lower()] = caller

    @property
    def empty(self) -> bool:
        """Whether there is no key, so that the gateway is open to everybody."""
        return not self._callers

    def known(self, key_sha256: str) -> Caller | None:
        """The key with that hash; None: there is none, or it was revoked."""
        return self._callers.get(key_sha256)

    def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """The key that is in these headers; None if the gateway is open.

        The key is in `Authorization: Bearer KEY`, or in `x-api-key: KEY` as clients of Anthropic's
        API send it. Only headers are needed, so the body of an unknown client is never read.

        Args:
            headers: looked up by lower-case names.

        Raises:
            ApiError: 401 if the key is missing or unknown, or there are two different ones.
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
        # Looked up by its hash, so that the time this takes reveals nothing about the keys.
        caller = self._callers.get(hash_key(key))
        if caller is None:
            raise _unauthorized("This API key is unknown; check it with the operator.")
        return caller


def who(caller: Caller | None) -> str:
    """Whoever asks, in lines of the log."""
    return "somebody on this machine" if caller is None else f"key {caller.name}"


def must_be_admin(caller: Caller | None) -> None:
    """Check that the caller is an operator. In an open gateway everybody is.

    Raises:
        ApiError: 403 if the key is not an admin's.
    """
    if caller is not None and not caller.admin:
        raise ApiError(
            403,
            f"Key {caller.name!r} may not do this; use a key with `admin: true`.",
            type="permission_error",
            code="admin_only",
        )


def must_only_read(caller: Caller | None, method: str) -> None:
    """Check that a key with `read_only` changes nothing and asks for no work.

    Raises:
        ApiError: 403 if it does.
    """
    if caller is not None and caller.read_only and method not in READS:
        raise ApiError(
            403,
            f"Key {caller.name!r} may only look; use a key without `read_only`.",
            type="permission_error",
            code="read_only",
        )


def _bucket(per_minute: float | None, now_s: float) -> TokenBucket | None:
    return TokenBucket(per_minute, now_s) if per_minute else None


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
