"""The place of a waiting request in the order of all gateways, as a string that sorts."""

from __future__ import annotations

from struct import pack, unpack

WIDTH = 34
"""Characters of every place."""

_NEGATIVE = 1 << 63
_ALL_BITS = (1 << 64) - 1


def place(due_s: float, tier_position: int, rank: float, arrival_s: float, now_s: float) -> str:
    """Where a waiting request stands: the smaller string goes first, at any gateway.

    Due requests come first, by due time; then tiers, then ranks. Ties go by arrival. All gateways
    must use one clock and one policy.

    Args:
        due_s: from then on the request is due.
        tier_position: 0 for the tier that is served first, at most 9.
        rank: of the policy, now.
        arrival_s: when it came.
        now_s: the time.
    """
    if due_s <= now_s:
        return "00" + sortable(due_s) + sortable(arrival_s)
    return f"1{tier_position}" + sortable(rank) + sortable(arrival_s)


def sortable(number: float) -> str:
    """16 characters that sort as the numbers do, infinite ones included.

    Raises:
        ValueError: it is not a number.
    """
    if number != number:
        raise ValueError("a rank that is not a number has no place; the policy must not return it")
    # The bits of positive floats sort like integers; those of negative ones the other way round.
    # Adding zero turns the negative zero into the other.
    (bits,) = unpack(">Q", pack(">d", number + 0.0))
    return format(bits ^ _ALL_BITS if bits & _NEGATIVE else bits | _NEGATIVE, "016x")
