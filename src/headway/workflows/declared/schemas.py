"""JSON Schemas of inputs and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema

from headway.workflows.errors import WorkflowError


class WrongResult(ValueError):
    """What a task returned does not fit its schema: another attempt may do better."""


def check_schema(schema: Mapping[str, Any], where: str) -> None:
    """Raise WorkflowError if it is no JSON Schema."""
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise WorkflowError(f"{where} is no JSON Schema: {error.message}") from None


def check(value: Any, schema: Mapping[str, Any], what: str, kind: type[Exception]) -> None:
    """Raise an error of `kind` if a value, as JSON has it, does not fit the schema."""
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        place = "".join(f"[{one!r}]" for one in error.absolute_path)
        raise kind(f"{what}{place} is not as its schema says: {error.message}") from None
