"""Turns an HTTP request into a `Work`: who asks, for what, how urgent and how large it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from math import ceil
from typing import NamedTuple
from zlib import crc32

import msgspec

from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.engines.engine import Generation, Kind
from headway.engines.pool import BackendPool
from headway.gateway.api.names import checked_name
from headway.gateway.api.wire import (
    ChatRequest,
    CompletionRequest,
    Sampling,
)
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.claimed import ClaimedLengths, look_at
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.http.trace_context import trace_headers
from headway.gateway.intake.admissions import Admissions
from headway.gateway.intake.asked import Asked, PlaceInRun, Urgency
from headway.gateway.intake.backend_limits import obstacle_of, refuse_ignored
from headway.gateway.intake.entrance import Admitted
from headway.gateway.intake.given import ENDPOINTS, Given, estimated_prompt_tokens, opening
from headway.gateway.intake.model_names import ModelNames
from headway.gateway.keys.budgets import Downgrade, Spender
from headway.gateway.settings import GatewaySettings
from headway.gateway.work.work import Work
from headway.prediction.live.history import (
    LengthHistory,
    Origin,
    registered_template,
    template_hash,
)
from headway.prices.tokens import Tokens
from headway.prompts.prompt import PromptId
from headway.traces.span import Context
from headway.traces.tracer import Tracer

MOST_USER_AGENT = 120
"""Characters of a client's name that are kept."""
PREFIX_BYTES = 512
"""Number of first bytes of the prompt that decide where its prefix is probably cached."""


class _Length(NamedTuple):
    """What is known of the length of an answer."""

    estimate: SizeEstimate
    most_mean: float
    """The larger mean of what is claimed and what is usual: a low claim must not admit a long
    answer."""
    claimed_tokens: int | None = None
    claim_counts: bool = False


class Intake:
    """Makes works of requests, and reports all errors in them.

    Args:
        settings: the settings of the gateway.
        dispatcher: has the clock, and the descriptions of backends.
        history: lengths of earlier answers.
        claimed: handles lengths that clients claim.
        ahead: predicts what comes after an answer in its run.
        pool: the backends.
        models: the names of models.
        admissions: decides whether requests may run.
        tracer: samples traces; None: none are sampled.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        dispatcher: Dispatcher,
        history: LengthHistory,
        claimed: ClaimedLengths,
        ahead: RunsAhead,
        pool: BackendPool,
        models: ModelNames,
        admissions: Admissions,
        tracer: Tracer | None = None,
    ) -> None:
        self._admissions = admissions
        self._settings = settings
        self._dispatcher = dispatcher
        self._history = history
        self._claimed = claimed
        self._ahead = ahead
        self._pool = pool
        self._models = models
        self._tracer = tracer
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)

    def work(self, path: str, headers: Mapping[str, str], admitted: Admitted, given: Given) -> Work:
        """Make the work of a POST to `path`.

        Raises:
            ApiError: 400, 403, 404, 429 or 503, naming what is wrong.
        """
        try:
            return self._work(path, headers, admitted, given, None)
        except Downgrade as downgrade:
            return self._work(path, headers, admitted, given, downgrade)

    def _work(
        self,
        path: str,
        headers: Mapping[str, str],
        admitted: Admitted,
        given: Given,
        downgrade: Downgrade | None,
    ) -> Work:
        """Raises ApiError and Downgrade."""
        now_s = self._dispatcher.clock()
        endpoint = ENDPOINTS[path]
        caller, body, prompt, batch, key_name = admitted
        call, fields = given
        named = downgrade.to if downgrade is not None and downgrade.to else call.model
        model = self._models.model(checked_name(named, "model"))
        renamed = "model" not in fields or call.model != model
        if renamed:
            fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        asked = Asked(headers, call.metadata)
        urgency = Urgency.of(
            asked, caller, self._settings.default_tier, call.service_tier, call.user
        )
        if downgrade is not None and not downgrade.to:
            urgency = replace(urgency, tier=Tier.BATCH)
        place = PlaceInRun.of(asked)
        origin = Origin(
            model=model,
            tenant=urgency.tenant,
            template=_template(call, prompt) if endpoint.kind is not None else 0,
            program=place.program,
        )
        prompt_tokens = estimated_prompt_tokens(call, body)
        length = self._length(endpoint.kind, origin, asked.number("expected-tokens"), call.limit)
        if endpoint.kind is not None:
            refuse_ignored(self._pool, model, fields)
        obstacle = obstacle_of(self._pool, endpoint.kind, model, fields)
        trace, span = self._traced(headers)
        request = Request(
            id=f"req-{self._prefix}-{next(self._numbers)}",
            arrival_s=now_s,
            prompt_tokens=prompt_tokens,
            estimate=length.estimate,
            lane=model,
            tier=urgency.tier,
            tenant=urgency.tenant,
            program=origin.program,
            step=place.step,
            parents=place.parents,
            priority=call.priority or 0,
            deadline_s=None if urgency.deadline_s is None else now_s + urgency.deadline_s,
            prefix=_prefix(origin, fields[endpoint.prompt_field]),
            max_tokens=call.limit,
            preemptible=obstacle is None,
        )
        work = Work(
            request=request,
            kind=endpoint.kind,
            path=endpoint.path,
            origin=origin,
            body=body,
            fields=fields,
            user_agent=headers.get("user-agent", "")[:MOST_USER_AGENT],
            trace=trace,
            span=span,
            renamed=renamed,
            # The one text where they are equal: a thousand waiting requests share it.
            asked_model=model if call.model in ("default", model) else call.model,
            claimed_tokens=length.claimed_tokens,
            claimed_to_come_ms=place.to_come_ms,
            obstacle=obstacle,
            caller=caller,
            prompt=prompt,
            batch=batch,
            key_name=urgency.key_name or key_name,
        )
        if length.claimed_tokens is not None and length.claim_counts:
            work.predicted.claim_counts = True
            work.predicted.look_at = look_at(length.claimed_tokens)
        answers = 1
        if isinstance(call, Sampling):
            work.stream = bool(call.stream)
            options = call.stream_options
            work.include_usage = bool(options and options.include_usage)
            answers = call.n or 1
        if endpoint.kind is not None and obstacle is None:
            work.generation = Generation(
                kind=endpoint.kind, body=fields, model=model, headers=work.trace
            )
        work.admission = self._admissions.of_request(
            caller,
            Spender(work.key_name, urgency.tenant, bool(batch)),
            model,
            Tokens(prompt_tokens, output=ceil(answers * length.most_mean)),
            now_s,
            downgrade is not None,
        )
        self._ahead.arrives(request, origin, place.to_come_ms, now_s)
        return work

    def _length(
        self, kind: Kind | None, origin: Origin, expected: int | None, limit: int | None
    ) -> _Length:
        """What is known of the answer's length; `expected` is what the client claims."""
        if kind is None:
            one = SizeEstimate.exactly(1)
            return _Length(one, one.mean)
        usual = self._history.estimate(origin, limit)
        if expected is None:
            return _Length(usual, usual.mean)
        claimed_tokens = expected if limit is None else min(expected, limit)
        estimate, claim_counts = self._claimed.estimate(origin, claimed_tokens, limit)
        most_mean = max(estimate.mean, usual.mean)
        return _Length(estimate, most_mean, claimed_tokens, claim_counts)

    def _traced(self, headers: Mapping[str, str]) -> tuple[Mapping[str, str], Context | None]:
        """The headers of the trace that the request is part of, and its span if it is sampled."""
        trace = trace_headers(headers)
        if self._tracer is None:
            return trace, None
        span = self._tracer.begin(trace.get("traceparent", ""))
        if span is None:
            return trace, None
        return {**trace, "traceparent": span.traceparent}, span


def _prefix(origin: Origin, prompt: msgspec.Raw) -> int:
    """What placement knows requests by whose prompts begin alike: their run, else the beginning."""
    if origin.program:
        return crc32(f"{origin.tenant} {origin.program}".encode("utf-8", "surrogatepass"))
    return crc32(memoryview(prompt)[:PREFIX_BYTES])


def _template(call: ChatRequest | CompletionRequest, prompt: PromptId | None) -> int:
    """What it has in common with requests of about the same length, for the history."""
    return template_hash(opening(call)) if prompt is None else registered_template(str(prompt))
