"""What goes to the script in Redis and comes back, in MessagePack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from headway.core.sharing.messages import Grant, Post, Rescale, SlotDecision, Wait, Yield


@dataclass(frozen=True, slots=True)
class Answer:
    """What the script answers."""

    token: int
    """Of the lease; 0: there is none, and the gateway has to join."""
    decisions: tuple[SlotDecision, ...]
    """All grants that the last post did not know of, and requests that have to yield."""
    pause_s: float
    """For how long no slots are granted, because others may use some that are not known yet."""
    members: tuple[str, ...] = ()
    """All gateways, after join, sync and beat; the same holds for what follows."""
    slots: Mapping[str, int] = field(default_factory=dict)
    """By backend: those that all gateways share."""
    waiting: tuple[int, ...] = ()
    """Requests that wait at the other gateways, by tier."""
    held: Mapping[str, int] = field(default_factory=dict)
    """By backend: the slots that this gateway keeps."""


Names = Mapping[str, str]
"""Of backends: a gateway's own by those that all gateways share, or the other way round."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What was decided at another gateway's call."""

    decisions: tuple[SlotDecision, ...]
    members: tuple[str, ...] | None
    """All gateways, if one came or went."""


def post_message(
    post: Post, names: Names, slots: Mapping[str, int], waiting: Iterable[int]
) -> bytes:
    """What a gateway says.

    Args:
        post: with its own names of backends.
        names: of all shared backends, by its own.
        slots: by backend, as it knows them; those that are down are not in it.
        waiting: how many requests wait in all, by tier.
    """
    return _encode(
        (
            post.seen,
            {names[name]: number for name, number in post.held.items()},
            [
                (
                    entry.id,
                    entry.tier,
                    entry.place,
                    [(names[one.backend], one.own_us, one.adds_us) for one in entry.choices],
                    entry.asks,
                )
                for entry in post.entries
            ],
            [(one.id, one.tier, names[one.backend], one.bar, one.worth) for one in post.offers],
            {names[name]: load_us for name, load_us in post.loads_us.items()},
            post.scale_us,
            {names[name]: number for name, number in slots.items()},
            tuple(waiting),
        )
    )


def join_message(
    names: Names,
    slots: Mapping[str, int],
    uses: Mapping[str, int],
    pinned: Mapping[str, int],
    members: Iterable[str],
) -> bytes:
    """A gateway comes, or comes back.

    Args:
        names: of all shared backends, by its own.
        slots: by backend, as it knows them.
        uses: of those, how many it uses now.
        pinned: of those, how many it cannot stop using.
        members: the gateways that it last knew of; empty: it was in none of their groups.
    """
    by_backend = ({names[name]: n for name, n in one.items()} for one in (slots, uses, pinned))
    return _encode((*by_backend, list(members)))


def read_answer(gateway: str, own: Names, answer: bytes) -> Answer:
    """What the script answered to `gateway`; `own` has its names by the shared ones."""
    token, grants, yields, waits, scale_us, pause_ms, *rest = _decode(answer)
    decisions = _decisions(gateway, own, token, grants, yields, waits, scale_us)
    if not rest:
        return Answer(token, decisions, pause_ms / 1000.0)
    members, slots, waiting, held = rest
    return Answer(
        token,
        decisions,
        pause_ms / 1000.0,
        tuple(sorted(members)),
        _by_own_name(own, slots),
        tuple(waiting),
        _by_own_name(own, held),
    )


def read_notice(gateway: str, own: Names, notice: bytes) -> Notice:
    """What `gateway` was sent because of another one's call."""
    token, grants, yields, waits, scale_us, *members = _decode(notice)
    decisions = _decisions(gateway, own, token, grants, yields, waits, scale_us)
    return Notice(decisions, tuple(sorted(members[0])) if members else None)


def _decisions(
    gateway: str,
    own: Names,
    token: int,
    grants: list[tuple[int, str, str, int]],
    yields: list[tuple[str, str]],
    waits: list[str] | Literal[False],
    scale_us: int | Literal[False],
) -> tuple[SlotDecision, ...]:
    decisions: list[SlotDecision] = [
        Grant(gateway, token, number, own.get(backend, backend), request)
        for number, backend, request, _ in grants
    ]
    decisions += [Yield(gateway, token, own.get(name, name), request) for name, request in yields]
    if waits is not False:
        decisions.append(Wait(gateway, token, frozenset(waits)))
    if scale_us is not False:
        decisions.append(Rescale(gateway, token, int(scale_us)))
    return tuple(decisions)


def _by_own_name(own: Names, numbers: dict[str, int] | list[int]) -> dict[str, int]:
    if isinstance(numbers, list):  # Lua's empty table
        return {}
    return {own[name]: number for name, number in numbers.items() if name in own}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
