"""What is wrong with a setting, in one line: where, what, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from headway.config.section import UnknownName
from headway.config.settings import Settings
from headway.config.source import KeyPath, Source, dotted, place_of
from headway.redaction import is_secret


def explained(error: ErrorDetails, sources: Sequence[Source]) -> str:
    """One line for an error of `sources`, the strongest first."""
    path: KeyPath = error["loc"]
    place = place_of(sources, path)
    context = error.get("ctx", {})
    cause = context.get("error")
    if error["type"] == "extra_forbidden":
        return (
            f"{place}: unknown setting {dotted(path)!r}"
            f"{did_you_mean(str(path[-1]), known_keys(path[:-1]))}"
        )
    if error["type"] == "missing":
        holder = place_of(sources, path[:-1])
        return f"{holder}: {dotted(path[:-1])} needs {str(path[-1])!r}"
    value = error["input"]
    if error["type"] == "tuple_type":
        return f"{place}: {dotted(path)} is a list: write `- ` before each of its entries"
    if error["type"] in ("model_type", "dict_type", "model_attributes_type"):
        within = known_keys(path)
        example = f", such as `{within[0]}: …`" if within else " of the form `name: value`"
        return f"{place}: {dotted(path)} is a section: it has settings of its own{example}"
    if isinstance(cause, UnknownName):
        return f"{place}: {dotted(path)}: {cause}{_nearest(cause.value, cause.known)}"
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return (
            f"{place}: {dotted(path)}: {value!r} is not one of {', '.join(choices)}"
            f"{_nearest(str(value), choices)}"
        )
    if cause is not None:
        return f"{place}: {dotted(path)}: {cause}"
    shown = ""
    if _may_show(path) and isinstance(value, str | int | float | bool | None):
        shown = f", got {value!r}"
    message = error["msg"]
    return f"{place}: {dotted(path)}: {message[0].lower()}{message[1:]}{shown}"


def _may_show(path: KeyPath) -> bool:
    """Whether an error may repeat what stands at `path`: no secret, and no section, which a secret
    may have been pasted in place of."""
    name = next((key for key in reversed(path) if isinstance(key, str)), "")
    return not (is_secret(name) or known_keys(path))


def known_keys(path: KeyPath) -> list[str]:
    """The keys that a section may have."""
    model: type[BaseModel] | None = Settings
    for key in path:
        if isinstance(key, int) or model is None:
            continue
        known = model.model_fields.get(str(key))
        model = _section_of(known.annotation) if known else None
    return list(model.model_fields) if model else []


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section in a field's type: `X` itself, or in `tuple[X, ...]`."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """`; did you mean …?` with the nearest right name; where none is near, all of them."""
    names = list(known)
    all_of_them = f"; known here: {', '.join(names)}" if names else ""
    return _nearest(word, names, prefix) or all_of_them


def _nearest(word: str, names: Sequence[str], prefix: str = "") -> str:
    """`; did you mean …?` with the nearest right name; nothing where none is near."""
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {prefix}{near[0].upper() if prefix else near[0]}?" if near else ""
