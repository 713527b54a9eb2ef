"""A span of OpenTelemetry, and the place in a trace where it hangs."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
"""The header of W3C Trace Context: ids of trace and parent, and flags."""
SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are those of OpenTelemetry, as numbers; times are seconds since 1970."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    began_at: float
    ended_at: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    is_client: bool = False
    """Whether another service did the work."""
    is_server: bool = False
    """Whether it is a request of another service."""
    error: str | None = None


class Context(NamedTuple):
    """The place of a span in its trace."""

    trace_id: int
    span_id: int
    parent_id: int | None

    @property
    def traceparent(self) -> str:
        """The W3C header by which other services continue the trace under the span."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"


def begun(traceparent: str, share: float) -> Context | None:
    """The place of a new span; None: it is not sampled.

    Args:
        traceparent: the W3C header of whoever asks, who has decided whether this trace is sampled;
            empty or malformed: a new trace begins.
        share: of new traces that are sampled.
    """
    found = TRACEPARENT.fullmatch(traceparent)
    trace_id, parent_id, flags = (int(part, 16) for part in found.groups()) if found else (0, 0, 0)
    if trace_id and parent_id:
        sampled = bool(flags & SAMPLED)
        return Context(trace_id, _new_id(64), parent_id) if sampled else None
    return Context(_new_id(128), _new_id(64), None) if random.random() < share else None


def _new_id(bits: int) -> int:
    return random.getrandbits(bits) or 1
