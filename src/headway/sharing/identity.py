"""Which backends of several gateways are one and the same."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from headway.loopback import is_loopback

_PORTS = {"http": 80, "https": 443}


def shared_name(url: str) -> str:
    """What gateways know the backend at `url` by: its address, whatever they call it.

    An address of this machine alone has the machine's name beside it.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = parts.port or _PORTS.get(parts.scheme, 0)
    address = f"{host}:{port}{parts.path.rstrip('/') or '/v1'}"
    return f"{socket.gethostname()}/{address}" if is_loopback(host) else address
