"""The budgets of keys, of tenants and of batches."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import ceil, inf
from pathlib import Path
from typing import Literal, NamedTuple

from headway.batches.serving import Pause
from headway.gateway.api.errors import ApiError
from headway.gateway.keys.budget import Allowance, Amount, Reservation, begin_of
from headway.gateway.settings import ApiKey, BudgetSettings
from headway.store.spending import Spent, spent_since

logger = logging.getLogger(__name__)

Scope = Literal["key", "tenant", "batches"]
SOON_S = 5
"""When to try again where requests under way hold what is left."""


class Downgrade(Exception):
    """A budget is spent, and its requests run on in tier batch, or on another model.

    Args:
        to: that model; empty: the one that was asked for, in tier batch.
    """

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class Spender(NamedTuple):
    """Whose budgets a request counts against."""

    key: str
    """The name of its key; empty: none."""
    tenant: str
    of_batch: bool
    """It is a line of a batch."""


class Budget:
    """What one key, one tenant or all batches may spend."""

    def __init__(self, scope: Scope, name: str, settings: BudgetSettings) -> None:
        self.scope: Scope = scope
        self.name = name
        self.settings = settings
        self.allowances: list[Allowance] = []
        self.use(settings)

    def __str__(self) -> str:
        return "Batches" if self.scope == "batches" else f"{self.scope.title()} {self.name!r}"

    def use(self, settings: BudgetSettings) -> None:
        """These are its limits from now on."""
        self.settings = settings
        before = {(one.unit, one.period): one for one in self.allowances}
        self.allowances = []
        for unit, period, most in settings.limits():
            allowance = before.pop((unit, period), None) or Allowance(unit, period, most)
            allowance.most = most
            self.allowances.append(allowance)

    def concerns(self, spent: Spent) -> bool:
        """Whether this was spent from it."""
        if self.scope == "batches":
            return spent.of_batch
        return (spent.key if self.scope == "key" else spent.tenant) == self.name


class Budgets:
    """All budgets of a gateway. Times are seconds since 1970."""

    def __init__(
        self,
        keys: Iterable[ApiKey] = (),
        tenants: Mapping[str, BudgetSettings] | None = None,
        batches: BudgetSettings | None = None,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self._unix = unix
        self._keys: dict[str, Budget] = {}
        self._tenants: dict[str, Budget] = {}
        self._batches = None if batches is None else Budget("batches", "", batches)
        self.use_keys(keys)
        self.use_tenants(tenants or {})

    def __iter__(self) -> Iterator[Budget]:
        yield from self._keys.values()
        yield from self._tenants.values()
        if self._batches is not None:
            yield self._batches

    def use_keys(self, keys: Iterable[ApiKey]) -> None:
        """These keys have budgets from now on; those that had one keep what is spent."""
        settings = {key.name: key.budget for key in keys if key.budget is not None}
        self._keys = _used("key", self._keys, settings)

    def use_tenants(self, tenants: Mapping[str, BudgetSettings]) -> None:
        """These tenants have budgets from now on; those that had one keep what is spent."""
        self._tenants = _used("tenant", self._tenants, tenants)

    async def read_log(
        self, path: Path | None, written: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Let those that do not know it yet know what was spent before, from the request log.

        Requests that come from now on count by themselves.

        Args:
            path: of the log; None: there is none.
            written: waits until all that have ended are in it; None: none have.
        """
        if all(one.known for budget in self for one in budget.allowances):
            return
        self.turn()
        spent: list[Spent] = []
        if path is not None:
            now_s = self._unix()
            began_s = begin_of("day", now_s), begin_of("month", now_s)
            until_s = inf
            if written is not None:
                until_s = now_s
                await written()
            try:
                spent = await asyncio.to_thread(spent_since, path, *began_s, until_s)
            except sqlite3.Error as error:
                logger.warning("what was spent before is not known, and counts as 0: %s", error)
        self.read(spent)

    def read(self, spent: Iterable[Spent]) -> None:
        """Those that did not know yet what was spent know it now."""
        self.turn()
        unread = [(budget, one) for budget in self for one in budget.allowances if not one.known]
        for _, allowance in unread:
            allowance.known = True
        for part in spent:
            for budget, allowance in unread:
                if budget.concerns(part) and (part.today or allowance.period == "month"):
                    allowance.spent += part.tokens if allowance.unit == "tokens" else part.money

    def of(self, spender: Spender) -> list[Budget]:
        """Those that a request of this spender counts against, as they are now."""
        found = [self._keys.get(spender.key), self._tenants.get(spender.tenant)]
        found.append(self._batches if spender.of_batch else None)
        budgets = [budget for budget in found if budget is not None]
        self._turn(budgets)
        return budgets

    def turn(self) -> None:
        """A new day or month may have begun."""
        self._turn(self)

    def _turn(self, budgets: Iterable[Budget]) -> None:
        now_s = self._unix()
        for budget in budgets:
            for allowance in budget.allowances:
                allowance.turn(now_s)

    def reserve(
        self,
        spender: Spender,
        budgets: Iterable[Budget],
        needed: Amount,
        model: str,
        downgraded: bool,
    ) -> Reservation:
        """Reserve what a request is predicted to need; it must be settled or withdrawn.

        Args:
            spender: whose request it is.
            budgets: those that it counts against, from `of`.
            needed: the prediction.
            model: that it asks for.
            downgraded: whether it runs because of a `Downgrade`: no other one follows.

        Raises:
            ApiError: 429 if a budget is spent; 403 if it needs more than a whole one, or there is
                one of money and no price.
            Downgrade: a budget is spent, and says that its requests run on.
        """
        parts = []
        for budget in budgets:
            for allowance in budget.allowances:
                amount = needed.of(allowance.unit)
                if amount is None:
                    raise _unpriced(budget, model)
                if allowance.lacks(amount):
                    if budget.settings.when_spent == "refuse":
                        allowance.refused += 1
                        if amount > allowance.most > 0.0:  # 0 stops all, until it is raised
                            raise _too_large(budget, allowance, amount)
                        if spender.of_batch:
                            allowance.refuse_line(amount, self._unix())
                        raise self._spent(budget, allowance, amount)
                    if not downgraded:
                        allowance.downgraded += 1
                        raise Downgrade(budget.settings.downgrade_to)
                parts.append((allowance, amount))
        return Reservation(parts, spender.of_batch)

    def pause(self, spender: Spender) -> Pause | None:
        """Why lines of this spender's batches wait, and for how long; None: they need not."""
        now_s = self._unix()
        lacking = [
            (one.resets_at_s, _why_lines_wait(budget, one, lacked))
            for budget in self.of(spender)
            for one in budget.allowances
            if (lacked := one.lacks_for_lines(now_s))
        ]
        if not lacking:
            return None
        until, why = max(lacking)
        return Pause(why, until)

    def _spent(self, budget: Budget, allowance: Allowance, amount: float) -> ApiError:
        unit, of = _unit(allowance), _limit(allowance)
        held = allowance.spent + amount <= allowance.most
        wait_s = SOON_S if held else max(1, ceil(allowance.resets_at_s - self._unix()))
        if held:
            why = f"has reserved the rest of its {of} for requests under way"
        elif allowance.spent >= allowance.most:
            why = f"has spent its {of}"
        else:
            why = (
                f"has {allowance.left:g}{unit} left of its {of}, and this request is predicted to "
                f"need {amount:g}"
            )
        return ApiError(
            429,
            f"{budget} {why}; the budget begins anew at {_moment(allowance.resets_at_s)}.",
            type="insufficient_quota",
            code="insufficient_quota",
            headers={
                "Retry-After": str(wait_s),
                "x-should-retry": "true" if held else "false",
            },
        )


def _used(
    scope: Scope, before: Mapping[str, Budget], settings: Mapping[str, BudgetSettings]
) -> dict[str, Budget]:
    budgets = {}
    for name, one in settings.items():
        budget = before.get(name)
        if budget is None:
            budget = Budget(scope, name, one)
        else:
            budget.use(one)
        budgets[name] = budget
    return budgets


def _why_lines_wait(budget: Budget, allowance: Allowance, lacked: float) -> str:
    left = f"has {allowance.left:g}{_unit(allowance)} left, and a line needs {lacked:g}"
    return (
        f"the budget of {str(budget)[0].lower()}{str(budget)[1:]} "
        f"{left if allowance.left else 'is spent'}; it begins anew at "
        f"{_moment(allowance.resets_at_s)}"
    )


def _unit(allowance: Allowance) -> str:
    return " tokens" if allowance.unit == "tokens" else ""


def _limit(allowance: Allowance) -> str:
    return f"{allowance.most:g}{_unit(allowance)} a {allowance.period}"


def _too_large(budget: Budget, allowance: Allowance, amount: float) -> ApiError:
    return ApiError(
        403,
        f"{budget} may spend {_limit(allowance)}, and this request alone is predicted to need "
        f"{amount:g}; ask for less, or the operator to raise {allowance.unit}_per_"
        f"{allowance.period}.",
        type="permission_error",
        code="exceeds_budget",
    )


def _unpriced(budget: Budget, model: str) -> ApiError:
    return ApiError(
        403,
        f"{budget} has a budget of money, and the model {model!r} has no price (yet) on some "
        "backend; ask for another model, or the operator for a price.",
        type="permission_error",
        code="model_unpriced",
        param="model",
    )


def _moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
