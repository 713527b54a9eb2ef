"""Writes the output and the error file of a batch: every line of the input is in one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from headway.batches.batch import Batch, Status
from headway.batches.folder import Folder, Part
from headway.batches.schema import StoredFile
from headway.batches.serving import Answer

UNANSWERED = {
    Status.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    Status.CANCELLED: ("batch_cancelled", "This batch was cancelled before the request ran."),
    Status.FAILED: ("batch_failed", "This batch failed before the request ran."),
}
"""Code and message for lines without an answer, by how the batch ended."""

LINE_ENDS = {
    "\u0085".encode(): rb"\u0085",
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
}
"""Characters that end a line for many programs, and may stand in a JSON string as they are."""


class _Response(msgspec.Struct):
    status_code: int
    request_id: str
    body: msgspec.Raw


class _Error(msgspec.Struct):
    code: str
    message: str


class _Line(msgspec.Struct):
    id: str
    custom_id: str
    response: _Response | None
    error: _Error | None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. None: it would have been empty, and there is none."""

    output: StoredFile | None
    errors: StoredFile | None
    completed: int
    failed: int


def answered(batch: str, line: int, custom_id: str, answer: Answer) -> bytes:
    """The line for an answer, whether it is a success or not."""
    response = _Response(answer.status, answer.request_id, msgspec.Raw(answer.body))
    return _encoded(_Line(_id(batch, line), custom_id, response, None))


def unanswered(batch: str, line: int, custom_id: str, ended: Status) -> bytes:
    """The line for a request that never ran."""
    return _encoded(_Line(_id(batch, line), custom_id, None, _Error(*UNANSWERED[ended])))


def write_files(
    folder: Folder,
    batch: Batch,
    ended: Status,
    answers: Iterable[tuple[int, str, bool | None, bytes | None]],
    now: float,
) -> Written:
    """Write both files of `batch`, which ends as `ended`. For a thread.

    Args:
        folder: where to.
        batch: has been stopped: nothing more is answered.
        ended: COMPLETED, EXPIRED or CANCELLED.
        answers: line, custom_id, success and answer of each line; None: it has no answer.
        now: seconds since 1970.

    Raises:
        OSError: such as on a full disk; nothing of it is left then.
    """
    output, errors = folder.new(), folder.new()
    counts = {output.id: 0, errors.id: 0}
    try:
        for line, custom_id, succeeded, answer in answers:
            part = output if succeeded else errors
            part.write(answer or unanswered(batch.id, line, custom_id, ended))
            counts[part.id] += 1
        for part in (output, errors):
            if part.bytes:
                part.complete()
        return Written(
            _stored(output, batch, "output", now),
            _stored(errors, batch, "error", now),
            counts[output.id],
            counts[errors.id],
        )
    finally:
        output.discard()
        errors.discard()


def _stored(part: Part, batch: Batch, kind: str, now: float) -> StoredFile | None:
    if not part.bytes:
        return None
    return StoredFile(
        id=part.id,
        owner=batch.owner,
        purpose="batch_output",
        filename=f"{batch.id}_{kind}.jsonl",
        bytes=part.bytes,
        created_at=int(now),
        expires_at=int(now) + batch.output_expires_s,
    )


def _id(batch: str, line: int) -> str:
    return f"batch_req_{batch.removeprefix('batch_')}_{line}"


def _encoded(line: _Line) -> bytes:
    text = msgspec.json.encode(line)
    if not text.isascii():
        for character, escape in LINE_ENDS.items():
            text = text.replace(character, escape)
    return text + b"\n"
