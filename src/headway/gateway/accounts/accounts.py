"""Records requests: usage for the answer, and at the end metrics, logs and history."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import NamedTuple

from headway.core.scheduler import Scheduler
from headway.gateway.accounts import request_lines
from headway.gateway.accounts.lives import life_of, ms
from headway.gateway.accounts.metrics import Metrics
from headway.gateway.accounts.refusals import Refusals
from headway.gateway.accounts.spans import spans_of
from headway.gateway.api.wire import HeadwayUsage
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.money.pricing import Pricing
from headway.gateway.money.used_tokens import predicted_tokens, used_tokens
from headway.gateway.work.work import Work
from headway.prediction.learning.logged import LoggedPrompt
from headway.prediction.live.history import LengthHistory
from headway.store.request_log import RequestLog
from headway.store.request_record import Outcome, RequestRecord
from headway.traces.tracer import Tracer

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""Status in the log for a client that left before its answer was complete."""
WRITE_AFTER_S = 0.05
LOG_S = 10.0
"""How long a log that takes no more rows is waited for."""
AT_ONCE = 32
"""Requests recorded in one go: few enough not to delay the event loop, and enough to profit from
warm CPU caches."""


class _Ended(NamedTuple):
    """A request that has ended and is not recorded yet."""

    work: Work
    outcome: Outcome
    status: int
    reason: str
    zero_unix_s: float
    """Unix time of the clock's zero."""
    tokens: int
    """That were charged."""
    cost: float | None


class Accounts:
    """Records each request once, at its end."""

    def __init__(
        self,
        scheduler: Scheduler,
        metrics: Metrics,
        history: LengthHistory,
        foresight: Foresight,
        ahead: RunsAhead,
        pricing: Pricing,
        request_log: RequestLog | None,
        tracer: Tracer | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._metrics = metrics
        self._history = history
        self._foresight = foresight
        self._ahead = ahead
        self._pricing = pricing
        self._request_log = request_log
        self._tracer = tracer
        self.refusals = Refusals(metrics, request_log)
        """Writes down what was refused."""
        self._ended: deque[_Ended] = deque()
        self._inferred: deque[RequestRecord] = deque()
        """Requests to models that answer whole batches."""
        self._timer: asyncio.TimerHandle | None = None

    def headers(self, work: Work) -> dict[str, str]:
        """The response headers that show how `work` was scheduled.

        Queue time and backend are missing before it starts, and the cost before it ends.
        """
        request = work.request
        headers = {
            "x-request-id": request.id,
            **work.trace,
            "x-headway-request-id": request.id,
            "x-headway-tier": request.tier.label,
            "x-headway-predicted-tokens": f"{predicted_tokens(request):.0f}",
        }
        if work.prompt is not None:
            headers["x-headway-prompt"] = str(work.prompt)
        if request.started_s >= 0.0:
            queue_ms = (request.started_s - request.arrival_s) * 1000.0
            headers["x-headway-queue-ms"] = f"{queue_ms:.2f}"
            headers["x-headway-backend"] = work.served.backend
        if work.served.ended_s >= 0.0:
            cost = self._pricing.cost(work, "finished")
            if cost is not None:
                headers["x-headway-cost"] = f"{cost:.9f}"
        return headers

    def usage(self, work: Work, now_s: float) -> HeadwayUsage:
        """`usage.headway` of `work`, at its end."""
        request = work.request
        arrival_s = request.arrival_s
        first_s = work.served.first_token_s if work.served.first_token_s >= 0.0 else now_s
        return HeadwayUsage(
            policy=self._scheduler.policy_name,
            tier=request.tier.label,
            tenant=request.tenant,
            backend=work.served.backend,
            queue_ms=ms(request.started_s - arrival_s),
            ttft_ms=ms(first_s - arrival_s),
            total_ms=ms(now_s - arrival_s),
            predicted_tokens=round(predicted_tokens(request), 1),
            output_tokens=work.output_tokens,
            preemptions=request.preemptions,
            failovers=work.served.failovers,
            preemptible=work.obstacle is None,
            not_preemptible_because=work.obstacle,
            cost=self._pricing.cost(work, "finished"),
        )

    def settle(self, work: Work, outcome: Outcome, status: int, reason: str, now_s: float) -> None:
        """Record how `work` ended, once; most of it happens a moment later, to delay nothing.

        Args:
            work: a request that has ended.
            outcome: how it ended.
            status: HTTP status that the client got; 499: the client was gone.
            reason: the error's code; empty if there was none.
            now_s: the current time on the dispatcher's clock.
        """
        if work.served.ended_s < 0.0:
            work.served.ended_s = now_s
        used, cost = used_tokens(work, outcome), self._pricing.cost(work, outcome)
        tokens = used.prompt + used.output
        if work.admission is not None:
            if work.request.started_s < 0.0 and outcome != "cancelled":
                work.admission.withdraw(now_s)
            else:
                work.admission.settle(tokens, now_s, cost)
        zero_unix_s = time.time() - now_s
        self._ended.append(_Ended(work, outcome, status, reason, zero_unix_s, tokens, cost))
        self._write_soon()

    def inferred(self, record: RequestRecord) -> None:
        """Record a request to a model that answers whole batches; its metrics are its own."""
        self._inferred.append(record)
        self._write_soon()

    def flush(self) -> None:
        """Record all requests that have ended so far."""
        while self._ended or self._inferred:
            self._write_batch()

    async def written(self) -> None:
        """Wait until the request log has all requests that have ended so far, if it takes them."""
        self.flush()
        if self._request_log is not None:
            await asyncio.wait([asyncio.wrap_future(self._request_log.mark())], timeout=LOG_S)

    def close(self) -> None:
        """Record what has ended, and log what was folded."""
        self.flush()
        self.refusals.close()

    def _write_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER_S, self._write_some)

    def _write_some(self) -> None:
        self._write_batch()
        self._timer = None
        if self._ended or self._inferred:
            self._timer = asyncio.get_running_loop().call_later(0.0, self._write_some)

    def _write_batch(self) -> None:
        logged = request_lines.wanted()
        written = logged or self._request_log is not None or self._tracer is not None
        records = []
        for _ in range(min(len(self._ended), AT_ONCE)):
            ended = self._ended.popleft()
            work = ended.work
            try:
                self._count(ended)
                if written:
                    record = self._record(ended)
                    self._keep(record, work)
                    if ended.outcome != "rejected" or self.refusals.has_line(record):
                        records.append(record)
            except Exception:  # the others must still be recorded
                logger.exception("request %s cannot be recorded", work.request.id)
        for _ in range(min(len(self._inferred), AT_ONCE)):
            record = self._inferred.popleft()
            self._metrics.cost(record.model, record.tier, record.cost)
            if self._request_log is not None:
                self._request_log.write(record)
            if record.outcome != "rejected" or self.refusals.has_line(record):
                records.append(record)
        if logged:
            request_lines.log_requests(records)

    def _count(self, ended: _Ended) -> None:
        work, outcome = ended.work, ended.outcome
        if outcome == "rejected":
            self._metrics.rejected(ended.reason)
        self._metrics.ended(work, outcome)
        self._metrics.cost(work.origin.model, work.request.tier.label, ended.cost)
        if work.claimed_tokens is not None:
            self._foresight.claim_ended(work, outcome == "finished")
        self._ahead.left(work, outcome == "finished")
        if outcome == "finished" and work.kind is not None and work.output_tokens:
            self._foresight.ended(work)  # before history learns the answer
            self._history.observe(work.origin, work.output_tokens, work.cut_off)

    def _keep(self, record: RequestRecord, work: Work) -> None:
        if self._request_log is None and work.span is None:
            return
        life = life_of(work, record.outcome)
        if self._tracer is not None and work.span is not None:
            self._tracer.write(partial(spans_of, record, life, work.span))
        if self._request_log is not None:
            prompt = None
            if work.kind is not None and record.outcome == "finished":
                prompt = LoggedPrompt(work.kind, work.fields)
            self._request_log.write(record, prompt, life)

    def _record(self, ended: _Ended) -> RequestRecord:
        work = ended.work
        request, served = work.request, work.served
        arrival_s = request.arrival_s
        prompt = None
        if self._request_log is not None and self._request_log.keep_prompts:
            field = "messages" if work.kind == "chat" else "prompt"
            prompt = bytes(work.fields.get(field, b"")).decode(errors="replace")
        return RequestRecord(
            id=request.id,
            arrival_unix_s=ended.zero_unix_s + arrival_s,
            tier=request.tier.label,
            tenant=request.tenant,
            program=request.program,
            step=request.step,
            parents=",".join(request.parents),
            to_come_ms=None if request.to_come is None else round(request.to_come.mean, 1),
            model=work.origin.model,
            backend=served.backend,
            policy=self._scheduler.policy_name,
            prompt_tokens=served.prompt_tokens,
            cached_tokens=served.cached_tokens,
            max_tokens=request.max_tokens,
            predicted_tokens=predicted_tokens(request),
            output_tokens=work.output_tokens,
            queue_ms=ms(request.started_s - arrival_s) if request.started_s >= 0.0 else None,
            ttft_ms=ms(served.first_token_s - arrival_s) if served.first_token_s >= 0.0 else None,
            total_ms=ms(served.ended_s - arrival_s),
            preemptions=request.preemptions,
            outcome=ended.outcome,
            status=ended.status,
            reason=ended.reason or work.obstacle or "",
            template=f"{work.origin.template:x}",
            prompt=prompt,
            prompt_name=work.prompt.name if work.prompt else "",
            prompt_version=work.prompt.version if work.prompt else None,
            key=work.key_name,
            batch=work.batch,
            charged_tokens=ended.tokens,
            cost=ended.cost,
        )
