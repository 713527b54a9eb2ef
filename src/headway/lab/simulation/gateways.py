"""Several gateways that share the sites of a simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

import numpy as np

from headway.core.backend import Backend
from headway.core.decision import Decision, Start
from headway.core.request import Request
from headway.core.sharing.member import MOST_ENTRIES, Member
from headway.core.sharing.messages import Grant, Post, SlotDecision, Wait
from headway.core.sharing.slots import SharedSlots
from headway.lab.simulation.station import Station


@dataclass(frozen=True, slots=True)
class Sharing:
    """How many gateways share all sites, and how fast they hear of each other."""

    gateways: int
    delay_s: float = 0.0
    """From a gateway to the shared state of the slots, and as long back."""
    sticky: bool = False
    """Whether prompts that begin alike come to one gateway, as a load balancer does that keeps
    sessions; else each request comes to any."""


class Gateways:
    """The gateways' members, the slots that they share, and the messages under way.

    Args:
        sharing: how they share.
        stations: one a gateway.
        requests: number of requests, which are dealt to the gateways by chance.
        seed: of that.
    """

    def __init__(
        self, sharing: Sharing, stations: Sequence[Station], requests: int, seed: int
    ) -> None:
        self._delay_s = sharing.delay_s
        self._stations = stations
        self._number = {station: number for number, station in enumerate(stations)}
        self._members = [Member(station.scheduler) for station in stations]
        self._slots = SharedSlots()
        for number, member in enumerate(self._members):
            member.joined(self._slots.join(str(number), {}))
        dealt = np.random.default_rng(seed).integers(len(stations), size=requests)
        self._dealt: list[int] = dealt.tolist()
        self._sticky = sharing.sticky
        self._dealt_before: dict[int, int] = {}
        """By prefix of the prompt."""
        self._order = count()
        self._posts: list[tuple[float, int, int, Post]] = []
        """Arrival, order, gateway and post of those under way."""
        self._answers: list[tuple[float, int, int, list[SlotDecision]]] = []
        """The same with decisions."""
        self._under_way: set[str] = set()
        """Requests that were granted a slot and do not know yet."""
        self._promised: list[frozenset[str]] = [frozenset()] * len(stations)
        """By gateway, the requests for which others are yielding."""
        self._starts = 0
        self._inversions = 0

    @property
    def next_s(self) -> float:
        """When the next message arrives."""
        posts_s = self._posts[0][0] if self._posts else inf
        return min(posts_s, self._answers[0][0] if self._answers else inf)

    @property
    def inversions(self) -> float:
        """The share of starts for which a better-placed request of another gateway waited, which
        could have run in that slot."""
        return self._inversions / max(1, self._starts)

    def of(self, number: int, request: Request) -> Station:
        """The gateway that this request is sent to."""
        dealt = self._dealt[number]
        if self._sticky and request.prefix:
            dealt = self._dealt_before.setdefault(request.prefix, dealt)
        return self._stations[dealt]

    def set_backend(self, backend: Backend, now_s: float) -> None:
        """Every gateway may use this backend, or knows better what it is like."""
        self._slots.set_backend(backend.name, backend.slots)
        for member in self._members:
            member.set_backend(backend, now_s)

    def remove_backend(self, name: str) -> None:
        """The slots of this backend are gone; each scheduler has to be told by the caller."""
        self._slots.set_backend(name, 0)

    def step(self, station: Station, now_s: float) -> list[Decision]:
        """Something has happened at this gateway. Returns what to carry out now."""
        number = self._number[station]
        post = self._members[number].post(now_s)
        decisions: list[Decision] = []
        if post is None:
            decisions = self._received(number, [], now_s)
        else:
            heappush(self._posts, (now_s + self._delay_s, next(self._order), number, post))
        self._set_wakeup(number, now_s)
        return decisions

    def messages(self, now_s: float) -> Iterator[tuple[Station, list[Decision]]]:
        """Pass on the messages that arrive now. For each gateway that changes, yields what to carry
        out; `step` it then."""
        while self.next_s <= now_s:
            self._decide(now_s)
            while self._answers and self._answers[0][0] <= now_s:
                _, _, number, answer = heappop(self._answers)
                decisions = self._received(number, answer, now_s)
                self._set_wakeup(number, now_s)
                if answer or decisions:
                    yield self._stations[number], decisions

    def _decide(self, now_s: float) -> None:
        """Take the posts that arrive now, and send answers."""
        answers: dict[int, list[SlotDecision]] = {}
        while self._posts and self._posts[0][0] <= now_s:
            _, _, number, post = heappop(self._posts)
            self._slots.post(str(number), self._members[number].token, post)
            answers[number] = []
        for decision in self._slots.decide() if answers else ():
            if isinstance(decision, Grant):
                self._under_way.add(decision.id)
            elif isinstance(decision, Wait):
                self._promised[int(decision.gateway)] = decision.ids
            answers.setdefault(int(decision.gateway), []).append(decision)
        for number, answer in answers.items():
            entry = now_s + self._delay_s, next(self._order), number, answer
            heappush(self._answers, entry)

    def _received(self, number: int, answer: list[SlotDecision], now_s: float) -> list[Decision]:
        before = self._standings_now(number, now_s)
        decisions = self._members[number].receive(answer, now_s)
        self._under_way.difference_update(one.id for one in answer if isinstance(one, Grant))
        for decision in decisions:
            if isinstance(decision, Start):
                self._starts += 1
                place = before.get(decision.backend, {}).get(decision.request.id)
                if place is not None:
                    self._inversions += self._goes_before(place, number, decision.backend, now_s)
        return decisions

    def _standings_now(self, number: int, now_s: float) -> dict[str, dict[str, str]]:
        """By backend, the places of the gateway's first waiting requests."""
        scheduler = self._stations[number].scheduler
        if not scheduler.waiting():
            return {}
        return {
            name: {
                request.id: place
                for request, place in scheduler.standings.placed(name, MOST_ENTRIES, now_s)
            }
            for name in scheduler.backends
        }

    def _goes_before(self, place: str, number: int, backend: str, now_s: float) -> bool:
        """Whether a request of another gateway goes before that place on the backend, and no slot
        is on its way to it."""
        coming = self._under_way.union(*self._promised)
        return any(
            request.id not in coming and other_place < place
            for other, station in enumerate(self._stations)
            if other != number and station.scheduler.waiting()
            for request, other_place in station.scheduler.standings.placed(
                backend, 1 + len(coming), now_s
            )
        )

    def _set_wakeup(self, number: int, now_s: float) -> None:
        station = self._stations[number]
        step_s = station.scheduler.next_wakeup_s(now_s)
        post_s = self._members[number].next_post_s(now_s)
        station.wakeup_s = post_s if step_s is None else min(step_s, post_s)
