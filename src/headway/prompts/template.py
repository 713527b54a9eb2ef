"""Jinja templates in a sandbox, in which values stay what they are."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headway.prompts.errors import PromptError

_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Template:
    """The text of one message.

    Args:
        text: Jinja's syntax.
        variables: names that it may use.

    Raises:
        TemplateSyntaxError: it is not a template; the error has the line.
        PromptError: it uses other variables or other files.
    """

    def __init__(self, text: str, variables: Collection[str]) -> None:
        parsed = _JINJA.parse(text)
        if next(parsed.find_all(_OTHER_FILES), None) is not None:
            # A version would change with the files that it uses.
            raise PromptError("a prompt cannot use other templates; copy the text into it")
        used = meta.find_undeclared_variables(parsed) - _JINJA.globals.keys()
        unknown = sorted(used.difference(variables))
        if unknown:
            names = ", ".join(map(repr, unknown))
            raise PromptError(f"it uses {names}, which its front matter has no variable for")
        code = _JINJA.compile(parsed)
        self._template = jinja2.Template.from_code(_JINJA, code, _JINJA.make_globals(None))

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with `values`, which are not read as templates.

        Raises:
            PromptError: the template does with a value what cannot be done with it. The message
                goes on after the name of the prompt.
        """
        try:
            return self._template.render(values)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise PromptError(f"cannot be filled: {error}") from None


class _Jinja(ImmutableSandboxedEnvironment):
    """Finds the keys of objects before Python's own attributes: `order.items` is a key."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _written(value: Any) -> Any:
    """What a template writes for a value: text as it is, all else as JSON; nothing for null."""
    if isinstance(value, str | jinja2.Undefined):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"{value!r} is no value of JSON")


_JINJA = _Jinja(
    undefined=jinja2.StrictUndefined,
    finalize=_written,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)
_JINJA.globals = {"range": _JINJA.globals["range"]}
del _JINJA.filters["random"]  # the same values give the same text
