"""The front matter of a prompt's file: its variables, and the settings that belong to it."""

from __future__ import annotations

import difflib
import json
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from headway.prompts.errors import PromptError
from headway.prompts.variables import Variable, check_declared


class FrontMatter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What stands between the two lines of `---`. Settings are fields of a chat completion."""

    description: str = ""
    variables: dict[str, Variable | None] = {}
    model: str | None = None
    temperature: Annotated[float, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    extra_body: dict[str, Any] = {}
    """Fields that only some engines know, such as `min_p`."""

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of a chat completion that it sets."""
        given = {name: getattr(self, name) for name in _SETTINGS}
        return {name: value for name, value in given.items() if value is not None} | self.extra_body


KEYS = FrontMatter.__struct_fields__
_SETTINGS = tuple(name for name in KEYS if name not in ("description", "variables", "extra_body"))
_OF_THE_REQUEST = frozenset(
    ("messages", "prompt", "stream", "stream_options", "metadata", "user", "max_completion_tokens")
)
"""Fields of a request that no prompt can set."""
_FORMATS = ("text", "json_object", "json_schema")


def front_matter(values: Any) -> FrontMatter:
    """Check the value of a front matter.

    Raises:
        PromptError: a key is unknown or its value is wrong; the message names it.
    """
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PromptError(f"the front matter holds a value that JSON has not: {error}") from None
    try:
        found = msgspec.convert({} if values is None else values, FrontMatter)
    except msgspec.ValidationError as error:
        raise PromptError(_explained(str(error))) from None
    for name, variable in found.variables.items():
        check_declared(name, variable or Variable())
    for name in found.extra_body:
        if name in KEYS:
            raise PromptError(f"extra_body: {name!r} has a key of its own; write it outside")
        if name in _OF_THE_REQUEST:
            raise PromptError(f"extra_body: {name!r} belongs to the request, not to the prompt")
    for place, tool in enumerate(found.tools or ()):
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise PromptError(f"tools[{place}]: write it as {{type: function, function: {{…}}}}")
        if not isinstance(function.get("name"), str):
            raise PromptError(f"tools[{place}]: the function needs a name")
    if found.response_format is not None:
        _check_format(found.response_format)
    return found


def _check_format(form: dict[str, Any]) -> None:
    kind = form.get("type")
    if kind not in _FORMATS:
        raise PromptError(f"response_format: the type must be one of {', '.join(_FORMATS)}")
    schema = form.get("json_schema")
    if kind == "json_schema" and not (
        isinstance(schema, dict)
        and isinstance(schema.get("name"), str)
        and isinstance(schema.get("schema"), dict)
    ):
        raise PromptError("response_format: json_schema needs a name and a schema")


def _explained(error: str) -> str:
    reason, _, at = error.partition(" - at `$")
    where = at.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", reason)
    if unknown is None:
        reason = reason[:1].lower() + reason[1:]
        return f"{where}: {reason}" if where else f"the front matter: {reason}"
    known = Variable.__struct_fields__ if where else KEYS
    near = difflib.get_close_matches(unknown[1], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {unknown[1]!r}{f' in {where}' if where else ''}; {hint}"
