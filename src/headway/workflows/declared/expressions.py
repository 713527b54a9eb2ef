"""`{{ … }}` in pipeline files: what they refer to, and what they come to.

A text that is one `{{ expression }}` is the value of the expression, of whatever type; in other
texts expressions become text. Values are never read as expressions themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headway.workflows import values
from headway.workflows.errors import WorkflowError


class _Jinja(ImmutableSandboxedEnvironment):
    """Finds the keys of objects before Python's own attributes: `order.items` is a key."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def written(value: Any) -> str:
    """A value in a text: text as it is, all else as JSON; nothing for null. Raises TypeError."""
    plain = values.plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _settled(value: Any) -> Any:
    """A list of what a filter such as `map` gives, which only the first who reads it would see."""
    return list(value) if isinstance(value, Iterator | KeysView | ValuesView | ItemsView) else value


def _finalized(value: Any) -> Any:
    return value if isinstance(value, Undefined) else written(_settled(value))


_ENVIRONMENT = _Jinja(undefined=StrictUndefined, finalize=_finalized)
_ENVIRONMENT.globals = {name: _ENVIRONMENT.globals[name] for name in ("dict", "namespace", "range")}
del _ENVIRONMENT.filters["random"]  # a run that goes on finds the same values
_WHOLE = re.compile(r"\s*\{\{(.*)\}\}\s*", re.DOTALL)
ROOTS = ("inputs", "tasks", "matrix")


def value_of(template: Any, names: Mapping[str, Any], where: str) -> Any:
    """What a template comes to; texts in lists and dicts, too.

    Args:
        template: as the file says it.
        names: `inputs`, `tasks` and `matrix`.
        where: it stands, for the message.

    Raises:
        WorkflowError: it refers to something that is not there, or fails.
    """
    if isinstance(template, dict):
        return {key: value_of(one, names, f"{where}.{key}") for key, one in template.items()}
    if isinstance(template, list | tuple):
        return [value_of(one, names, where) for one in template]
    if not isinstance(template, str) or "{" not in template:
        return template
    try:
        whole = _whole(template)
        if whole is None:
            return _ENVIRONMENT.from_string(template).render(names)
        value = _ENVIRONMENT.compile_expression(whole, undefined_to_none=False)(**names)
        if isinstance(value, Undefined):
            str(value)  # raises, and says what is missing
            raise TypeError("it comes to nothing: an `if` needs its `else`")
        if callable(value):
            raise TypeError("it is a function: write () behind it, or name['key']")
        return _settled(value)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise WorkflowError(f"{where}: {template.strip()} fails: {error}") from None


def referred(template: Any, where: str) -> Iterator[tuple[str, str]]:
    """What a template refers to: `tasks` and NAME for `tasks.NAME`, likewise `inputs`, `matrix`.

    Raises:
        WorkflowError: it is no template, or refers to something that never is there.
    """
    if isinstance(template, dict):
        template = list(template.values())
    if isinstance(template, list | tuple):
        for one in template:
            yield from referred(one, where)
        return
    if not isinstance(template, str) or "{" not in template:
        return
    try:
        tree = _ENVIRONMENT.parse(template)
    except TemplateError as error:
        raise WorkflowError(f"{where}: {template.strip()} is no expression: {error}") from None
    from jinja2.meta import find_undeclared_variables

    unknown = find_undeclared_variables(tree) - {*ROOTS, *_ENVIRONMENT.globals}
    if unknown:
        raise WorkflowError(
            f"{where}: there is no {', '.join(sorted(unknown))}; write inputs.NAME, tasks.NAME "
            "or matrix.NAME"
        )
    for node in tree.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name) and node.node.name in ROOTS:
            yield node.node.name, node.attr
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and item.node.name in ROOTS:
            if isinstance(item.arg, nodes.Const):
                yield item.node.name, str(item.arg.value)
            elif item.node.name == "tasks":
                raise WorkflowError(f"{where}: {template.strip()}: name the task, as tasks.NAME")


def is_expression(text: str) -> bool:
    """Whether `text` is one `{{ expression }}`, whose value it is."""
    return _whole(text) is not None


def _whole(template: str) -> str | None:
    """The expression, if the text is nothing else."""
    found = _WHOLE.fullmatch(template)
    if found is None or "{{" in found[1] or "}}" in found[1] or "{%" in template:
        return None
    return found[1]
