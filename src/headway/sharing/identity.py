"""Which backends of several gateways are one and the same."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from headway.loopback import is_loopback

_PORTS = {"http": 80, "https": 443}


def shared_name(url: str) -> str:
    """What gateways know the backend at `url` by: its address, whatever they call it.

    An address of this machine alone has the machine's name beside it. Its usual ones (`localhost`,
    `127.0.0.1`, `::1`) are one.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    host = "127.0.0.1" if host in ("localhost", "::1") else host
    port = parts.port or _PORTS.get(parts.scheme, 0)
    path = re.sub("/+", "/", parts.path).rstrip("/") or "/v1"
    address = f"{host}:{port}{path}"
    return f"{socket.gethostname()}/{address}" if is_loopback(host) else address
