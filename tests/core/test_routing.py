"""Which site takes a request, router by router."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.routing import MOST_IMBALANCE, Router, router_of


@dataclass
class Seen:
    """A site as a router sees it, with the work that a test gives it."""

    name: str
    waiting_s: float = 0.0
    requests: int = 0
    token_s: float = 0.01

    def work_s(self, now_s: float) -> float:
        return self.waiting_s

    def duration_s(self, request: Request) -> float:
        return self.token_s * request.estimate.mean


def request(prefix: int = 0) -> Request:
    return Request("r", 0.0, 10, SizeEstimate.exactly(100), prefix=prefix)


def routed(router: Router | None, *sites: Seen, prefix: int = 0) -> str:
    assert router is not None
    return sites[router.route(request(prefix), sites, 0.0)].name


def test_round_robin_takes_turns() -> None:
    router = router_of("round_robin")
    a, b, c = Seen("a"), Seen("b"), Seen("c")
    assert [routed(router, a, b, c) for _ in range(4)] == ["a", "b", "c", "a"]


def test_least_requests_counts_and_does_not_weigh() -> None:
    many, few = Seen("many", 1.0, requests=3), Seen("few", 50.0, requests=2)
    assert routed(router_of("least_requests"), many, few) == "few"


def test_least_work_weighs_and_does_not_count() -> None:
    many, few = Seen("many", 1.0, requests=3), Seen("few", 50.0, requests=2)
    assert routed(router_of("least_work"), many, few) == "many"


def test_of_idle_sites_least_work_takes_the_fastest() -> None:
    assert routed(router_of("least_work"), Seen("slow", token_s=0.04), Seen("fast")) == "fast"


def test_the_prefixes_used_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.core.routing.REMEMBERED_PREFIXES", 2)
    router = router_of("prefix")
    busy, idle = Seen("home", 1.4), Seen("other", 1.0)
    for prefix in (7, 8, 7, 9):
        assert routed(router, Seen("home", 0.0), Seen("other", 1.0), prefix=prefix) == "home"
    assert routed(router, busy, idle, prefix=7) == "home"
    assert routed(router, busy, idle, prefix=8) == "other"


def test_prefix_stays_where_it_was_until_too_much_is_to_be_done_there() -> None:
    router = router_of("prefix")
    home, other = Seen("home", 1.0), Seen("other", 2.0)
    assert routed(router, home, other, prefix=7) == "home"
    limit_s = MOST_IMBALANCE * other.waiting_s + 1.0  # its own service time
    home.waiting_s = limit_s - 0.1
    assert routed(router, home, other, prefix=7) == "home"
    assert routed(router, home, other, prefix=8) == "other"
    assert routed(router, home, other) == "other"
    home.waiting_s = limit_s + 0.1
    assert routed(router, home, other, prefix=7) == "other"
    home.waiting_s = 1.5
    assert routed(router, home, other, prefix=7) == "other", "it moved for good"


def test_prefix_goes_on_elsewhere_when_its_site_is_down() -> None:
    router = router_of("prefix")
    assert routed(router, Seen("home"), Seen("other", 1.0), prefix=7) == "home"
    assert routed(router, Seen("other", 1.0), Seen("third", 2.0), prefix=7) == "other"


@pytest.mark.parametrize(
    ("alpha", "takes"), [(0.0, "idle"), (0.2, "idle"), (0.8, "fast"), (1.0, "fast")]
)
def test_hexgen_weighs_speed_against_work(alpha: float, takes: str) -> None:
    fast, idle = Seen("fast", 5.0), Seen("idle", 0.0, token_s=0.04)
    assert routed(router_of(f"hexgen:{alpha}"), fast, idle) == takes


@pytest.mark.parametrize("name", ["", "random", "hexgen", "hexgen:2", "hexgen:-0.1", "hexgen:nan"])
def test_an_unknown_routing_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"no routing '{name}'; there are shared, round"):
        router_of(name)
