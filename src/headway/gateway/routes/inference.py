"""Runs models that answer whole batches, for the HTTP interface."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from headway.batching.driver import Refused
from headway.core.decision import RejectReason
from headway.core.request import Tier
from headway.gateway.accounts.accounts import CLIENT_GONE, Accounts
from headway.gateway.accounts.model_metrics import ModelMetrics
from headway.gateway.accounts.refusals import FAILURES
from headway.gateway.api.errors import ApiError, from_reject, sentence, shutting_down
from headway.gateway.api.names import checked_name
from headway.gateway.intake.admissions import Admissions
from headway.gateway.intake.aliases import Aliases
from headway.gateway.intake.asked import Asked, Urgency
from headway.gateway.keys.budgets import Downgrade, Spender
from headway.gateway.keys.keys import Admission, Caller
from headway.gateway.money.pricing import Pricing
from headway.gateway.settings import GatewaySettings
from headway.models.catalog import Catalog
from headway.models.served import ServedModel
from headway.models.signature import BadItem, ModelFailure, Signature, Task
from headway.store.request_record import Outcome, RequestRecord


@dataclass(slots=True)
class _Used:
    """What a request used, as far as it came."""

    tier: Tier
    length: int = 0
    """Of the items that ran, or may have: in tokens where the model has a tokenizer."""


class Inference:
    """Finds models, runs items on them, and turns failures into API errors."""

    def __init__(
        self,
        settings: GatewaySettings,
        catalog: Catalog,
        metrics: ModelMetrics,
        accounts: Accounts,
        pricing: Pricing,
        admissions: Admissions,
        aliases: Aliases,
    ) -> None:
        self.catalog = catalog
        self._settings = settings
        self._metrics = metrics
        self._accounts = accounts
        self._pricing = pricing
        self._admissions = admissions
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)
        self._aliases = aliases
        self._names = [model.name for model in catalog]
        self._under_way = 0
        self._drained: asyncio.Event | None = None

    def serves(self, name: str) -> bool:
        """Whether `name` is a model of the catalog."""
        return self._named(name) in self.catalog or (name == "default" and self.serves_any)

    def _named(self, name: str) -> str:
        return self._aliases.model(name, self._names)

    @property
    def serves_any(self) -> bool:
        """Whether the catalog has models."""
        return self.catalog.first() is not None

    @property
    def draining(self) -> bool:
        """Whether new requests are refused."""
        return self._drained is not None

    def urgency(
        self,
        headers: Mapping[str, str],
        caller: Caller | None,
        metadata: Mapping[str, Any] | None = None,
        service_tier: str | None = None,
        user: str | None = None,
    ) -> Urgency:
        """The urgency that the client asks for.

        Raises:
            ApiError: 400 or 403.
        """
        asked = Asked(headers, metadata)
        return Urgency.of(asked, caller, self._settings.default_tier, service_tier, user)

    def model(self, name: str) -> ServedModel:
        """The model of that name.

        Raises:
            ApiError: 400 if the name is too long, 404 if there is no such model.
        """
        known = self._named(checked_name(name, "model"))
        model = self.catalog.first() if known == "default" else self.catalog.get(known)
        if model is None:
            names = ", ".join(model.name for model in self.catalog)
            lost = f"The model {name!r} does not exist; there are: {names}."
            none = "No model here answers batches; start Headway with --model NAME=PATH."
            raise ApiError(
                404,
                lost if names else none,
                code="model_not_found",
                param="model",
            )
        return model

    async def model_for(self, name: str, tasks: Collection[Task]) -> ServedModel:
        """The model of that name; `default` is the first that does one of `tasks`.

        Raises:
            ApiError: 404 if there is no such model, 400 if it does something else, 503 if it
                cannot be loaded.
        """
        if name == "default":
            for model in self.catalog:
                if (await self.described(model)).task in tasks:
                    return model
        model = self.model(name)
        task = (await self.described(model)).task
        if task not in tasks:
            raise ApiError(
                400,
                f"The model {model.name!r} cannot do this: it is made to {_MADE_TO[task]}.",
                code="wrong_task",
                param="model",
            )
        return model

    async def described(self, model: ServedModel) -> Signature:
        """The signature of `model`, which is loaded if it never was.

        Raises:
            ApiError: 503 if it cannot be loaded.
        """
        try:
            return await model.described()
        except ModelFailure as error:
            raise unavailable(error) from None

    async def run(
        self, model: ServedModel, items: Sequence[Any], lengths: Sequence[int], urgency: Urgency
    ) -> list[Any]:
        """Run `items`, and record how that ended; returns their results.

        Raises:
            ApiError: one of them could not be run, or failed; the message names it.
        """
        began_s = time.monotonic()
        outcome: Outcome = "failed"
        status, reason = 500, "internal_error"
        used = _Used(urgency.tier)
        try:
            results = await self._run(model, items, lengths, urgency, used)
            outcome, status, reason = "finished", 200, ""
            return results
        except ApiError as error:
            outcome = "failed" if error.status in FAILURES else "rejected"
            status, reason = error.status, error.code or "invalid"
            error.settled = True
            raise
        except asyncio.CancelledError:
            outcome, status, reason = "cancelled", CLIENT_GONE, "client_gone"
            raise
        finally:
            took_s = time.monotonic() - began_s
            cost = self._cost(model, used.length)
            self._accounts.inferred(
                RequestRecord(
                    id=f"inf-{self._prefix}-{next(self._numbers)}",
                    arrival_unix_s=time.time() - took_s,
                    tier=used.tier.label,
                    tenant=urgency.tenant,
                    model=model.name,
                    prompt_tokens=None if model.tokens is None else used.length or None,
                    total_ms=round(took_s * 1000.0, 3),
                    outcome=outcome,
                    status=status,
                    reason=reason,
                    key=urgency.key_name,
                    batch=urgency.batch,
                    charged_tokens=used.length,
                    cost=cost,
                )
            )

    def _admitted(
        self, model: ServedModel, length: int, urgency: Urgency, now_s: float, downgraded: bool
    ) -> Admission | None:
        """What is reserved for items. Raises ApiError and Downgrade."""
        spender = Spender(urgency.key_name, urgency.tenant, bool(urgency.batch))
        cost = self._cost(model, length)
        return self._admissions.of_items(
            urgency.caller, spender, model.name, length, cost, now_s, downgraded
        )

    def _cost(self, model: ServedModel, length: int) -> float | None:
        """What items of that length cost together; only those of a tokenizer have a price."""
        if not length:
            return 0.0
        return None if model.tokens is None else self._pricing.of_items(model.name, length)

    async def _run(
        self,
        model: ServedModel,
        items: Sequence[Any],
        lengths: Sequence[int],
        urgency: Urgency,
        used: _Used,
    ) -> list[Any]:
        if self.draining:
            raise shutting_down()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        tokens = sum(lengths)
        try:
            try:
                admission = self._admitted(model, tokens, urgency, began_s, False)
            except Downgrade:  # to whichever model: here it runs on in tier batch
                used.tier, urgency = Tier.BATCH, replace(urgency, tier=Tier.BATCH)
                admission = self._admitted(model, tokens, urgency, began_s, True)
        except ApiError as error:
            self._metrics.ended(model.name, urgency.tier, error.code or "invalid", None)
            raise
        used.length = tokens  # also if the client leaves: its items may have run
        self._under_way += 1
        try:
            results = await model.run(
                items, lengths, urgency.tier, urgency.tenant, urgency.deadline_s
            )
            refused = [isinstance(result, Refused) for result in results]
            ran = (n for n, never_ran in zip(lengths, refused, strict=True) if not never_ran)
            used.length = sum(ran)
        except Refused as refusal:
            used.length = 0
            self._metrics.ended(model.name, urgency.tier, refusal.rejection.reason.value, None)
            raise _refused(refusal) from None
        except asyncio.CancelledError:
            self._metrics.ended(model.name, urgency.tier, "cancelled", None)
            raise
        finally:
            if admission is not None and used.length:
                admission.settle(used.length, loop.time(), self._cost(model, used.length))
            elif admission is not None:
                admission.withdraw(loop.time())
            self._under_way -= 1
            if self._drained is not None and not self._under_way:
                self._drained.set()
        for place, result in enumerate(results):
            if isinstance(result, Exception):
                self._metrics.ended(model.name, urgency.tier, "failed", None)
                raise _failed(model, place, len(results), result)
        self._metrics.ended(model.name, urgency.tier, "finished", loop.time() - began_s)
        return results

    async def drain(self, limit_s: float) -> bool:
        """Refuse new requests and wait for the others; False if `limit_s` was too short."""
        self._drained = asyncio.Event()
        if not self._under_way:
            return True
        try:
            await asyncio.wait_for(self._drained.wait(), limit_s)
        except TimeoutError:
            return False
        return True


_MADE_TO: Mapping[Task, str] = {
    "embed": "embed texts",
    "classify": "classify texts",
    "rerank": "score pairs of texts",
    "tensors": "take tensors, at /v2",
    "python": "run a function",
}


def unavailable(error: ModelFailure) -> ApiError:
    """The error for a model that cannot be loaded."""
    return ApiError(
        503,
        sentence(error),
        type="server_error",
        code="model_unavailable",
        headers={"Retry-After": "10"},
    )


def wrong(error: BadItem, param: str | None = None) -> ApiError:
    """The error for input that the client must correct."""
    return ApiError(400, sentence(error), code="invalid_value", param=param)


def _refused(refused: Refused) -> ApiError:
    if refused.rejection.reason is not RejectReason.TOO_LARGE:
        return from_reject(refused.rejection)
    return ApiError(
        400,
        "The input is longer than the model's batches allow; shorten it.",
        code="context_length_exceeded",
    )


def _failed(model: ServedModel, place: int, of: int, error: Exception) -> ApiError:
    where = f"input {place} of {of}: " if of > 1 else ""
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, BadItem):
        return ApiError(
            400, sentence(f"{where}{error}"), code="invalid_value", param=f"input[{place}]"
        )
    if not model.loaded or model.error is not None:
        return unavailable(ModelFailure(str(error)))
    return ApiError(
        500,
        f"The model {model.name!r} failed on {where or 'this: '}{str(error).rstrip('.')}.",
        type="server_error",
        code="model_failed",
    )
