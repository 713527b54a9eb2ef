"""The script in Redis grants what the reference grants, whatever happened before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import redis as client
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redis_server import RedisServer

from headway.core.sharing.messages import (
    NO_SCALE,
    Choice,
    Entry,
    Grant,
    Offer,
    Post,
    SlotDecision,
    Yield,
)
from headway.core.sharing.place import sortable
from headway.core.sharing.slots import SharedSlots
from headway.sharing.script import Event, SlotScript
from headway.sharing.wire import Answer, join_message, post_message, read_answer, read_notice

GATEWAYS = ("a0", "b1", "c2")
BACKENDS = ("x", "y")
NAMES = {name: name for name in BACKENDS}
LEASE_S = 3600.0
_prefixes = count()


class Twins:
    """The reference and the script, given the same events."""

    def __init__(self, redis: client.Redis, slots: dict[str, int]) -> None:
        self._redis = redis
        self._script = SlotScript(f"test{next(_prefixes)}")
        redis.execute_command(*self._script.load())
        self._notices = redis.pubsub(ignore_subscribe_messages=True)
        self._notices.psubscribe(self._script.channel("*"))
        self.reference = SharedSlots()
        self.named = dict.fromkeys(GATEWAYS, slots)
        """The slots of each backend, as each gateway sees them."""
        self.tokens = dict.fromkeys(GATEWAYS, 0)
        self.granted = dict.fromkeys(GATEWAYS, 0)
        """Number of the last grant."""
        self.held: dict[str, dict[str, int]] = {name: {} for name in GATEWAYS}
        """What each gateway may keep, or give back."""
        self.unseen: dict[str, list[Grant]] = {name: [] for name in GATEWAYS}
        """Grants that are on their way to it."""

    def close(self) -> None:
        self._notices.close()

    def call(self, event: Event, gateway: str, said: bytes = b"") -> tuple[Answer, list[Any]]:
        """The answer, and all that was decided."""
        command = self._script.call(event, gateway, self.tokens[gateway], LEASE_S, said)
        answer = read_answer(gateway, NAMES, self._redis.execute_command(*command))
        self._redis.publish(self._script.channel("end"), b"")
        decided = list(answer.decisions)
        while True:
            notice = self._notices.get_message(timeout=5)
            if notice is None:
                continue
            name = notice["channel"].decode().rpartition(":")[2]
            if name == "end":
                break
            decided += read_notice(name, NAMES, notice["data"]).decisions
        return answer, [one for one in decided if self._is_new(one)]

    def _is_new(self, decision: SlotDecision) -> bool:
        """An answer has all grants that its gateway has not seen."""
        if not isinstance(decision, Grant):
            return True
        gateway = decision.gateway
        if decision.number <= self.granted[gateway]:
            return False
        self.granted[gateway] = decision.number
        self.unseen[gateway].append(decision)
        return True

    def agree(self, decided: list[SlotDecision]) -> None:
        expected = self.reference.decide()
        for name in GATEWAYS:
            assert [one for one in decided if one.gateway == name] == [
                one for one in expected if one.gateway == name
            ]

    def _name_slots(self) -> None:
        """The least number that one names is that of all."""
        alive = [self.named[name] for name, token in self.tokens.items() if token]
        for name in BACKENDS:
            self.reference.set_backend(name, min((one[name] for one in alive), default=0))

    def join(self, gateway: str, uses: dict[str, int], pinned: dict[str, int]) -> None:
        self.granted[gateway], self.unseen[gateway] = 0, []
        said = join_message(NAMES, self.named[gateway], uses, pinned, [])
        answer, decided = self.call("join", gateway, said)
        self.tokens[gateway], self.held[gateway] = answer.token, dict(answer.held)
        assert self.reference.join(gateway, answer.held) == answer.token
        self._name_slots()
        if not answer.pause_s:
            self.agree(decided)
            return
        assert not any(isinstance(one, Grant | Yield) for one in decided)
        self._redis.hset(self._script.keys[3], "settled", 0)  # nobody else uses anything
        self.agree(decided + self.call("beat", gateway)[1])

    def leave(self, gateway: str) -> None:
        self.held[gateway] = {}
        _, decided = self.call("leave", gateway)
        self.reference.lost(gateway)
        self.tokens[gateway] = 0
        self._name_slots()
        self.agree(decided)

    def post(self, gateway: str, post: Post) -> None:
        said = post_message(post, NAMES, self.named[gateway], (0, 0, 0))
        self._name_slots()
        taken = self.reference.post(gateway, self.tokens[gateway], post)
        answer, decided = self.call("post", gateway, said)
        assert bool(answer.token) == taken
        if taken:
            self.agree(decided)


@contextmanager
def twins(server: RedisServer, slots: dict[str, int]) -> Iterator[Twins]:
    with client.Redis.from_url(server.url) as redis:
        both = Twins(redis, slots)
        try:
            yield both
        finally:
            both.close()


slots = st.fixed_dictionaries({name: st.integers(0, 4) for name in BACKENDS})
tiers = st.integers(0, 2)
places = st.builds(lambda tier, rank: f"1{tier}{sortable(rank)}", tiers, st.integers(-2, 9))
times = st.integers(0, 3)
choices = st.lists(st.builds(Choice, st.sampled_from(BACKENDS), times, times), min_size=1).map(
    lambda found: tuple({one.backend: one for one in found}.values())
)
ids = st.sampled_from([f"r{number}" for number in range(8)])
entries = st.lists(
    st.builds(Entry, ids, tiers, places, choices, st.booleans()),
    max_size=5,
    unique_by=lambda one: one.id,
).map(tuple)
offers = st.lists(
    st.builds(
        Offer,
        st.sampled_from([f"o{number}" for number in range(5)]),
        st.sampled_from(BACKENDS),
        tiers,
        st.just("") | places,
        st.integers(0, 3).map(sortable),
    ),
    max_size=4,
    unique_by=lambda one: one.id,
).map(tuple)
scales = st.integers(1, 3) | st.just(NO_SCALE)
loads = st.dictionaries(st.sampled_from(BACKENDS), times)


@given(st.data())
@settings(max_examples=70)
def test_the_script_and_the_reference_decide_alike(redis: RedisServer, data: st.DataObject) -> None:
    with twins(redis, data.draw(slots)) as both:
        for _ in range(data.draw(st.integers(1, 14), "events")):
            gateway = data.draw(st.sampled_from(GATEWAYS))
            kind = data.draw(st.sampled_from(["post"] * 8 + ["join", "leave"]))
            if kind == "leave":
                both.leave(gateway)
            elif kind == "join" or not both.tokens[gateway]:
                uses = data.draw(st.dictionaries(st.sampled_from(BACKENDS), st.integers(0, 3)))
                both.join(gateway, uses, {})
            else:
                unseen = both.unseen[gateway]
                coming = data.draw(st.integers(0, len(unseen)))
                known = Counter(both.held[gateway])
                known.update(grant.backend for grant in unseen[: len(unseen) - coming])
                seen = both.granted[gateway] - coming
                both.unseen[gateway] = unseen[len(unseen) - coming :]
                held = {name: data.draw(st.integers(0, number)) for name, number in known.items()}
                both.held[gateway] = held
                if data.draw(st.integers(0, 9)) == 0:
                    both.named[gateway] = data.draw(slots)
                said = (data.draw(part) for part in (entries, offers, loads, scales))
                both.post(gateway, Post(seen, held, *said))
