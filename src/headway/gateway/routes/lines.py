"""Runs lines of batches as requests of tier `batch`: same intake, same scheduler, no HTTP."""

from __future__ import annotations

import logging
from functools import partial
from uuid import uuid4

import msgspec
from aiohttp import web

from headway.batches.batch import NO_USAGE, LineError, Usage
from headway.batches.serving import Answer, Asked, Pause
from headway.core.request import Tier
from headway.core.settings import SchedulerSettings
from headway.engines.pool import BackendPool
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.answers.answers import Answers
from headway.gateway.answers.reply import Reply
from headway.gateway.api.errors import ApiError, internal
from headway.gateway.http.body import off_loop
from headway.gateway.intake.asked import ANONYMOUS
from headway.gateway.intake.entrance import Admitted
from headway.gateway.intake.given import read
from headway.gateway.intake.intake import Intake
from headway.gateway.intake.model_names import ModelNames
from headway.gateway.intake.prompts import Prompts
from headway.gateway.keys.budgets import Budgets, Spender
from headway.gateway.routes.inference import Inference
from headway.gateway.routes.texts import TextRoutes

logger = logging.getLogger(__name__)

RERANK = "/v1/rerank"
EMBEDDINGS = "/v1/embeddings"
BESIDE_SLOTS = 4
"""Lines that wait behind those that fill the slots, so that a slot that frees has its next line.
Each that waits is predicted, which costs more than the rest of it where engines are quick."""
IN_BATCHES = 256
"""Lines for a model that answers whole batches: enough to fill them."""
BUSY_S = 5.0
"""Pause where the queue is full or no backend is there, unless somebody names another."""
LONGEST_S = 600.0
"""Longest pause of a line: its budget may be raised before it begins anew."""
FAILED_S = 2.0
"""Pause of a line that has failed, and may run again; longer each time."""
LATE_S = 30.0
"""Pause of a line that cannot end in time by today's predictions."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Counted(msgspec.Struct, frozen=True):
    output_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    headway: _Counted = _Counted()
    """The gateway's own count, where the backend sends none."""
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)


class Lines:
    """The `Serving` of the batches of this gateway.

    Lines do not count against the rates of the key that made the batch: those are for requests
    that somebody waits for.
    """

    def __init__(
        self,
        models: ModelNames,
        intake: Intake,
        prompts: Prompts,
        answers: Answers,
        texts: TextRoutes,
        inference: Inference,
        pool: BackendPool,
        scheduler: SchedulerSettings,
        budgets: Budgets,
        accounts: Accounts,
    ) -> None:
        self._models = models
        self._intake = intake
        self._prompts = prompts
        self._answers = answers
        self._texts = texts
        self._inference = inference
        self._pool = pool
        self._most_running = scheduler.tier(Tier.BATCH).max_running
        self._budgets = budgets
        self._accounts = accounts

    async def wrong_model(self, endpoint: str, model: str) -> LineError | None:
        """Why lines for this model can never run; None: they can, or might."""
        if self._batched(endpoint, model):
            return None
        try:
            if endpoint == RERANK:
                self._inference.model(model)
            self._models.model(model)
        except ApiError as error:
            if error.status < 500:
                return LineError(error.code or "invalid_value", error.message, param="body.model")
        return None

    def room(self, endpoint: str, model: str) -> int:
        """How many lines of this model should wait or run at the same time; 0: none can run."""
        if self._batched(endpoint, model):
            return IN_BATCHES
        try:
            name = self._models.model(model)
        except ApiError:
            return 0
        slots = sum(
            status.slots for status in self._pool.statuses.values() if name in status.models
        )
        if self._most_running is not None:
            slots = min(slots, self._most_running)
        return slots + BESIDE_SLOTS if slots else 0

    def pause(self, tenant: str, key_name: str) -> Pause | None:
        """Why lines of batches of this tenant and this key begin no more; None: they may."""
        return self._budgets.pause(Spender(key_name, tenant or ANONYMOUS, True))

    async def answer(self, asked: Asked) -> Answer:
        """Run one line."""
        headers = {
            "x-headway-tier": "batch",
            "x-headway-deadline-ms": str(max(1, int(asked.left_s * 1000.0))),
        }
        if asked.tenant:
            headers["x-headway-tenant"] = asked.tenant
        try:
            response = await self._response(asked, headers)
        except ApiError as error:
            return _refused(error)
        except Exception:
            # All expected errors are ApiErrors: this is a bug, but not one of other lines.
            logger.exception("cannot run a line of a batch")
            return _refused(internal())
        assert isinstance(response, web.Response) and isinstance(response.body, bytes)
        text = response.body
        if b"\n" in text or b"\r" in text:  # some backends indent what they answer
            text = msgspec.json.format(text, indent=-1)
        return Answer(
            response.status, response.headers.get("x-request-id") or _id(), text, _usage(text)
        )

    async def written(self) -> None:
        """Wait until it is written down what the lines cost that were answered."""
        await self._accounts.written()

    async def _response(self, asked: Asked, headers: dict[str, str]) -> web.StreamResponse:
        endpoint = asked.endpoint
        admitted = Admitted(None, asked.body, batch=asked.batch, key_name=asked.key_name)
        if endpoint == RERANK:
            return await self._texts.rank(headers, admitted)
        if endpoint == EMBEDDINGS:
            response = await self._texts.embeddings(headers, admitted)
            if response is not None:
                return response
        admitted = await self._prompts.filled(endpoint, admitted)
        given = await off_loop(partial(read, endpoint), admitted.body)
        work = self._intake.work(endpoint, headers, admitted, given)
        work.idempotency_key = asked.key
        return await self._answers.answer(work, Reply(None))

    def _batched(self, endpoint: str, model: str) -> bool:
        """Whether a model that answers whole batches serves this."""
        return endpoint in (EMBEDDINGS, RERANK) and self._inference.serves(model)


def _refused(error: ApiError) -> Answer:
    """The answer for an error, and whether the line may be asked again."""
    again_s: float | None = None
    failed_runs = 0
    if error.code == "deadline_exceeded":
        again_s = LATE_S
    elif error.status in (429, 503):
        named = error.headers.get("Retry-After", "")
        again_s = float(named) if named.isascii() and named.isdigit() else BUSY_S
        again_s = min(again_s, LONGEST_S)
    elif error.status >= 500:
        again_s, failed_runs = FAILED_S, max(1, error.failed_runs)
    return Answer(error.status, _id(), error.body(), NO_USAGE, again_s, failed_runs)


def _usage(body: bytes) -> Usage:
    try:
        usage = _answer.decode(body).usage or _Usage()
    except msgspec.DecodeError:
        return NO_USAGE
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    produced = usage.completion_tokens
    return Usage(
        usage.prompt_tokens or 0,
        (prompt and prompt.cached_tokens) or 0,
        usage.headway.output_tokens if produced is None else produced,
        (completion and completion.reasoning_tokens) or 0,
    )


def _id() -> str:
    return f"req-{uuid4().hex}"
