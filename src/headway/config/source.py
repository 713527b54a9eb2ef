"""One source of settings, which knows the place of each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]


class ConfigError(Exception):
    """A setting is wrong; the message is one line that says where and what to do."""


@dataclass(slots=True)
class Source:
    """The values of one source, and the place of each."""

    default_place: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str | None:
        """Where this source gives `path` (or what holds it), None if it does not."""
        node: Any = self.values
        for key in path:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return None
        for end in range(len(path), 0, -1):
            if (place := self.places.get(path[:end])) is not None:
                return place
        below = (place for given, place in self.places.items() if given[: len(path)] == path)
        return next(below, self.default_place)


def place_of(sources: Sequence[Source], path: KeyPath) -> str:
    """The place of the strongest source that gives `path`; "default" if none does."""
    for source in sources:
        if (place := source.place(path)) is not None:
            return place
    return "default"


def dotted(path: KeyPath) -> str:
    """A path as people write it: `backends[0].url`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text
