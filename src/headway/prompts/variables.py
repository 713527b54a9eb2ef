"""The variables of a prompt, and the values that they may have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from headway.prompts.errors import PromptError, WrongVariables

Type = Literal["string", "number", "integer", "boolean", "array", "object"]

_CLASSES: Mapping[Type, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Variable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """One variable, as the front matter declares it."""

    type: Type = "string"
    description: str = ""
    default: Any = msgspec.UNSET
    """Its value where none is given."""
    required: bool = True
    """Whether a value must be given where there is no default; else it is null, which a template
    writes as nothing."""


def check_declared(name: str, variable: Variable) -> None:
    """Check what a front matter says of a variable.

    Raises:
        PromptError: its name or its default is wrong.
    """
    if not (name.isidentifier() and name.isascii()):
        raise PromptError(
            f"{name!r} cannot be the name of a variable: use letters, digits and underscores"
        )
    if variable.default is not msgspec.UNSET and not _fits(variable.default, variable.type):
        raise PromptError(
            f"the default of the variable {name!r} is no {variable.type}: "
            f"{json.dumps(variable.default, default=str)}"
        )


def values(declared: Mapping[str, Variable], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every variable.

    Args:
        declared: the variables of the prompt.
        given: values by name, as in OpenAI's API: texts, or objects of the type `input_text`; and
            values of the declared types. A value of null counts as not given.

    Raises:
        WrongVariables: some are missing, unknown or of the wrong type. The message goes on after
            the name of the prompt.
    """
    unknown = [name for name in given if name not in declared]
    if unknown:
        there_are = ", ".join(declared) or "none"
        raise WrongVariables(f"has no {_named(unknown)}; its variables are: {there_are}")
    found: dict[str, Any] = {}
    missing: list[str] = []
    for name, variable in declared.items():
        value = given.get(name)
        if value is not None:
            found[name] = _value(name, variable, value)
        elif variable.default is not msgspec.UNSET:
            found[name] = variable.default
        elif variable.required:
            missing.append(name)
        else:
            found[name] = None
    if missing:
        raise WrongVariables(f"needs a value for the {_named(missing)}")
    return found


def _value(name: str, variable: Variable, given: Any) -> Any:
    value = given
    if isinstance(value, dict) and variable.type != "object":
        kind = value.get("type")
        if kind == "input_text" and isinstance(value.get("text"), str):
            value = value["text"]
        elif isinstance(kind, str):
            raise WrongVariables(
                f"takes a text for its variable {name!r}, not {kind!r}: send images and files in "
                "a message beside the prompt"
            )
    if isinstance(value, str) and variable.type != "string":
        # Typed clients of OpenAI's API can send texts only, and so can a command line.
        try:
            value = json.loads(value)
        except ValueError:
            value = given
    if not _fits(value, variable.type):
        raise WrongVariables(
            f"needs a value of the type {variable.type} for its variable {name!r}, not of the type "
            f"{_type_of(given)}"
        )
    return value


def _fits(value: Any, type: Type) -> bool:
    return isinstance(value, _CLASSES[type]) and (type == "boolean" or not isinstance(value, bool))


def _type_of(value: Any) -> str:
    return next((name for name in _CLASSES if _fits(value, name)), "null")


def _named(names: list[str]) -> str:
    quoted = ", ".join(f"{name[:100]!r}" for name in names)
    return f"variable {quoted}" if len(names) == 1 else f"variables {quoted}"
