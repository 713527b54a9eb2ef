"""What is written down of a request: its usage, and at its end metrics, logs and history."""

from __future__ import annotations

import logging
import time

import msgspec

from headway.core.scheduler import Scheduler
from headway.gateway.metrics import Metrics
from headway.gateway.wire import HeadwayUsage
from headway.gateway.work import Work
from headway.prediction.history import LengthHistory
from headway.store.request_log import Outcome, RequestLog, RequestRecord

request_logger = logging.getLogger("headway.request")


class Accounts:
    """Settles every request once."""

    def __init__(
        self,
        scheduler: Scheduler,
        metrics: Metrics,
        history: LengthHistory,
        request_log: RequestLog | None,
    ) -> None:
        self._scheduler = scheduler
        self._metrics = metrics
        self._history = history
        self._request_log = request_log

    def headers(self, work: Work) -> dict[str, str]:
        """The response headers that tell how `work` was scheduled; it has started."""
        request = work.request
        return {
            "Server": "headway",
            "x-request-id": request.id,
            "x-headway-request-id": request.id,
            "x-headway-queue-ms": f"{(work.started_s - request.arrival_s) * 1000.0:.2f}",
            "x-headway-backend": work.served_by,
            "x-headway-tier": request.tier.label,
            "x-headway-predicted-tokens": f"{request.estimate.mean:.0f}",
        }

    def usage(self, work: Work, now_s: float) -> HeadwayUsage:
        """`usage.headway` of `work`, at its end."""
        request = work.request
        arrival_s = request.arrival_s
        first_s = work.first_token_s if work.first_token_s >= 0.0 else now_s
        return HeadwayUsage(
            policy=self._scheduler.policy_name,
            tier=request.tier.label,
            tenant=request.tenant,
            backend=work.served_by,
            queue_ms=_ms(work.started_s - arrival_s),
            ttft_ms=_ms(first_s - arrival_s),
            total_ms=_ms(now_s - arrival_s),
            predicted_tokens=round(request.estimate.mean, 1),
            output_tokens=work.output_tokens,
            preemptions=request.preemptions,
            failovers=work.failovers,
            preemptible=work.obstacle is None,
            not_preemptible_because=work.obstacle,
        )

    def settle(self, work: Work, outcome: Outcome, status: int, reason: str, now_s: float) -> None:
        """Write down how `work` ended.

        Args:
            work: a request that is over.
            outcome: how.
            status: HTTP status that the client got (499: it was gone).
            reason: the error's code, empty where there was none.
            now_s: now, on the dispatcher's clock.
        """
        if work.settled:
            return
        work.settled = True
        if work.ended_s < 0.0:
            work.ended_s = now_s
        request = work.request
        if outcome == "rejected":
            self._metrics.rejected(reason)
        self._metrics.ended(work, outcome)
        if outcome == "finished" and work.kind is not None and work.output_tokens:
            self._history.observe(work.model, request.tenant, work.template, work.output_tokens)
        if work.caller is not None:
            prompt_tokens = work.prompt_tokens or 0
            work.caller.charge(prompt_tokens + work.output_tokens, now_s)
        if self._request_log is None and not request_logger.isEnabledFor(logging.INFO):
            return
        record = self._record(work, outcome, status, reason)
        if self._request_log is not None:
            self._request_log.write(record)
        if request_logger.isEnabledFor(logging.INFO):
            line = msgspec.structs.replace(record, prompt=None)
            request_logger.info("%s", msgspec.json.encode(line).decode())

    def _record(self, work: Work, outcome: Outcome, status: int, reason: str) -> RequestRecord:
        request = work.request
        arrival_s = request.arrival_s
        prompt = None
        if self._request_log is not None and self._request_log.keep_prompts:
            field = "messages" if work.kind == "chat" else "prompt"
            prompt = bytes(work.fields.get(field, b"")).decode(errors="replace")
        return RequestRecord(
            id=request.id,
            arrival_unix_s=time.time() - (work.ended_s - arrival_s),
            tier=request.tier.label,
            tenant=request.tenant,
            program=request.program,
            model=work.model,
            backend=work.served_by,
            policy=self._scheduler.policy_name,
            prompt_tokens=work.prompt_tokens,
            cached_tokens=work.cached_tokens,
            max_tokens=request.max_tokens,
            predicted_tokens=request.estimate.mean,
            output_tokens=work.output_tokens,
            queue_ms=_ms(work.started_s - arrival_s) if work.started_s >= 0.0 else None,
            ttft_ms=_ms(work.first_token_s - arrival_s) if work.first_token_s >= 0.0 else None,
            total_ms=_ms(work.ended_s - arrival_s),
            preemptions=request.preemptions,
            outcome=outcome,
            status=status,
            reason=reason or work.obstacle or "",
            template=f"{work.template:x}",
            prompt=prompt,
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000.0, 3)
