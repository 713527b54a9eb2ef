"""OpenAI's Files API: uploads that are streamed to disk, and what batches wrote."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import msgspec
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from headway.batches.batch import MONTH_S
from headway.batches.batches import Batches
from headway.batches.folder import Part
from headway.batches.journal import Order, UnknownCursor
from headway.batches.schema import StoredFile
from headway.gateway.api.answer import SERVER, json_answer
from headway.gateway.api.errors import ApiError, invalid_value
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import Caller

PATH = "/v1/files"
MALFORMED = (ValueError, AssertionError, web.RequestPayloadError, HttpProcessingError)
"""What aiohttp raises for a form that is none."""
CHUNK_BYTES = 1024 * 1024
FIELD_BYTES = 1024
FIELDS_BYTES = 64 * 1024
"""How much longer a request may be than the file in it."""
LARGEST_PAGE = 10_000
SHORTEST_S, LONGEST_S = 3600, MONTH_S
"""How long files may be kept, where a client says so."""


class FileView(msgspec.Struct):
    """One file."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    expires_at: int | None
    object: str = "file"
    status: str = "processed"
    status_details: str | None = None


class FileList(msgspec.Struct):
    """One page of files."""

    data: list[FileView]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: str = "list"


class DeletedFile(msgspec.Struct):
    """What is answered to DELETE."""

    id: str
    object: str = "file"
    deleted: bool = True


class FilesRoutes:
    """Handlers of `/v1/files` and the paths below it.

    Args:
        entrance: authenticates requests.
        batches: keeps the files; None: none are kept.
        timeout_s: a client that sends nothing for so long loses its upload.
    """

    def __init__(self, entrance: Entrance, batches: Batches | None, timeout_s: float) -> None:
        self._entrance = entrance
        self._batches = batches
        self._timeout_s = timeout_s

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "upload": self.upload,
            "files": self.files,
            "file": self.file,
            "file_content": self.content,
            "delete_file": self.delete,
        }

    def refuse_too_large(self, request: web.Request) -> None:
        """Raise ApiError 413 if `Content-Length` exceeds the limit of files."""
        most = kept(self._batches).settings.max_file_bytes
        if (request.content_length or 0) > most + FIELDS_BYTES:
            raise _too_large(most)

    async def upload(self, request: web.Request) -> web.Response:
        """Keep a file. Raises ApiError 400, 408, 413 or 507; nothing of the file is left then."""
        owner = owner_of(self._entrance.caller(request))
        batches = kept(self._batches)
        self.refuse_too_large(request)
        if request.content_type != "multipart/form-data":
            raise invalid_value("Send the file as multipart/form-data, with its purpose.", "file")
        part: Part | None = None
        try:
            part, filename, fields = await self._received(request, batches)
            expires_s = _expiry(fields)
            if fields.get("purpose") != "batch":
                raise invalid_value("purpose must be batch: files are for batches here.", "purpose")
            if part is None:
                raise invalid_value("There is no file; send it in the field file.", "file")
            file = await batches.add_file(part, owner, "batch", filename, expires_s or MONTH_S)
        except OSError as error:
            raise disk_error(error) from None
        finally:
            if part is not None:
                await asyncio.to_thread(part.discard)
        response = json_answer(view(file))
        response.force_close()  # where its body ended is not known to the connection
        return response

    async def _received(
        self, request: web.Request, batches: Batches
    ) -> tuple[Part | None, str, dict[str, str]]:
        """The file, its name, and the other fields. Raises ApiError and OSError."""
        part: Part | None = None
        filename, fields = "", dict[str, str]()
        try:
            form = await request.multipart()
            while (field := await self._next(form)) is not None:
                if field.name == "file" and part is None:
                    filename = field.filename or "file"
                    part = batches.folder.new()
                    await self._to_disk(field, part, batches.settings.max_file_bytes)
                elif field.name is not None:
                    fields[field.name] = await self._text(field)
        except BaseException as error:
            if part is not None:
                part.discard()
            if isinstance(error, TimeoutError):
                raise ApiError(
                    408, "The file did not arrive in time.", code="request_timeout"
                ) from None
            if isinstance(error, MALFORMED):
                raise invalid_value(
                    f"The form is malformed: {error or 'it ends early'}.", "file"
                ) from None
            raise
        return part, filename, fields

    async def _next(self, form: MultipartReader) -> BodyPartReader | None:
        async with asyncio.timeout(self._timeout_s):
            field = await form.next()
        if field is not None and not isinstance(field, BodyPartReader):
            raise ValueError("it has a form within the form")
        return field

    async def _to_disk(self, field: BodyPartReader, part: Part, most_bytes: int) -> None:
        waiting = bytearray()
        while chunk := await self._chunk(field):
            waiting += chunk
            if part.bytes + len(waiting) > most_bytes:
                raise _too_large(most_bytes)
            if len(waiting) >= CHUNK_BYTES:
                await asyncio.to_thread(part.write, waiting)
                waiting = bytearray()
        await asyncio.to_thread(part.write, waiting)

    async def _text(self, field: BodyPartReader) -> str:
        text = bytearray()
        while chunk := await self._chunk(field):
            text += chunk
            if len(text) > FIELD_BYTES:
                raise ValueError(f"the field {str(field.name)[:40]!r} is too long")
        return text.decode()

    async def _chunk(self, field: BodyPartReader) -> bytes:
        async with asyncio.timeout(self._timeout_s):
            return await field.read_chunk(CHUNK_BYTES)

    async def files(self, request: web.Request) -> web.Response:
        """Files, page by page. Raises ApiError 400."""
        owner = owner_of(self._entrance.caller(request))
        order = request.query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise invalid_value("order must be asc or desc.", "order")
        limit = limit_of(request, LARGEST_PAGE, LARGEST_PAGE)
        after = request.query.get("after")
        with unknown_cursor():
            found = await kept(self._batches).files(
                owner, request.query.get("purpose"), after, limit + 1, cast(Order, order)
            )
        return json_answer(FileList(*page([view(one) for one in found], limit)))

    async def file(self, request: web.Request) -> web.Response:
        """One file. Raises ApiError 404."""
        return json_answer(view(await self._found(request)))

    async def content(self, request: web.Request) -> web.StreamResponse:
        """What is in a file. Raises ApiError 404."""
        file = await self._found(request)
        try:
            path = await kept(self._batches).path(file)
        except FileNotFoundError:
            raise no_file(file.id) from None
        except OSError as error:
            raise disk_error(error) from None
        headers = {"Server": SERVER, "Content-Type": "application/octet-stream"}
        return web.FileResponse(path, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a file. Raises ApiError 404."""
        owner = owner_of(self._entrance.caller(request))
        id = request.match_info["file_id"]
        if not await kept(self._batches).remove_file(id, owner):
            raise no_file(id)
        return json_answer(DeletedFile(id))

    async def _found(self, request: web.Request) -> StoredFile:
        owner = seen_by(self._entrance.caller(request))
        id = request.match_info["file_id"]
        file = await kept(self._batches).file(id, owner)
        if file is None:
            raise no_file(id)
        return file


@contextmanager
def unknown_cursor() -> Iterator[None]:
    """Turn UnknownCursor into ApiError 400."""
    try:
        yield
    except UnknownCursor as error:
        raise invalid_value(
            f"There is nothing with the id {str(error)[:100]!r} here.", "after"
        ) from None


def view(file: StoredFile) -> FileView:
    """A file as clients see it."""
    return FileView(
        file.id, file.bytes, file.created_at, file.filename, file.purpose, file.expires_at
    )


def page(found: list[Any], limit: int) -> tuple[list[Any], str | None, str | None, bool]:
    """The first `limit` of `found`, the first and the last id, and whether there is more."""
    data = found[:limit]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return data, *ends, len(found) > limit


def limit_of(request: web.Request, default: int, most: int) -> int:
    """The query parameter `limit`. Raises ApiError 400."""
    limit = request.query.get("limit", str(default))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:7]) <= most):
        raise invalid_value(f"limit must be an integer from 1 to {most}.", "limit")
    return int(limit[:7])


def owner_of(caller: Caller | None) -> str:
    """The owner of a caller's files and batches: its tenant; empty if the gateway is open."""
    return "" if caller is None else caller.tenant


def seen_by(caller: Caller | None) -> str | None:
    """Whose files and batches a caller sees; None: everybody's."""
    return None if caller is None or caller.admin else caller.tenant


def kept(batches: Batches | None) -> Batches:
    """The batches of this gateway. Raises ApiError 404 where it keeps none, 503 if it cannot."""
    if batches is None:
        raise ApiError(
            404,
            "This gateway keeps no files and batches; its operator can set batch.folder.",
            code="batches_off",
        )
    if batches.away:
        raise ApiError(
            503,
            "The database of files and batches is away; try again in a moment.",
            type="server_error",
            code="database_away",
            headers={"Retry-After": "5"},
        )
    return batches


def no_file(id: str) -> ApiError:
    """There is no such file, or it is somebody else's."""
    return ApiError(404, f"No such File object: {id[:100]}", code="file_not_found", param="file_id")


def disk_error(error: OSError) -> ApiError:
    """The disk does not take a file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ApiError(
            507,
            "The gateway's disk is full, so nothing of the file was kept; try again later, or ask "
            "the operator to free some space.",
            type="server_error",
            code="disk_full",
        )
    raise error


def expiry(seconds: int, anchor: str, param: str) -> int:
    """Seconds that a file is kept. Raises ApiError 400."""
    if anchor != "created_at":
        raise invalid_value(f"{param}.anchor must be created_at.", f"{param}.anchor")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise invalid_value(
            f"{param}.seconds must be from {SHORTEST_S} to {LONGEST_S}.", f"{param}.seconds"
        )
    return seconds


def _expiry(fields: dict[str, str]) -> int | None:
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    valid = seconds is not None and seconds.isascii() and seconds.isdigit()
    number = int((seconds or "0")[:9]) if valid else 0
    return expiry(number, anchor or "", "expires_after")


def _too_large(most_bytes: int) -> ApiError:
    return ApiError(
        413,
        f"The file is larger than {most_bytes} bytes; split it into several batches.",
        code="body_too_large",
        param="file",
    )
