"""Which gateway gets which slot: events go in, grants come out.

The reference for every shared state of slots, in whatever store it is kept: a pure state machine,
with no clock and no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from headway.core.sharing.messages import (
    NO_SCALE,
    Choice,
    Entry,
    Grant,
    Offer,
    Post,
    Rescale,
    SlotDecision,
    Wait,
    Yield,
)


@dataclass(slots=True)
class _Lease:
    """What is known of one gateway."""

    token: int
    held: dict[str, int]
    """By backend, of the grants that it has seen."""
    granted: int = 0
    """Number of its last grant."""
    unseen: dict[str, tuple[Grant, int]] = field(default_factory=dict)
    """Grants that its last post did not know of, and what they add to the load; by request."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By id, without those in `unseen`."""
    offers: dict[str, Offer] = field(default_factory=dict)
    loads_us: Mapping[str, int] = field(default_factory=dict)
    scale_us: int = NO_SCALE
    scale_of_all_us: int = NO_SCALE
    """As the gateway knows it."""
    yielding: set[str] = field(default_factory=set)
    """Ids of those `offers` that have been asked to yield."""
    waits: frozenset[str] = frozenset()
    """Ids of those `entries` for which others yield, as the gateway knows them."""


class SharedSlots:
    """The slots of all backends, and the first waiting requests of all gateways.

    Call `decide` after one or several events, and pass each decision to its gateway. Then:

    - No more slots of a backend are granted than it has. (If it loses some, what was granted
      before stays granted.)
    - No entry waits while a backend among its choices has a free slot.
    - A slot goes to the smallest place of all entries that may take it.
    """

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._leases: dict[str, _Lease] = {}
        self._tokens = 0

    # ---- events -----------------------------------------------------------------------------

    def set_backend(self, name: str, slots: int) -> None:
        """Add a backend, or change its number of slots; 0: it takes nothing new."""
        self._slots[name] = slots

    def join(self, gateway: str, held: Mapping[str, int]) -> int:
        """A gateway comes, for the first time or again, and uses `held` slots by backend.

        Returns:
            The fencing token of its lease. Whatever bears an older one is void.
        """
        self._tokens += 1
        self._leases[gateway] = _Lease(self._tokens, dict(held))
        return self._tokens

    def lost(self, gateway: str) -> None:
        """The lease of a gateway lapsed, or it leaves: its slots are free. Ignores an unknown
        one."""
        self._leases.pop(gateway, None)

    def post(self, gateway: str, token: int, post: Post) -> bool:
        """A gateway says what it holds, wants and offers. Its posts must come in their order.

        Returns:
            Whether the token is that of its lease. If not, nothing has changed, and it has to
            join again.
        """
        lease = self._leases.get(gateway)
        if lease is None or lease.token != token:
            return False
        lease.unseen = {
            id: (grant, adds_us)
            for id, (grant, adds_us) in lease.unseen.items()
            if grant.number > post.seen
        }
        lease.held = dict(post.held)
        lease.entries = {one.id: one for one in post.entries if one.id not in lease.unseen}
        lease.offers = {one.id: one for one in post.offers}
        lease.yielding &= lease.offers.keys()
        lease.loads_us = post.loads_us
        lease.scale_us = post.scale_us
        return True

    # ---- decisions --------------------------------------------------------------------------

    def decide(self) -> list[SlotDecision]:
        """Who gets which free slot, and then who has to yield one."""
        free = {name: slots - self.granted(name) for name, slots in self._slots.items()}
        waiting = sorted(
            (entry.place, gateway, entry.id)
            for gateway, lease in self._leases.items()
            for entry in lease.entries.values()
        )
        decisions: list[SlotDecision] = []
        passed = []
        loads_us = {name: self._load_us(name) for name in self._slots}
        for _, gateway, id in waiting:
            entry = self._leases[gateway].entries[id]
            choice = _best(entry.choices, free, loads_us)
            if choice is None:
                passed.append((gateway, entry))
                continue
            free[choice.backend] -= 1
            loads_us[choice.backend] += choice.adds_us
            decisions.append(self._grant(gateway, id, choice))
        self._ask_to_yield(passed, decisions)
        self._rescale(decisions)
        return decisions

    # ---- questions --------------------------------------------------------------------------

    def granted(self, backend: str) -> int:
        """Slots of `backend` that are granted, to whichever gateway."""
        return sum(
            lease.held.get(backend, 0)
            + sum(grant.backend == backend for grant, _ in lease.unseen.values())
            for lease in self._leases.values()
        )

    def entries(self) -> dict[str, list[Entry]]:
        """The entries that wait, by gateway."""
        return {name: list(lease.entries.values()) for name, lease in self._leases.items()}

    # ---- how a decision is made -------------------------------------------------------------

    def _load_us(self, backend: str) -> int:
        return sum(
            lease.loads_us.get(backend, 0)
            + sum(adds_us for grant, adds_us in lease.unseen.values() if grant.backend == backend)
            for lease in self._leases.values()
        )

    def _grant(self, gateway: str, id: str, choice: Choice) -> Grant:
        lease = self._leases[gateway]
        del lease.entries[id]
        lease.granted += 1
        grant = Grant(gateway, lease.token, lease.granted, choice.backend, id)
        lease.unseen[id] = grant, choice.adds_us
        return grant

    def _ask_to_yield(
        self, waiting: list[tuple[str, Entry]], decisions: list[SlotDecision]
    ) -> None:
        """Ask running requests to yield to those `waiting`, which are in order.

        Where the one to yield is of the same gateway, that gateway sees to it.
        """
        coming = self._coming()
        offers = self._open_offers()
        waits: dict[str, set[str]] = {gateway: set() for gateway in self._leases}
        for gateway, entry in waiting:
            names = [choice.backend for choice in entry.choices]
            promised = next((name for name in names if name in coming), None)
            if promised is not None:
                coming[promised] -= 1
                if not coming[promised]:
                    del coming[promised]
                waits[gateway].add(entry.id)
                continue
            if not entry.asks:
                continue
            found = next((one for one in offers if _yields(one[1], entry, names)), None)
            if found is None:
                continue
            offers.remove(found)
            owner, offer = found
            if owner != gateway:
                lease = self._leases[owner]
                lease.yielding.add(offer.id)
                decisions.append(Yield(owner, lease.token, offer.backend, offer.id))
                waits[gateway].add(entry.id)
        for gateway, ids in waits.items():
            lease = self._leases[gateway]
            if ids != lease.waits:
                lease.waits = frozenset(ids)
                decisions.append(Wait(gateway, lease.token, lease.waits))

    def _coming(self) -> dict[str, int]:
        """By backend, the slots that will be free once those asked to yield have done so."""
        coming: Counter[str] = Counter()
        for lease in self._leases.values():
            coming.update(lease.offers[id].backend for id in lease.yielding)
        for backend, slots in self._slots.items():
            # A slot beyond those that the backend still has is not for others.
            coming[backend] -= max(0, self.granted(backend) - slots)
        return {backend: count for backend, count in coming.items() if count > 0}

    def _open_offers(self) -> list[tuple[str, Offer]]:
        """Gateways and their offers that have not been taken, the least urgent first."""
        found = [
            (gateway, offer)
            for gateway, lease in self._leases.items()
            for offer in lease.offers.values()
            if offer.id not in lease.yielding
        ]
        found.sort(key=lambda one: (one[1].tier, one[1].worth, one[0], one[1].id), reverse=True)
        return found

    def _rescale(self, decisions: list[SlotDecision]) -> None:
        """Say by what scale all order, where that has changed."""
        known = [one.scale_us for one in self._leases.values() if one.scale_us != NO_SCALE]
        mean_us = sum(known) // len(known) if len(known) > 1 else NO_SCALE
        for gateway, lease in self._leases.items():
            if mean_us != lease.scale_of_all_us:
                lease.scale_of_all_us = mean_us
                decisions.append(Rescale(gateway, lease.token, mean_us))


def _best(
    choices: tuple[Choice, ...], free: Mapping[str, int], loads_us: Mapping[str, int]
) -> Choice | None:
    """The free choice where the request would be done first; None: none is free."""
    best, best_us = None, 0
    for choice in choices:
        if free.get(choice.backend, 0) > 0:
            done_us = loads_us[choice.backend] + choice.own_us
            if best is None or done_us < best_us:
                best, best_us = choice, done_us
    return best


def _yields(offer: Offer, entry: Entry, backends: Container[str]) -> bool:
    """Whether it yields to an entry that may run on these backends."""
    if offer.backend not in backends:
        return False
    if entry.tier != offer.tier:
        return entry.tier < offer.tier
    return entry.place < offer.bar
