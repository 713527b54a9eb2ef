"""Turns an HTTP request into a `Work`: who asks, for what, how urgent and how large it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import ceil
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.engines.engine import Generation, Kind
from headway.engines.pool import BackendPool
from headway.gateway.api.errors import ApiError, no_backend
from headway.gateway.api.names import checked_name
from headway.gateway.api.wire import (
    Call,
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Sampling,
)
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.claimed import ClaimedLengths, look_at
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.http.body import parsed
from headway.gateway.http.trace_context import trace_headers
from headway.gateway.intake.admissions import Admissions
from headway.gateway.intake.aliases import Aliases
from headway.gateway.intake.asked import Asked, PlaceInRun, Urgency
from headway.gateway.intake.backend_limits import obstacle, refuse_ignored
from headway.gateway.intake.entrance import Admitted
from headway.gateway.keys.budgets import Downgrade, Spender
from headway.gateway.settings import GatewaySettings
from headway.gateway.work.work import BYTES_PER_TOKEN, Work
from headway.prediction.live.history import (
    LengthHistory,
    Origin,
    registered_template,
    template_hash,
)
from headway.prediction.texts.prompt import SYSTEM_ROLES, text_of
from headway.prices.tokens import Tokens
from headway.prompts.prompt import PromptId
from headway.traces.tracer import Tracer

MEDIA = ("image_url", "input_audio", "video_url", "audio_url", "file")
"""Parts of a message that are not text; usually large and in base64."""
MEDIA_TOKENS = 1000
"""Approximate tokens of each such part: images have some hundreds or thousands, of any size."""
MOST_USER_AGENT = 120
"""Characters of a client's name that are kept."""
PREFIX_BYTES = 512
"""Number of first bytes of the prompt that decide where its prefix is probably cached."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


class _Endpoint(NamedTuple):
    """What an endpoint takes."""

    kind: Kind | None
    path: str
    """At a backend."""
    decoder: msgspec.json.Decoder[Any]
    prompt_field: str


_ENDPOINTS: Mapping[str, _Endpoint] = {
    f"/v1/{endpoint.path}": endpoint
    for endpoint in (
        _Endpoint("chat", "chat/completions", msgspec.json.Decoder(ChatRequest), "messages"),
        _Endpoint("completion", "completions", msgspec.json.Decoder(CompletionRequest), "prompt"),
        _Endpoint(None, "embeddings", msgspec.json.Decoder(EmbeddingRequest), "input"),
    )
}
"""By the path of the gateway."""


class Given(NamedTuple):
    """The body of a request, decoded."""

    call: Any
    """The fields that Headway knows, in the type of the path."""
    fields: dict[str, msgspec.Raw]
    """All fields, with their values unchanged."""


class Intake:
    """Makes works of requests, and reports all errors in them.

    Args:
        settings: the settings of the gateway.
        dispatcher: has the clock, and the descriptions of backends.
        history: lengths of earlier answers.
        claimed: handles lengths that clients claim.
        ahead: predicts what comes after an answer in its run.
        pool: the backends.
        batched: names of the models that answer whole batches.
        aliases: the operator's names of models.
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
        batched: Sequence[str],
        aliases: Aliases,
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
        self._batched = batched
        self._aliases = aliases
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
        endpoint = _ENDPOINTS[path]
        kind = endpoint.kind
        caller, body, prompt, batch, key_name = admitted
        call, fields = given
        named = downgrade.to if downgrade is not None and downgrade.to else call.model
        model = self.model(checked_name(named, "model"))
        renamed = "model" not in fields or call.model != model
        if renamed:
            fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        asked = Asked(headers, call.metadata)
        limit = call.limit
        urgency = Urgency.of(
            asked, caller, self._settings.default_tier, call.service_tier, call.user
        )
        if downgrade is not None and not downgrade.to:
            urgency = replace(urgency, tier=Tier.BATCH)
        place = PlaceInRun.of(asked)
        origin = Origin(
            model=model,
            tenant=urgency.tenant,
            template=_template(call, prompt) if kind is not None else 0,
            program=place.program,
        )
        prompt_tokens = estimated_prompt_tokens(call, body)
        expected = asked.number("expected-tokens")
        claimed_tokens, claim_counts = None, False
        if kind is None:
            estimate = SizeEstimate.exactly(1)
        elif expected is not None:
            claimed_tokens = expected if limit is None else min(expected, limit)
            estimate, claim_counts = self._claimed.estimate(origin, claimed_tokens, limit)
        else:
            estimate = self._history.estimate(origin, limit)
        if kind is None:
            reason: str | None = "generates nothing"
        else:
            refuse_ignored(self._pool, model, fields)
            reason = obstacle(self._pool, kind, model, fields)
        trace, span = trace_headers(headers), None
        if self._tracer is not None:
            span = self._tracer.begin(trace.get("traceparent", ""))
            if span is not None:
                trace = {**trace, "traceparent": span.traceparent}
        request = Request(
            id=f"req-{self._prefix}-{next(self._numbers)}",
            arrival_s=now_s,
            prompt_tokens=prompt_tokens,
            estimate=estimate,
            lane=model,
            tier=urgency.tier,
            tenant=urgency.tenant,
            program=origin.program,
            step=place.step,
            parents=place.parents,
            priority=call.priority or 0,
            deadline_s=None if urgency.deadline_s is None else now_s + urgency.deadline_s,
            prefix=_prefix(origin, fields[endpoint.prompt_field]),
            max_tokens=limit,
            preemptible=reason is None,
        )
        work = Work(
            request=request,
            kind=kind,
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
            claimed_tokens=claimed_tokens,
            claimed_to_come_ms=place.to_come_ms,
            obstacle=reason,
            caller=caller,
            prompt=prompt,
            batch=batch,
            key_name=urgency.key_name or key_name,
        )
        if claimed_tokens is not None and claim_counts:
            work.predicted.claim_counts = True
            work.predicted.look_at = look_at(claimed_tokens)
        if isinstance(call, Sampling):
            work.stream = bool(call.stream)
            options = call.stream_options
            work.include_usage = bool(options and options.include_usage)
        if kind is not None and reason is None:
            work.generation = Generation(kind=kind, body=fields, model=model, headers=work.trace)
        # Also by the history of similar requests: a low claim must not admit a long answer.
        usual = estimate if expected is None else self._history.estimate(origin, limit)
        answers = call.n or 1 if isinstance(call, Sampling) else 1
        output_tokens = answers * max(estimate.mean, usual.mean)
        work.admission = self._admissions.of_request(
            caller,
            Spender(work.key_name, urgency.tenant, bool(batch)),
            model,
            Tokens(prompt_tokens, output=ceil(output_tokens)),
            now_s,
            downgrade is not None,
        )
        self._ahead.arrives(request, origin, place.to_come_ms, now_s)
        return work

    def model(self, name: str) -> str:
        """The backends' name of the model that the client calls `name`.

        `default` is the first model, unless it is an alias. A backend that has not answered yet may
        have any model: then `name` is accepted, and the request waits for that backend.

        Raises:
            ApiError: 400 if the model answers whole batches, 404 if no backend has it, 503 if no
                backend has ever answered.
        """
        models = self._pool.models()
        asked, name = name, self._aliases.model(name, [*models, *self._batched])
        if name in models:
            return name
        if not models and (self._pool.statuses or not self._batched):
            raise no_backend(asked)
        if name == "default" and models:
            return models[0]
        if name in self._batched:
            raise ApiError(
                400,
                f"The model {name!r} answers whole batches and cannot chat; see /docs for what "
                "it can do.",
                code="wrong_task",
                param="model",
            )
        if any(not status.models for status in self._pool.statuses.values()):
            return name
        meant = repr(name) if name == asked else f"{name!r}, which {asked!r} stands for,"
        names = ", ".join([*(["default"] if models else []), *self.names()])
        raise ApiError(
            404,
            f"The model {meant} does not exist; there are: {names}.",
            code="model_not_found",
            param="model",
        )

    def names(self) -> list[str]:
        """The model names that clients may use, except `default`."""
        return self._aliases.listed([*self._pool.models(), *self._batched])

    def inputs(self, name: str) -> list[str]:
        """What the model that clients call `name` takes: text, and what every backend takes beside
        it on which it may run."""
        models = self._pool.models()
        model = self._aliases.model(name, [*models, *self._batched])
        if model == "default" and models:
            model = models[0]
        takes = [
            status.description.takes(model)
            for status in self._pool.statuses.values()
            if status.description is not None and model in status.models and not status.leaving
        ]
        media = frozenset.intersection(*takes) if takes else frozenset[str]()
        return ["text", *sorted(media, reverse=True)]


def _prefix(origin: Origin, prompt: msgspec.Raw) -> int:
    """What placement knows requests by whose prompts begin alike: their run, else the beginning."""
    if origin.program:
        return crc32(f"{origin.tenant} {origin.program}".encode("utf-8", "surrogatepass"))
    return crc32(memoryview(prompt)[:PREFIX_BYTES])


def _template(call: ChatRequest | CompletionRequest, prompt: PromptId | None) -> int:
    """What it has in common with requests of about the same length, for the history."""
    return template_hash(opening(call)) if prompt is None else registered_template(str(prompt))


def opening(call: ChatRequest | CompletionRequest) -> str:
    """The text of the first system message, else of the first message; or of the prompt.

    Empty if that has no text.
    """
    if isinstance(call, CompletionRequest):
        return text_of(call.prompt)
    messages = call.messages
    first = next((one for one in messages if one.role in SYSTEM_ROLES), messages[0])
    if not isinstance(first.content, list):
        return first.content or ""
    texts = [part["text"] for part in first.content if "text" in part]
    return "\n".join(_STRING.decode(text) for text in texts if bytes(memoryview(text)[:1]) == b'"')


def estimated_prompt_tokens(call: Call, body: bytes) -> int:
    """Approximate number of prompt tokens in `body`; an engine counts them later."""
    messages = call.messages if isinstance(call, ChatRequest) else ()
    parts = [part for one in messages if isinstance(one.content, list) for part in one.content]
    media = [memoryview(part[name]).nbytes for part in parts for name in MEDIA if name in part]
    return max(1, (len(body) - sum(media)) // BYTES_PER_TOKEN + MEDIA_TOKENS * len(media))


def read(path: str, body: bytes) -> Given:
    """Decode the body of a POST to `path`.

    Raises:
        ApiError: 400; it says where the JSON is malformed, or which field is wrong and how.
    """
    call = parsed(body, _ENDPOINTS[path].decoder)
    fields = parsed(body, _FIELDS)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ApiError(
            400,
            f"The body is not UTF-8 at byte {error.start}; send JSON in UTF-8.",
            code="invalid_utf8",
        ) from None
    return Given(call, fields)
