"""Which tenants' claims about the length of their answers to believe."""

from __future__ import annotations

from collections import OrderedDict

TOLERANCE = 1.5
"""A claim is true if the answer is within this factor of it,"""
TOLERANCE_TOKENS = 16
"""or no more than this many tokens off."""

TRUE_CLAIMS = 20
"""True claims in a row that a tenant needs to be believed again."""

REMEMBERED_TENANTS = 10_000


def most_tokens(claimed_tokens: int) -> int:
    """The longest answer for which a claim is true."""
    return max(int(claimed_tokens * TOLERANCE), claimed_tokens + TOLERANCE_TOKENS)


class Claims:
    """Believes every tenant until one of its answers is longer than it claimed.

    Then its claims only count if they exceed the prediction, until enough of them in a row are
    true. Only tenants that are not believed are stored; if there are too many, the one with the
    oldest claim is dropped.
    """

    def __init__(self) -> None:
        self._true_claims: OrderedDict[str, int] = OrderedDict()
        """True claims in a row, of each tenant that is not believed."""

    def believes(self, tenant: str) -> bool:
        """Whether to believe claims of `tenant`."""
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
            tenant: of the request.
            claimed_tokens: the claimed length, at most its own limit.
            output_tokens: the real length.
            finished: whether it ended by itself or at its limit. If not, because its client left or
                it failed, it can only prove a claim wrong.
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
