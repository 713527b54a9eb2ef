"""What the request log keeps of a prompt without its text: hashes to learn lengths from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from zlib import crc32

import msgspec

HASHED_WORDS = 32
READ_BYTES = 1024
BUCKETS = 1 << 16

_WORD = re.compile(rb"[^\W_]+")


def prompt_features(kind: str, fields: Mapping[str, msgspec.Raw]) -> tuple[int, ...]:
    """Hashes of the last words of a prompt, in order, each below BUCKETS.

    The end of a prompt holds what is asked; its beginning is told by `template_hash`.
    """
    prompt = fields.get("messages" if kind == "chat" else "prompt", b"")
    words = _WORD.findall(bytes(memoryview(prompt)[-READ_BYTES:]).lower())
    return tuple([crc32(word) % BUCKETS for word in words[-HASHED_WORDS:]])
