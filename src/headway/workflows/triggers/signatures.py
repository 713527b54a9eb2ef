"""Signatures of webhooks, ours and others': as standardwebhooks.com says, and as GitHub signs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

TOLERANCE_S = 300.0
"""Between the time in a signature and the clock: an older message is a replay."""


class WrongSignature(Exception):
    """A message whose sender is not who it should be; says why."""


def secret_bytes(secret: str) -> bytes:
    """The bytes of a secret: `whsec_` and base64, or any other text as it is."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ValueError("the secret begins with whsec_, but is no base64") from None
    return secret.encode()


def signed(secret: str, id_: str, now: float, body: bytes) -> dict[str, str]:
    """The headers that sign a message, as standardwebhooks.com says."""
    stamp = str(int(now))
    return {
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{_digest(secret, id_, stamp, body)}",
    }


def verified(secret: str, headers: Mapping[str, str], now: float, body: bytes) -> str:
    """The id of a signed message; `headers` are found in any case.

    Raises:
        WrongSignature: it is not signed, with another secret, or too long ago.
    """
    github = headers.get("x-hub-signature-256")
    if github is not None:
        return _github(secret, headers, github, body)
    try:
        id_, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        signatures = headers["webhook-signature"].split()
    except KeyError as missing:
        raise WrongSignature(
            f"the header {missing.args[0]} is missing; sign as standardwebhooks.com says"
        ) from None
    if not stamp.isdecimal() or len(stamp) > 15:
        raise WrongSignature("webhook-timestamp has to be seconds since 1970")
    if abs(now - int(stamp)) > TOLERANCE_S:
        raise WrongSignature("the message was signed more than five minutes ago: send it anew")
    expected = _digest(secret, id_, stamp, body)
    if not any(hmac.compare_digest(f"v1,{expected}".encode(), _bytes(one)) for one in signatures):
        raise WrongSignature("the signature is wrong: another secret, or a changed body")
    return id_


def _github(secret: str, headers: Mapping[str, str], signature: str, body: bytes) -> str:
    expected = hmac.new(secret_bytes(secret), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"sha256={expected}".encode(), _bytes(signature)):
        raise WrongSignature("the signature is wrong: another secret, or a changed body")
    if not headers.get("x-github-delivery"):
        raise WrongSignature("the header x-github-delivery is missing")
    return headers["x-github-delivery"]


def _bytes(header: str) -> bytes:
    return header.encode(errors="surrogateescape")


def _digest(secret: str, id_: str, stamp: str, body: bytes) -> str:
    message = _bytes(f"{id_}.{stamp}.") + body
    return base64.b64encode(
        hmac.new(secret_bytes(secret), message, hashlib.sha256).digest()
    ).decode()
