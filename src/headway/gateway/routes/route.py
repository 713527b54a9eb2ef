"""A route: a path, its types and its handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table: a path, its types and its handler."""

    method: Literal["GET", "POST", "DELETE"]
    """GET also answers HEAD."""
    path: str
    """Parameters are `{name}`, or `{name:.+}` if they may contain slashes."""
    handler: str
    """Name of the handler, as one of the groups of handlers has it."""
    summary: str
    body: type[msgspec.Struct] | None = None
    """Type of the request body; None: no body, or one without a type."""
    answer: type[msgspec.Struct] | None = None
    """Type of the answer; None: an object that `summary` describes."""
    scheduled: bool = False
    """Whether headers may set the urgency of a request."""
    streams: bool = False
    """Whether the answer may be server-sent events."""
    content_type: str = "application/json"
    """Content type of the answer."""
    form: Mapping[str, Mapping[str, Any]] | None = None
    """JSON Schemas of the fields of a form, by name; None: it takes no form."""
    query: Mapping[str, Mapping[str, Any]] | None = None
    """JSON Schemas of the query parameters, by name."""
