"""Which gateway gets which slot."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.deep import examples

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
from headway.core.sharing.place import place
from headway.core.sharing.slots import SharedSlots

NAMES = "abc"


def entry(id: str, rank: float, tier: int = 1, *, on: str = "x", due_s: float = 9e9) -> Entry:
    where = place(due_s, tier, rank, 0.0, 0.0)
    return Entry(id, tier, where, tuple(Choice(backend) for backend in on))


def two_gateways(slots: int = 1) -> tuple[SharedSlots, int, int]:
    shared = SharedSlots()
    shared.set_backend("x", slots)
    return shared, shared.join("a", {}), shared.join("b", {})


def test_the_best_placed_request_of_all_gateways_gets_the_slot() -> None:
    shared, a, b = two_gateways()
    shared.post("a", a, Post(0, {}, (entry("a1", 2.0), entry("a2", 3.0))))
    shared.post("b", b, Post(0, {}, (entry("b1", 1.0),)))
    assert shared.decide() == [Grant("b", b, 1, "x", "b1")]
    assert shared.decide() == [], "the slot is in use"


def test_a_slot_is_free_once_its_gateway_posts_without_it() -> None:
    shared, a, b = two_gateways()
    shared.post("a", a, Post(0, {}, (entry("a1", 2.0),)))
    shared.decide()
    shared.post("b", b, Post(0, {}, (entry("b1", 1.0),)))
    shared.post("a", a, Post(1, {"x": 1}))
    assert shared.decide() == []
    shared.post("a", a, Post(1, {}))
    assert shared.decide() == [Grant("b", b, 1, "x", "b1")]


def test_a_post_that_crosses_a_grant_does_not_give_the_slot_back() -> None:
    shared, a, _ = two_gateways(slots=2)
    shared.post("a", a, Post(0, {}, (entry("a1", 2.0),)))
    shared.decide()
    shared.post("a", a, Post(0, {}, (entry("a1", 2.0),)))  # it does not know yet
    assert shared.decide() == [], "the same request is not granted another slot"
    assert shared.granted("x") == 1


def test_what_a_lost_gateway_had_is_free_and_its_old_posts_are_void() -> None:
    shared, a, b = two_gateways()
    shared.post("a", a, Post(0, {}, (entry("a1", 1.0),)))
    shared.decide()
    shared.post("b", b, Post(0, {}, (entry("b1", 2.0),)))
    shared.lost("a")
    assert shared.decide() == [Grant("b", b, 1, "x", "b1")]
    assert not shared.post("a", a, Post(1, {"x": 1}))
    again = shared.join("a", {})
    assert again > b
    assert not shared.post("a", a, Post(1, {"x": 1}))
    assert shared.post("a", again, Post(0, {}))


def test_one_that_joins_with_slots_in_use_keeps_them() -> None:
    shared = SharedSlots()
    shared.set_backend("x", 2)
    shared.join("a", {"x": 2})
    b = shared.join("b", {})
    shared.post("b", b, Post(0, {}, (entry("b1", 1.0),)))
    assert shared.decide() == []


def test_a_request_goes_where_load_and_its_own_time_are_least() -> None:
    shared = SharedSlots()
    for name in "xy":
        shared.set_backend(name, 2)
    a = shared.join("a", {})
    choices = (Choice("x", own_us=10, adds_us=20), Choice("y", own_us=25, adds_us=1))
    entries = tuple(Entry(f"a{n}", 1, place(9e9, 1, n, 0, 0), choices) for n in range(3))
    shared.post("a", a, Post(0, {}, entries, loads_us={"x": 5}))
    # x: 5 + 10; then x: 25 + 10 against y: 25, whose load is then 1
    assert [one.backend for one in shared.decide() if isinstance(one, Grant)] == ["x", "y", "y"]


def test_the_least_urgent_of_all_running_requests_yields_to_a_higher_tier() -> None:
    shared, a, b = two_gateways(slots=2)
    offers = [Offer("b1", "x", 1, worth="5"), Offer("b2", "x", 2, worth="1")]
    shared.post("b", b, Post(0, {"x": 2}, (), tuple(offers)))
    shared.post("a", a, Post(0, {}, (entry("a1", 1.0, tier=0),)))
    assert set(shared.decide()) == {Yield("b", b, "x", "b2"), Wait("a", a, frozenset({"a1"}))}
    assert shared.decide() == [], "it is asked once"
    shared.post("b", b, Post(0, {"x": 1}, (entry("b2", 9.0, tier=2),), (offers[0],)))
    grant, told = shared.decide()
    assert grant == Grant("a", a, 1, "x", "a1")
    assert told == Wait("a", a, frozenset())


def test_a_request_of_the_same_tier_has_to_be_placed_before_the_bar() -> None:
    shared, a, b = two_gateways()
    bar = place(9e9, 1, 5.0, 0.0, 0.0)
    shared.post("b", b, Post(0, {"x": 1}, (), (Offer("b1", "x", 1, bar),)))
    shared.post("a", a, Post(0, {}, (entry("a1", 6.0),)))
    assert shared.decide() == []
    shared.post("a", a, Post(0, {}, (entry("a2", 4.0),)))
    assert Yield("b", b, "x", "b1") in shared.decide()


def test_where_its_own_request_would_yield_the_gateway_sees_to_it() -> None:
    shared, a, _ = two_gateways()
    waiting = (entry("a1", 1.0, tier=0),)
    shared.post("a", a, Post(0, {"x": 1}, waiting, (Offer("a2", "x", 2),)))
    assert shared.decide() == []


def test_one_that_looked_in_vain_a_moment_ago_does_not_ask() -> None:
    shared, a, b = two_gateways()
    shared.post("b", b, Post(0, {"x": 1}, (), (Offer("b1", "x", 2),)))
    quiet = Entry("a1", 0, place(9e9, 0, 1.0, 0, 0), (Choice("x"),), asks=False)
    shared.post("a", a, Post(0, {}, (quiet,)))
    assert shared.decide() == []


def test_all_order_by_the_mean_scale_once_two_have_one() -> None:
    shared, a, b = two_gateways()
    shared.post("a", a, Post(0, scale_us=100))
    assert shared.decide() == []
    shared.post("b", b, Post(0, scale_us=200))
    assert shared.decide() == [Rescale("a", a, 150), Rescale("b", b, 150)]
    shared.lost("b")
    assert shared.decide() == [Rescale("a", a, NO_SCALE)]


# Any order of events: gateways that hear late, fail and come back.


@dataclass
class Gateway:
    """A gateway as the shared slots see it; what it hears is under way for a while."""

    token: int
    seen: int = 0
    running: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    """Backend and entry, by id."""
    waiting: dict[str, Entry] = field(default_factory=dict)
    coming: deque[SlotDecision] = field(default_factory=deque)

    def hear(self) -> None:
        decision = self.coming.popleft()
        if decision.token != self.token:
            return
        if isinstance(decision, Grant):
            self.seen = decision.number
            if decision.id in self.waiting:  # else it was cancelled, and the slot is given back
                self.running[decision.id] = decision.backend, self.waiting.pop(decision.id)
        elif isinstance(decision, Yield) and decision.id in self.running:
            _, self.waiting[decision.id] = self.running.pop(decision.id)

    def post(self) -> Post:
        held = Counter(backend for backend, _ in self.running.values())
        offers = tuple(
            Offer(id, backend, one.tier, one.place) for id, (backend, one) in self.running.items()
        )
        return Post(self.seen, held, tuple(self.waiting.values()), offers)


picks = st.integers(0, 99)
gateways = st.sampled_from(NAMES)
happenings = st.lists(
    st.one_of(
        *[
            st.tuples(
                st.just("add"),
                gateways,
                st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from(["x", "y", "xy"])),
            )
        ]
        * 3,
        *[st.tuples(st.just("post"), gateways, picks)] * 4,
        *[st.tuples(st.just("hear"), gateways, picks)] * 4,
        *[st.tuples(st.just("finish"), gateways, picks)] * 2,
        st.tuples(st.just("cancel"), gateways, picks),
        st.tuples(st.just("die"), gateways, picks),
    ),
    max_size=60,
)


class World:
    """Gateways that share two backends, and what must hold of them."""

    def __init__(self) -> None:
        self.slots = {"x": 2, "y": 1}
        self.shared = SharedSlots()
        for name, slots in self.slots.items():
            self.shared.set_backend(name, slots)
        self.gateways = {name: Gateway(self.shared.join(name, {})) for name in NAMES}
        self.added = 0

    def add(self, gateway: Gateway, facts: tuple[int, int, str]) -> None:
        rank, tier, backends = facts
        self.added += 1
        one = entry(f"r{self.added}", rank, tier, on=backends)
        gateway.waiting[one.id] = one

    def post(self, gateway: Gateway, _: object) -> None:
        name = next(name for name, one in self.gateways.items() if one is gateway)
        assert self.shared.post(name, gateway.token, gateway.post())
        before = self.shared.entries()
        decided = self.shared.decide()
        for decision in decided:
            self.gateways[decision.gateway].coming.append(decision)
        self.the_best_placed_got_the_slots(before, decided)
        self.no_slot_is_free_beside_an_entry()

    def hear(self, gateway: Gateway, _: object) -> None:
        if gateway.coming:
            gateway.hear()

    def finish(self, gateway: Gateway, which: int) -> None:
        if gateway.running:
            del gateway.running[sorted(gateway.running)[which % len(gateway.running)]]

    def cancel(self, gateway: Gateway, which: int) -> None:
        if gateway.waiting:
            del gateway.waiting[sorted(gateway.waiting)[which % len(gateway.waiting)]]

    def die(self, gateway: Gateway, _: object) -> None:
        """It is killed, all that it ran with it; one in its place knows nothing."""
        name = next(name for name, one in self.gateways.items() if one is gateway)
        self.shared.lost(name)
        old = self.gateways[name].coming
        self.gateways[name] = Gateway(self.shared.join(name, {}), coming=old)

    def play(self, happened: list[tuple[str, str, object]]) -> None:
        for kind, name, value in happened:
            getattr(self, kind)(self.gateways[name], value)
            self.never_more_than_the_slots()

    def settle(self) -> None:
        """Everything is heard and posted, and requests end one after another."""
        for _ in range(8 * self.added + 20):
            for gateway in list(self.gateways.values()):
                while gateway.coming:
                    gateway.hear()
                self.post(gateway, 0)
                self.never_more_than_the_slots()
            if not any(gateway.coming for gateway in self.gateways.values()):
                busy = [gateway for gateway in self.gateways.values() if gateway.running]
                if not busy:
                    break
                self.finish(busy[0], 0)
        for gateway in self.gateways.values():
            assert not gateway.waiting, "a request never ran"
        assert all(self.shared.granted(name) == 0 for name in self.slots), "a slot was lost"

    def never_more_than_the_slots(self) -> None:
        for name, slots in self.slots.items():
            assert self.shared.granted(name) <= slots
            in_use = sum(
                backend == name
                for gateway in self.gateways.values()
                for backend, _ in gateway.running.values()
            )
            assert in_use <= slots

    def no_slot_is_free_beside_an_entry(self) -> None:
        for entries in self.shared.entries().values():
            for one in entries:
                for choice in one.choices:
                    free = self.slots[choice.backend] - self.shared.granted(choice.backend)
                    assert not free, f"{one.id} waits beside a free slot"

    def the_best_placed_got_the_slots(
        self, before: dict[str, list[Entry]], decided: list[SlotDecision]
    ) -> None:
        granted = {one.id: one.backend for one in decided if isinstance(one, Grant)}
        of = {one.id: one for entries in before.values() for one in entries}
        left = [one for entries in self.shared.entries().values() for one in entries]
        for id, backend in granted.items():
            for other in left:
                if any(choice.backend == backend for choice in other.choices):
                    assert of[id].place <= other.place, f"{id} got what {other.id} should have"


@settings(max_examples=examples(300), deadline=None)
@given(happenings)
def test_every_promise_holds_whatever_happens_in_whatever_order(happened) -> None:
    world = World()
    world.play(happened)
    world.settle()
