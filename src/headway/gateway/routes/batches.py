"""OpenAI's Batch API: requests from a file, answered within a day."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.batches.batch import Batch, Usage, WrongStatus
from headway.batches.batches import MOST_METADATA, Batches, NothingFailed
from headway.batches.input_file import PROMPT_FIELDS
from headway.gateway.api.answer import json_answer
from headway.gateway.api.batches import (
    BatchExtras,
    BatchList,
    BatchRequest,
    BatchView,
    Counts,
    ErrorList,
    ErrorView,
    FailedLines,
    FailedLineView,
    InputDetails,
    OutputDetails,
    UsageView,
)
from headway.gateway.api.errors import ApiError, invalid_value
from headway.gateway.http.body import parsed
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import Caller, who
from headway.gateway.routes.costs import CostsRoutes
from headway.gateway.routes.files import (
    disk_error,
    expiry,
    kept,
    limit_of,
    no_file,
    owner_of,
    page,
    seen_by,
    unknown_cursor,
)

logger = logging.getLogger(__name__)

PAGE, LARGEST_PAGE = 20, 100
LONGEST_KEY, LONGEST_VALUE = 64, 512


_request = msgspec.json.Decoder(BatchRequest)


class BatchesRoutes:
    """Handlers of `/v1/batches` and the paths below it.

    Args:
        entrance: authenticates requests.
        batches: all batches; None: none are kept.
        costs: knows what batches cost.
    """

    def __init__(self, entrance: Entrance, batches: Batches | None, costs: CostsRoutes) -> None:
        self._entrance = entrance
        self._batches = batches
        self._costs = costs

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "create_batch": self.create,
            "batches": self.batches,
            "batch": self.batch,
            "batch_errors": self.errors,
            "cancel_batch": self.cancel,
            "pause_batch": self.pause,
            "resume_batch": self.resume,
            "retry_batch": self.retry,
        }

    async def create(self, request: web.Request) -> web.Response:
        """Begin a batch. Raises ApiError 400 or 404."""
        admitted = await self._entrance.admit(request)
        batches = kept(self._batches)
        asked: BatchRequest = parsed(admitted.body, _request)
        if asked.endpoint not in PROMPT_FIELDS:
            known = ", ".join(PROMPT_FIELDS)
            raise invalid_value(f"endpoint must be one of {known}.", "endpoint")
        if asked.completion_window != "24h":
            raise invalid_value("completion_window must be 24h.", "completion_window")
        _check_metadata(asked.metadata)
        expires = asked.output_expires_after
        if expires is not None:
            expiry(expires.seconds, expires.anchor, "output_expires_after")
        file = await batches.file(asked.input_file_id, owner_of(admitted.caller))
        if file is None:
            error = no_file(asked.input_file_id)
            error.param = "input_file_id"
            raise error
        if file.purpose != "batch":
            raise invalid_value("The file must have the purpose batch.", "input_file_id")
        try:
            batch = await batches.create(
                file,
                asked.endpoint,
                asked.metadata,
                None if expires is None else expires.seconds,
                _key_name(admitted.caller),
            )
        except FileNotFoundError:  # it was deleted at this moment
            raise no_file(asked.input_file_id) from None
        except OSError as error:
            raise disk_error(error) from None
        return json_answer(view(batch))

    async def batches(self, request: web.Request) -> web.Response:
        """Batches, the newest first, page by page. Raises ApiError 400."""
        owner = seen_by(self._entrance.caller(request))
        limit = limit_of(request, PAGE, LARGEST_PAGE)
        after = request.query.get("after")
        with unknown_cursor():
            found = await kept(self._batches).batches(owner, after, limit + 1)
        shown, first, last, more = page(found, limit)
        return json_answer(BatchList(await self._whole(shown), first, last, more))

    async def batch(self, request: web.Request) -> web.Response:
        """One batch. Raises ApiError 404."""
        (shown,) = await self._whole([await self._found(request)])
        return json_answer(shown)

    async def errors(self, request: web.Request) -> web.Response:
        """The first lines that failed, with their errors. Raises ApiError 400 or 404."""
        limit = limit_of(request, PAGE, LARGEST_PAGE)
        batch = await self._found(request)
        try:
            found = await kept(self._batches).failed_lines(batch, limit)
        except FileNotFoundError:
            raise ApiError(
                404,
                "The error file of this batch is gone: it was deleted, or has expired.",
                code="file_not_found",
            ) from None
        lines = [FailedLineView(**one._asdict()) for one in found]
        return json_answer(FailedLines(lines, batch.failed))

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a batch; again is well. Raises ApiError 404, or 409 if it is over."""
        return await self._asked(request, "cancel", Batches.cancel)

    async def pause(self, request: web.Request) -> web.Response:
        """Begin no more lines of a batch. Raises ApiError 404, or 409 if none will begin."""
        return await self._asked(request, "pause", Batches.pause_batch)

    async def resume(self, request: web.Request) -> web.Response:
        """Let lines begin again. Raises ApiError 404."""
        return await self._asked(request, "resume", Batches.resume_batch)

    async def retry(self, request: web.Request) -> web.Response:
        """Begin a batch of the requests that failed in another.

        Raises ApiError 404, also where the files of that one are gone, and 409 if none failed.
        """
        again = partial(Batches.retry, key_name=_key_name(self._entrance.caller(request)))
        try:
            return await self._asked(request, "retry", again)
        except NothingFailed:
            raise ApiError(
                409, "No request of this batch failed: there is no error file.", code="none_failed"
            ) from None
        except FileNotFoundError:
            raise ApiError(
                404,
                "The input or the error file of this batch is gone; upload its requests again.",
                code="file_not_found",
            ) from None
        except OSError as error:
            raise disk_error(error) from None

    async def _asked(
        self,
        request: web.Request,
        what: str,
        do: Callable[[Batches, str, str | None], Awaitable[Batch | None]],
    ) -> web.Response:
        caller = self._entrance.caller(request)
        owner, id = seen_by(caller), request.match_info["batch_id"]
        try:
            batch = await do(kept(self._batches), id, owner)
        except WrongStatus:
            before = await kept(self._batches).batch(id, owner)
            status = "over" if before is None else before.status
            code = "batch_is_over" if before is None or before.status.over else "wrong_status"
            raise ApiError(
                409, f"Cannot {what} a batch with status '{status}'.", code=code
            ) from None
        if batch is None:
            raise _no_batch(id)
        here = caller is not None or self._entrance.from_here(request)
        logger.info(
            "batch %s: %s, by %s", id, what, who(caller) if here else "somebody without a key"
        )
        return json_answer(view(batch))

    async def _found(self, request: web.Request) -> Batch:
        owner = seen_by(self._entrance.caller(request))
        id = request.match_info["batch_id"]
        batch = await kept(self._batches).batch(id, owner)
        if batch is None:
            raise _no_batch(id)
        return batch

    async def _whole(self, found: Sequence[Batch]) -> list[BatchView]:
        """Batches with what OpenAI's API does not have."""
        costs = await self._costs.of_batches([one.id for one in found])
        batches, shown = kept(self._batches), []
        for batch in found:
            one, cost, ends_at = view(batch), costs.get(batch.id), batches.ends_at(batch)
            one.headway = BatchExtras(
                owner=batch.owner,
                key=batch.key_name,
                cost=None if cost is None else cost.cost,
                unpriced=0 if cost is None else cost.unpriced,
                uncounted=0 if cost is None else max(0, batch.completed - cost.answered),
                waits=batches.waits(batch) or None,
                ends_at=None if ends_at is None else round(ends_at),
            )
            shown.append(one)
        return shown


def view(batch: Batch) -> BatchView:
    """A batch as clients see it."""
    errors = [ErrorView(**asdict(error)) for error in batch.errors]
    return BatchView(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model,
        errors=ErrorList(errors) if errors else None,
        input_file_id=batch.input_file_id,
        status=str(batch.status),
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=batch.created_at,
        in_progress_at=batch.in_progress_at,
        expires_at=batch.expires_at,
        finalizing_at=batch.finalizing_at,
        completed_at=batch.completed_at,
        failed_at=batch.failed_at,
        expired_at=batch.expired_at,
        cancelling_at=batch.cancelling_at,
        cancelled_at=batch.cancelled_at,
        request_counts=Counts(batch.total, batch.completed, batch.failed),
        usage=_usage(batch.usage),
        metadata=None if batch.metadata is None else dict(batch.metadata),
        paused_at=batch.paused_at,
    )


def _key_name(caller: Caller | None) -> str:
    return "" if caller is None else caller.name


def _usage(usage: Usage) -> UsageView:
    return UsageView(
        usage.input_tokens,
        InputDetails(usage.cached_tokens),
        usage.output_tokens,
        OutputDetails(usage.reasoning_tokens),
        usage.input_tokens + usage.output_tokens,
    )


def _check_metadata(metadata: dict[str, str] | None) -> None:
    if metadata is None:
        return
    if len(metadata) > MOST_METADATA:
        raise invalid_value(f"metadata must have at most {MOST_METADATA} entries.", "metadata")
    for key, value in metadata.items():
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            raise invalid_value(
                f"metadata[{key[:LONGEST_KEY]!r}] is too long: keys may have {LONGEST_KEY} "
                f"characters, values {LONGEST_VALUE}.",
                "metadata",
            )


def _no_batch(id: str) -> ApiError:
    return ApiError(
        404, f"No such Batch object: {id[:100]}", code="batch_not_found", param="batch_id"
    )
