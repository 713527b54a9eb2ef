"""Values of steps as JSON: a step returns what its JSON says, at first and when replayed."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, get_origin, get_type_hints

import msgspec

from headway.workflows.errors import NotStorable

LARGEST = 16 * 2**20
"""Bytes of one value. What is larger belongs in a file, whose path is the value."""


def to_json(value: Any, what: str) -> str:
    """The value as JSON; dataclasses, dates and the like as msgspec writes them.

    Args:
        value: what a step was given or returned.
        what: its name, for the message.

    Raises:
        NotStorable: JSON has no form for it, or it is too large.
    """
    if inspect.iscoroutine(value):
        value.close()
        raise NotStorable(f"{what} is a call that was not awaited: write `await` before it")
    try:
        text = json.dumps(plain(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable(
            f"{what} cannot be stored ({error}): return numbers, texts, lists, dicts, dataclasses "
            "or models of pydantic"
        ) from None
    if len(text) > LARGEST:
        raise NotStorable(
            f"{what} has {len(text) / 2**20:.1f} MB as JSON, {LARGEST // 2**20} MB are the most: "
            "write it to a file and return its path"
        )
    return text


def plain(value: Any) -> Any:
    """The value as JSON has it. Raises TypeError."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_as_json)


def from_json(text: str, type_: Any = Any) -> Any:
    """The value again, as `type_` where that is known.

    Raises:
        NotStorable: it is no such value.
    """
    value = json.loads(text)
    if type_ is Any or type_ is inspect.Parameter.empty:
        return value
    try:
        return msgspec.convert(value, type_, str_keys=True, dec_hook=_of_json)
    except msgspec.ValidationError as error:
        raise NotStorable(f"a stored value is not what the annotation says: {error}") from None
    except TypeError:  # an annotation that msgspec does not know
        return value


def _as_json(value: Any) -> Any:
    """A path or a model of pydantic, which msgspec does not know. Raises TypeError for others."""
    if isinstance(value, PurePath):
        return str(value)
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json")
    raise TypeError(f"it has a {type(value).__name__}")


def _of_json(type_: Any, value: Any) -> Any:
    """A value of a type that msgspec does not know. Raises TypeError, ValueError."""
    kind = get_origin(type_) or type_
    if callable(validate := getattr(kind, "model_validate", None)):
        return validate(value)
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    try:
        fits = isinstance(value, kind)
    except TypeError:  # a protocol
        fits = True
    if not fits:
        name = getattr(kind, "__name__", kind)
        raise TypeError(f"Expected `{name}`, got `{type(value).__name__}`")
    return value


def returned(function: Callable[..., Any]) -> Any:
    """What the annotations of `function` say that it returns; Any if they do not."""
    try:
        return get_type_hints(function).get("return", Any)
    except Exception:  # names that exist only for a type checker
        return Any


def arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `function` from JSON values, as its annotations say.

    Raises:
        TypeError: one is missing or unknown.
        NotStorable: one is of another type.
    """
    signature = inspect.signature(function)
    signature.bind(**given)
    try:
        hints = get_type_hints(function)
    except Exception:
        hints = {}
    return {
        name: from_json(json.dumps(value), hints.get(name, Any)) for name, value in given.items()
    }


def fingerprint(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """A short hash of a call, the same in every process.

    Of arguments that JSON cannot hold, their text counts if it is known to be the same each time,
    else only their type.
    """
    try:
        called = json.dumps(
            msgspec.to_builtins(
                [args, dict(kwargs)], str_keys=True, order="deterministic", enc_hook=_named
            ),
            sort_keys=True,
        )
    except (TypeError, ValueError, RecursionError):
        called = ""
    return hashlib.sha256(f"{name} {called}".encode()).hexdigest()[:12]


def _named(value: Any) -> Any:
    """What of a value is the same each time."""
    if isinstance(value, PurePath | complex | range | re.Pattern):
        return repr(value)
    dump = getattr(value, "model_dump", None)  # pydantic's
    if callable(dump):
        return dump(mode="json")
    return f"{type(value).__module__}.{type(value).__qualname__}"
