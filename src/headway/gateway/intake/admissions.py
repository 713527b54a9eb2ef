"""Admits requests: by the rates of their keys, and by all budgets."""

from __future__ import annotations

from headway.engines.pool import BackendPool
from headway.gateway.api.errors import ApiError
from headway.gateway.keys.budget import Amount
from headway.gateway.keys.budgets import Budget, Budgets, Spender
from headway.gateway.keys.keys import Admission, Caller
from headway.gateway.money.pricing import Pricing
from headway.prices.tokens import Tokens


class Admissions:
    """Decides, before a request is scheduled, whether it may run."""

    def __init__(self, budgets: Budgets, pricing: Pricing, pool: BackendPool) -> None:
        self._budgets = budgets
        self._pricing = pricing
        self._pool = pool

    def of_request(
        self,
        caller: Caller | None,
        spender: Spender,
        model: str,
        tokens: Tokens,
        now_s: float,
        downgraded: bool,
    ) -> Admission | None:
        """Admit a request that runs on backends; None: nothing limits it.

        Args:
            caller: its key.
            spender: whose budgets it counts against.
            model: that it runs on.
            tokens: predicted.
            now_s: the current time on the dispatcher's clock.
            downgraded: whether it runs because of a `Downgrade`.

        Raises:
            ApiError: 429 or 403: a rate or a budget does not allow it.
            Downgrade: a budget is spent, and says that its requests run on.
        """
        budgets = self._budgets.of(spender)
        money = None
        if _of_money(budgets):
            there = [one for one in self._pool.statuses.values() if model in one.models]
            money = self._pricing.expected(there, model, tokens)
        return self._admit(caller, spender, budgets, tokens, money, model, now_s, downgraded)

    def of_items(
        self,
        caller: Caller | None,
        spender: Spender,
        model: str,
        length: int,
        money: float | None,
        now_s: float,
        downgraded: bool,
    ) -> Admission | None:
        """The same for items of a model that answers whole batches.

        Args:
            length: of all of them together.
            money: what they cost; None: they have no price.
        """
        budgets = self._budgets.of(spender)
        return self._admit(
            caller, spender, budgets, Tokens(length), money, model, now_s, downgraded
        )

    def _admit(
        self,
        caller: Caller | None,
        spender: Spender,
        budgets: list[Budget],
        tokens: Tokens,
        money: float | None,
        model: str,
        now_s: float,
        downgraded: bool,
    ) -> Admission | None:
        needed = tokens.prompt + tokens.output
        reserved = None
        if budgets:
            amount = Amount(needed, money)
            reserved = self._budgets.reserve(spender, budgets, amount, model, downgraded)
        if caller is None:
            return None if reserved is None else Admission(None, None, reserved)
        try:
            return caller.admit(needed, now_s, reserved)
        except ApiError:
            if reserved is not None:
                reserved.withdraw()
            raise


def _of_money(budgets: list[Budget]) -> bool:
    return any(one.unit == "money" for budget in budgets for one in budget.allowances)
