"""What web pages may do: any page may make its browser send requests here.

A page cannot forge `Host` (the name used to reach the gateway), `Origin` (the page's own) or
`Sec-Fetch-Site`, so these decide. Clients other than browsers send no `Origin` and pass.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from headway.gateway.api.errors import ApiError
from headway.loopback import is_loopback

METHODS = "GET, HEAD, POST, OPTIONS"
REQUEST_HEADERS = "authorization, content-type, x-api-key"
"""Allowed if a preflight does not say which headers it wants."""
MAX_AGE_S = 7200
"""How long browsers may cache the answer to a preflight; this is Chrome's maximum."""
ANY = "*"

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_HOST = re.compile(r"([A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,4096}")


class Browsers:
    """The rules of one gateway for web pages.

    Args:
        bound_to: host that the gateway listens on. On loopback, only this machine's own names are
            accepted, against DNS rebinding: a page could point a name of its own here.
        hosts: further names of the gateway. If it does not listen on loopback and there are any,
            only these, loopback names and IP addresses are accepted.
        allow_origins: origins, such as `https://app.example`, whose pages may use it; `*`: all.
    """

    def __init__(
        self, bound_to: str, hosts: Collection[str] = (), allow_origins: Collection[str] = ()
    ) -> None:
        self._local = is_loopback(bound_to)
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._origins = frozenset(origin.lower() for origin in allow_origins)

    def check(self, headers: Mapping[str, str]) -> None:
        """Refuse requests that a page may not send. Called before a request is processed.

        Args:
            headers: looked up by lower-case names, here and below.

        Raises:
            ApiError: 400 if `Host` is malformed; 403 if it is not a name of this gateway, or if a
                page of another origin sent the request.
        """
        host = headers.get("host")
        if host and not _is_host(host):
            raise ApiError(
                400,
                f"This is not valid HTTP: the Host {host[:100]!r} is not HOST[:PORT].",
                code="invalid_http",
            )
        if host is not None and not self._is_ours(host):
            raise ApiError(
                403,
                f"This gateway is not called {host[:100]!r}; reach it by its own name, or add "
                "this one to `hosts`.",
                type="permission_error",
                code="host_not_allowed",
            )
        origin = headers.get("origin")
        if origin is None:
            foreign = headers.get("sec-fetch-site", "").lower() == "cross-site"
            # A followed link is harmless: its page cannot see the answer. Submitted forms carry an
            # Origin.
            followed = headers.get("sec-fetch-mode", "").lower() == "navigate"
            if not foreign or followed or ANY in self._origins:
                return
            origin = "another site"
        elif self._allows(origin) or _is_own(origin, host):
            return
        raise ApiError(
            403,
            f"Pages of {origin[:100]} may not use this gateway; add their origin to "
            "`cors.allow_origins`.",
            type="permission_error",
            code="origin_not_allowed",
        )

    def preflight(self, method: str, headers: Mapping[str, str]) -> dict[str, str] | None:
        """The headers of the answer to a preflight; None if the request is not one.

        Called after `check` and before authentication, as a preflight carries no key.
        """
        origin = headers.get("origin")
        wanted = headers.get("access-control-request-method")
        if method != "OPTIONS" or origin is None or wanted is None:
            return None
        if not self._allows(origin):
            return {}  # its own origin needs no permission
        names = headers.get("access-control-request-headers", "")
        answer = {
            **self.headers(headers),
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": (
                names if _HEADER_NAMES.fullmatch(names) else REQUEST_HEADERS
            ),
            "Access-Control-Max-Age": str(MAX_AGE_S),
            "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        }
        if headers.get("access-control-request-private-network", "").lower() == "true":
            answer["Access-Control-Allow-Private-Network"] = "true"
        return answer

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of every answer to a request with `headers`, including errors and streams."""
        if not self._origins:
            return {}
        answer = {"Vary": "Origin"}
        origin = headers.get("origin")
        if origin is not None and self._allows(origin):
            # Without credentials: the page sends its key itself, and with them `*` would not expose
            # all headers.
            answer["Access-Control-Allow-Origin"] = ANY if ANY in self._origins else origin
            answer["Access-Control-Expose-Headers"] = ANY
        return answer

    def _allows(self, origin: str) -> bool:
        return ANY in self._origins or origin.lower() in self._origins

    def _is_ours(self, host: str) -> bool:
        name, _ = _split(host, 0)
        if name in self._hosts:
            return True
        if self._local:
            return is_loopback(name)
        # A page cannot take over an IP address, and health checks use one.
        return not self._hosts or is_loopback(name) or _is_address(name)


def host_name(host: str) -> str:
    """The name in `HOST[:PORT]`; empty if it is malformed."""
    return _split(host, 0)[0]


def _is_own(origin: str, host: str | None) -> bool:
    """Whether `origin` is this gateway. Ignores the scheme: a proxy may terminate TLS."""
    scheme, separator, place = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if not separator or port is None or host is None:
        return False
    return _split(place, port) == _split(host, port)


@lru_cache(maxsize=32)
def _split(place: str, default_port: int) -> tuple[str, int]:
    """Name and port of `HOST[:PORT]`; the name is empty if it is malformed."""
    try:
        parts = urlsplit(f"//{place}")
        port = parts.port
    except ValueError:
        return "", default_port
    if "@" in place or parts.path or parts.query or parts.fragment:
        return "", default_port
    return (parts.hostname or "").rstrip("."), default_port if port is None else port


@lru_cache(maxsize=32)
def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None and _split(host, 0) != ("", 0)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
