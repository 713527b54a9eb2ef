"""Routing: which of several sites with queues of their own takes a request; it then stays there.

A router sees predictions of the work at each site, never a true length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from headway.core.request import Request

SHARED = "shared"
"""No routing: one queue for all sites; a request is placed when a slot is free."""
KINDS = f"{SHARED}, round_robin, least_requests, least_work, prefix, hexgen:ALPHA (ALPHA 0 to 1)"
REMEMBERED_PREFIXES = 100_000
"""More are forgotten, the oldest first."""
MOST_IMBALANCE = 1.5
"""Limit on the work of the site that holds a prefix, relative to the least loaded site. Routers
like SGLang's have the same default, but count requests."""


class Destination(Protocol):
    """A site, as routers see it."""

    @property
    def name(self) -> str:
        """The site's own."""
        ...

    @property
    def requests(self) -> int:
        """Requests that wait or run there."""
        ...

    def work_s(self, now_s: float) -> float:
        """Predicted time until all that waits and runs there is done, in that site's seconds."""
        ...

    def duration_s(self, request: Request) -> float:
        """Predicted service time of `request` there."""
        ...


class Router(Protocol):
    """Chooses a site once for each request."""

    def route(self, request: Request, sites: Sequence[Destination], now_s: float) -> int:
        """The index of the chosen site among `sites`, those that can take it now: at least one."""
        ...


class RoundRobin:
    """One site after the other."""

    def __init__(self) -> None:
        self._turns = -1

    def route(self, request: Request, sites: Sequence[Destination], now_s: float) -> int:
        self._turns += 1
        return self._turns % len(sites)


class LeastRequests:
    """Where the fewest requests wait and run (join the shortest queue)."""

    def route(self, request: Request, sites: Sequence[Destination], now_s: float) -> int:
        return min(range(len(sites)), key=lambda place: sites[place].requests)


class LeastWork:
    """Where the predicted work is done first; among idle sites, the fastest."""

    def route(self, request: Request, sites: Sequence[Destination], now_s: float) -> int:
        return _least_loaded(request, sites, [site.work_s(now_s) for site in sites])


class PrefixAffine:
    """Where the prompt's beginning was sent last, unless that site has too much work.

    Too much is more than MOST_IMBALANCE times the work of the least loaded site plus the request's
    own service time. Then, and for a new beginning, the least loaded site takes the request. The
    REMEMBERED_PREFIXES beginnings that were used last are known.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[int, str] = OrderedDict()

    def route(self, request: Request, sites: Sequence[Destination], now_s: float) -> int:
        works_s = [site.work_s(now_s) for site in sites]
        chosen = _least_loaded(request, sites, works_s)
        last = self._last.get(request.prefix)
        for place, site in enumerate(sites):
            if site.name == last:
                limit_s = MOST_IMBALANCE * works_s[chosen] + site.duration_s(request)
                if works_s[place] <= limit_s:
                    chosen = place
        if request.prefix:
            self._last[request.prefix] = sites[chosen].name
            self._last.move_to_end(request.prefix)
            if len(self._last) > REMEMBERED_PREFIXES:
                self._last.popitem(last=False)
        return chosen


class HexGen:
    """A balance of a site's speed and its work.

    The largest alpha * t_base / t_e - (1 - alpha) * W_e / W_base, where t_e is the request's
    predicted service time on site e and W_e the predicted work there; t_base is the least t_e and
    W_base the largest W_e. Source: HexGen-Text2SQL, 2025; there W_e only grows, here it is the
    remaining work.

    Args:
        alpha: 0 weighs the work only, 1 the service time only.
    """

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha

    def route(self, request: Request, sites: Sequence[Destination], now_s: float) -> int:
        durations_s = [site.duration_s(request) for site in sites]
        works_s = [site.work_s(now_s) for site in sites]
        fastest_s, most_s = min(durations_s), max(works_s) or 1.0

        def score(place: int) -> float:
            fit = fastest_s / durations_s[place]
            return self._alpha * fit - (1.0 - self._alpha) * works_s[place] / most_s

        return max(range(len(sites)), key=score)


def router_of(text: str) -> Router | None:
    """The router of that name, one of KINDS; None for SHARED.

    Raises:
        ValueError: there is none; the message names those that there are.
    """
    routers: dict[str, type[RoundRobin | LeastRequests | LeastWork | PrefixAffine]] = {
        "round_robin": RoundRobin,
        "least_requests": LeastRequests,
        "least_work": LeastWork,
        "prefix": PrefixAffine,
    }
    if text == SHARED:
        return None
    if text in routers:
        return routers[text]()
    name, _, alpha = text.partition(":")
    try:
        if name == "hexgen" and 0.0 <= float(alpha) <= 1.0:
            return HexGen(float(alpha))
    except ValueError:
        pass
    raise ValueError(f"no routing {text!r}; there are {KINDS}")


def _least_loaded(request: Request, sites: Sequence[Destination], works_s: Sequence[float]) -> int:
    return min(
        range(len(sites)), key=lambda place: (works_s[place], sites[place].duration_s(request))
    )
