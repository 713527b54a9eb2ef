"""What goes to the script in Redis and comes back, in MessagePack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from headway.core.sharing.messages import Grant, Post, SlotDecision, Yield


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
    """Requests that wait at any gateway, by tier."""
    held: Mapping[str, int] = field(default_factory=dict)
    """By backend: the slots that this gateway keeps."""


def post_message(post: Post, slots: Mapping[str, int], waiting: Iterable[int]) -> bytes:
    """A post, with what the gateway knows of the backends, and how many requests wait in all."""
    return _encode(
        (
            post.seen,
            post.held,
            [
                (
                    entry.id,
                    entry.tier,
                    entry.place,
                    [(one.backend, one.own_us, one.adds_us) for one in entry.choices],
                )
                for entry in post.entries
            ],
            [(one.id, one.tier, one.backend, one.bar, one.worth) for one in post.offers],
            post.loads_us,
            slots,
            tuple(waiting),
        )
    )


def join_message(
    slots: Mapping[str, int],
    uses: Mapping[str, int],
    pinned: Mapping[str, int],
    members: Iterable[str],
) -> bytes:
    """A gateway comes, or comes back.

    Args:
        slots: by backend, as it knows them.
        uses: of those, how many it uses now.
        pinned: of those, how many it cannot stop using.
        members: the gateways that it last knew of; empty: it was in none of their groups.
    """
    return _encode((slots, uses, pinned, list(members)))


def read_answer(gateway: str, answer: bytes) -> Answer:
    """What the script answered to `gateway`."""
    token, grants, yields, pause_ms, *rest = msgspec.msgpack.decode(answer)
    decisions = _decisions(gateway, token, grants, yields)
    if not rest:
        return Answer(token, decisions, pause_ms / 1000.0)
    members, slots, waiting, held = rest
    return Answer(
        token,
        decisions,
        pause_ms / 1000.0,
        tuple(sorted(members)),
        slots or {},  # Lua's empty table is a list
        tuple(waiting),
        held or {},
    )


def read_notice(gateway: str, notice: bytes) -> tuple[SlotDecision, ...]:
    """What was decided at another gateway's call."""
    return _decisions(gateway, *msgspec.msgpack.decode(notice))


def _decisions(
    gateway: str, token: int, grants: list[list[int | str]], yields: list[list[str]]
) -> tuple[SlotDecision, ...]:
    return (
        *(
            Grant(gateway, token, int(number), str(backend), str(request))
            for number, backend, request, *_ in grants
        ),
        *(Yield(gateway, token, backend, request) for backend, request in yields),
    )


_encode = msgspec.msgpack.Encoder().encode
