"""What requests cost, as far as a key may see it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import SERVER, json_answer
from headway.gateway.api.errors import ApiError, invalid_value, sentence
from headway.gateway.api.views import BudgetView, CostGroup, CostSums, CostsView, UnpricedModel
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.budgets import Budget, Budgets
from headway.gateway.keys.keys import Caller
from headway.gateway.routes.files import limit_of
from headway.gateway.routes.moment import moment_of
from headway.store.costs import (
    BatchCost,
    Chosen,
    groups_of,
    later,
    summed,
)
from headway.store.history.log_file import HistoryError
from headway.store.history.reader import HistoryReader

MOST_GROUPS = 100_000
SINCE_S = 30 * 86_400.0
"""How far back costs go where the client does not say."""
MOST_BATCHES = 256
"""Batches whose costs are remembered, so that only later rows are read again."""


class CostsRoutes:
    """Handler of `/v1/headway/costs`, and the costs of batches.

    Args:
        entrance: authenticates requests.
        budgets: all budgets.
        log: the request log; None: there is none.
        reader: asks it.
    """

    def __init__(
        self, entrance: Entrance, budgets: Budgets, log: Path | None, reader: HistoryReader | None
    ) -> None:
        self._entrance = entrance
        self._budgets = budgets
        self._log = log
        self._reader = reader
        self._batches: dict[str, BatchCost] = {}

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {"costs": self.costs}

    async def costs(self, request: web.Request) -> web.Response:
        """Sums of the request log. Raises ApiError 400 or 404."""
        viewer = self._entrance.caller(request)
        asked = request.query
        try:
            by = groups_of(asked.get("by", "day"))
        except ValueError as error:
            raise invalid_value(f"by: {error}.", "by") from None
        limit = limit_of(request, MOST_GROUPS, MOST_GROUPS)
        since_s, until_s = moment_of(request, "since"), moment_of(request, "until")
        since_s = time.time() - SINCE_S if since_s is None else since_s
        until_s = float("inf") if until_s is None else until_s
        tenant = asked.get("tenant")
        chosen = Chosen(since_s, until_s, tenant, run=asked.get("run"))
        if viewer is not None and not viewer.admin:
            if tenant is not None and not viewer.sees(tenant):
                raise ApiError(
                    404,
                    f"This key sees no tenant {tenant[:100]!r}.",
                    code="tenant_not_found",
                    param="tenant",
                )
            chosen = chosen._replace(tenant=viewer.tenant, key=None if tenant else viewer.name)
        if self._reader is None:
            raise ApiError(
                404,
                "Costs are summed up from the request log, and there is none: set log.requests_db.",
                code="no_request_log",
            )
        try:
            found = await self._reader.ask(partial(summed, by=by, chosen=chosen, limit=limit))
        except HistoryError as error:
            raise ApiError(503, sentence(error), type=SERVER, code="log_unreadable") from None
        view = CostsView(
            since=found.since_s,
            by=by,
            total=CostSums(**found.total.sums()),
            groups=[
                CostGroup(group=dict(zip(by, one.group, strict=True)), **one.sums())
                for one in found.groups
            ],
            left_out=found.left_out,
            unpriced=[UnpricedModel(**one._asdict()) for one in found.unpriced],
            budgets=[one for budget in self._seen(viewer) for one in _views(budget)],
        )
        return json_answer(view)

    async def of_batches(self, batches: Sequence[str]) -> dict[str, BatchCost]:
        """What the lines of batches cost so far, by their ids; empty: nobody wrote it down.

        All of it, if the batch was over before; rows of one that runs come within a second.
        """
        if self._log is None:
            return {}
        known = {batch: self._batches.pop(batch, BatchCost()) for batch in batches}
        try:
            known = await asyncio.to_thread(later, self._log, known)
        except sqlite3.Error:
            return {}
        self._batches |= known
        while len(self._batches) > MOST_BATCHES:
            del self._batches[next(iter(self._batches))]
        return known

    def _seen(self, viewer: Caller | None) -> list[Budget]:
        """The budgets that a key may see, as they are now."""
        self._budgets.turn()
        if viewer is None or viewer.admin:
            return list(self._budgets)
        mine = (("key", viewer.name), ("tenant", viewer.tenant))
        return [one for one in self._budgets if (one.scope, one.name) in mine]


def _views(budget: Budget) -> list[BudgetView]:
    return [
        BudgetView(
            scope=budget.scope,
            name=budget.name,
            unit=one.unit,
            period=one.period,
            limit=one.most,
            spent=one.spent,
            reserved=one.reserved,
            resets_at=int(one.resets_at_s),
            when_spent=budget.settings.when_spent,
            refused=one.refused,
            downgraded=one.downgraded,
        )
        for one in budget.allowances
    ]
