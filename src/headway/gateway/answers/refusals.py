"""What llama.cpp's server refuses in words or with a status that are not for our clients."""

from __future__ import annotations

import re

import msgspec

from headway.engines.engine import EngineError

PARSED = re.compile(rb"Failed to parse (tools|messages|tool_choice|response_format)")
"""What it could not read of a request, which it answers as its own failure: with 500."""
INTERNAL = re.compile(r"\[json\.exception\.[\w.]+\] |; \w+ = .*$|Unable to .* failed: ", re.DOTALL)
"""Names of its exceptions, its copy of what was sent, and how it came to look at that."""


class _Error(msgspec.Struct):
    message: str


class _Answer(msgspec.Struct):
    error: _Error


def refused(status: int, detail: bytes, model: str) -> EngineError | None:
    """The refusal in this API's words; None where the engine's own are well.

    Args:
        status: of the engine's answer.
        detail: its body.
        model: as the client calls it.
    """
    if status == 500 and b"input is not supported" in detail:
        return EngineError.invalid(
            f"The model {model!r} cannot read images or audio; send text only.", param="messages"
        )
    if status == 501 and b"--embeddings" in detail:
        return EngineError.invalid(
            f"The model {model!r} makes no embeddings; ask for one that does: /v1/models lists "
            "all, and all-MiniLM-L6-v2 comes with Headway's extra 'models'.",
            param="model",
        )
    field = PARSED.search(detail) if status == 500 else None
    if field is None and b"json.exception" not in detail and b"Unable to " not in detail:
        return None
    try:
        message = msgspec.json.decode(detail, type=_Answer).error.message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    param = None if field is None else field[1].decode()
    if status != 400 and param is None:
        return None
    return EngineError.invalid(f"{INTERNAL.sub('', message).rstrip('.')}.", param=param)
