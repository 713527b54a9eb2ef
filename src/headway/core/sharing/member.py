"""One gateway's side of shared slots: it drives the grants of its Scheduler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from headway.core.backend import Backend
from headway.core.decision import Decision
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.core.sharing.messages import Grant, Post, Rescale, SlotDecision, Wait

MOST_ENTRIES = 16
"""Waiting requests of a lane to post: as many as may start between two posts."""
MOST_OFFERS = 16


class Member:
    """Keeps what was granted to one gateway, and says what it holds, wants and offers.

    After each event of the scheduler, pass what `post` returns to the shared slots, unless it is
    None. Pass their decisions to `receive`, also where there are none, and also when some come by
    themselves; carry out what it returns; then `post` again.

    Args:
        scheduler: of this gateway; its clock must be that of all gateways.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._token = 0
        self._seen = 0
        self._posted: Post | None = None
        self.downgraded = False
        """Whether waiting requests have moved to the lowest tier since the last post."""

    @property
    def token(self) -> int:
        """The fencing token of its lease; 0: it has none."""
        return self._token

    def set_backend(self, backend: Backend, now_s: float) -> None:
        """Add a shared backend, of which nothing is granted yet, or update it.

        Raises:
            ValueError: it has a KV budget, which nobody shares out.
        """
        if backend.kv_tokens is not None:
            raise ValueError(
                f"the KV budget of backend {backend.name!r} cannot be shared by several gateways; "
                f"leave kv_tokens out and limit its slots"
            )
        own = replace(backend)
        own.granted = 0  # of a new one; a known one keeps what was granted
        self._scheduler.set_backend(own, now_s)

    def held(self) -> dict[str, int]:
        """The slots in use, by backend: what to join with."""
        backends = self._scheduler.backends.items()
        return {name: len(one.running) for name, one in backends if one.running and one.shared}

    def joined(self, token: int) -> None:
        """It has a new lease, on what it held when it asked; grants under another are void."""
        self._token, self._seen, self._posted = token, 0, None
        self._scheduler.standings.hold_back(frozenset())

    def post(self, now_s: float, *, again: bool = False) -> Post | None:
        """What to send now, or None if nothing has changed. Gives back what is not in use.

        Args:
            now_s: the time.
            again: send it even if nothing has changed.
        """
        standings = self._scheduler.standings
        post = Post(
            self._seen,
            self.held(),
            standings.entries(MOST_ENTRIES, now_s),
            standings.offers(MOST_OFFERS, now_s),
            standings.loads_us(),
            standings.scale_us(),
        )
        self.downgraded = False
        if post == self._posted and not again:
            return None
        self._posted = post
        return post

    def receive(self, decisions: Iterable[SlotDecision], now_s: float) -> list[Decision]:
        """The shared slots have decided. Steps the scheduler; returns what to carry out now."""
        todo: list[Decision] = []
        granted: Counter[str] = Counter()
        for decision in decisions:
            if decision.token != self._token:
                continue
            if isinstance(decision, Grant):
                self._seen = decision.number
                granted[decision.backend] += 1
            elif isinstance(decision, Rescale):
                self._scheduler.standings.use_scale(decision.scale_us)
            elif isinstance(decision, Wait):
                self._scheduler.standings.hold_back(decision.ids)
            elif self._runs(decision.id, decision.backend):
                todo.append(self._scheduler.give_way(decision.id, now_s))
            # Else it has ended meanwhile, or waits: the next post gives its slot back.
        self._use(granted, now_s)
        lowest = self._scheduler.waiting(Tier.BATCH)
        todo += self._scheduler.step(now_s)
        # Others of the lowest tier may start elsewhere: what was posted is not true any more.
        self.downgraded = self._scheduler.waiting(Tier.BATCH) > lowest
        self._use(Counter(), now_s)
        return todo

    def next_post_s(self, now_s: float) -> float:
        """When to post again even if nothing happens; infinite if never."""
        return now_s if self.downgraded else self._scheduler.standings.next_change_s(now_s)

    def _runs(self, request_id: str, backend: str) -> bool:
        known = self._scheduler.backends.get(backend)
        return known is not None and request_id in known.running

    def _use(self, granted: Mapping[str, int], now_s: float) -> None:
        """Use the slots in use, and those `granted` besides."""
        for name, backend in self._scheduler.backends.items():
            slots = len(backend.running) + granted.get(name, 0)
            if backend.shared and backend.granted != slots:
                self._scheduler.grant(name, slots, now_s)
