"""What commands ask a gateway that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.error import URLError
from urllib.request import Request, urlopen

from headway.cli.exit import Failure
from headway.unreachable import why_unreachable

T = TypeVar("T")

TIMEOUT_S = 10.0


def asked_of(
    url: str, path: str, read: Callable[[bytes], T], *, what: str, option: str, api_key: str = ""
) -> T:
    """What `read` makes of the answer to a GET.

    Args:
        url: base URL of the gateway, with or without `/v1`.
        path: of the endpoint.
        read: reads the answer; raises ValueError if it is not one.
        what: that is asked for, for the error.
        option: that named the gateway, for the error.
        api_key: sent along; empty: none.

    Raises:
        Failure: there is no answer, or it is no gateway.
    """
    address = f"{url.rstrip('/').removesuffix('/v1')}{path}"
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with urlopen(Request(address, headers=headers), timeout=TIMEOUT_S) as answer:
            return read(answer.read())
    except (URLError, OSError, ValueError) as error:
        raise Failure(
            f"no {what} at {address}: {why_unreachable(error)}; pass the address of a gateway "
            f"with {option}"
        ) from None
