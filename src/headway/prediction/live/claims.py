"""Whose claims of how long an answer will be are believed."""

from __future__ import annotations

from collections import OrderedDict

TOLERANCE = 1.5
"""A claim comes true if the answer is within this factor of it,"""
TOLERANCE_TOKENS = 16
"""or no more than this many tokens off."""

TRUE_CLAIMS = 20
"""Claims in a row that must come true before a tenant is believed again."""

REMEMBERED_TENANTS = 10_000


def most_tokens(claimed_tokens: int) -> int:
    """The longest answer with which a claim comes true."""
    return max(int(claimed_tokens * TOLERANCE), claimed_tokens + TOLERANCE_TOKENS)


class Claims:
    """Believes every tenant until one of its answers is longer than it claimed.

    Then its claims count only where they are larger than the prediction, until enough of them in a
    row have come true. Only tenants that are not believed are remembered; of too many, the one
    whose last claim is longest ago is forgotten.
    """

    def __init__(self) -> None:
        self._true_claims: OrderedDict[str, int] = OrderedDict()
        """Of tenants that are not believed: how many came true in a row."""

    def believes(self, tenant: str) -> bool:
        """Whether claims of `tenant` are taken as they are."""
        return tenant not in self._true_claims

    def refuted(self, tenant: str) -> None:
        """An answer of `tenant` is longer than it claimed."""
        self._true_claims[tenant] = 0
        self._true_claims.move_to_end(tenant)
        if len(self._true_claims) > REMEMBERED_TENANTS:
            self._true_claims.popitem(last=False)

    def ended(
        self, tenant: str, claimed_tokens: int, output_tokens: int, finished: bool = True
    ) -> None:
        """An answer of `tenant` has ended.

        Args:
            tenant: whose it is.
            claimed_tokens: how long it was to be, at most its own limit.
            output_tokens: how long it was.
            finished: whether it came to its end, or to its limit; else its client was gone, or it
                failed, and it can only prove a claim wrong.
        """
        if output_tokens > most_tokens(claimed_tokens):
            self.refuted(tenant)
            return
        true_claims = self._true_claims.get(tenant)
        if true_claims is None or not finished:
            return
        came_true = claimed_tokens <= most_tokens(output_tokens)
        true_claims = true_claims + 1 if came_true else 0
        if true_claims < TRUE_CLAIMS:
            self._true_claims[tenant] = true_claims
            self._true_claims.move_to_end(tenant)
        else:
            del self._true_claims[tenant]
