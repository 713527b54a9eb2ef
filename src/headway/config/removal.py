"""Takes an entry out of a settings file, and leaves everything else as it is."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from headway.yaml_words import value_of


class Entry(NamedTuple):
    """Where an entry of a list stands in a file."""

    first_line: int
    """Counted from 1."""
    last_line: int


def entry_of(text: str, section: str, name: str) -> Entry | None:
    """The lines of the entry with this `name` in the list `section`; None: there is none.

    `text` is valid YAML with a mapping at its top.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    for key, value in root.value:
        if key.value == section and isinstance(value, yaml.SequenceNode):
            for item in value.value:
                if _name_of(item) == name:
                    return Entry(item.start_mark.line + 1, _last_line(item) + 1)
    return None


def without(text: str, section: str, name: str) -> str | None:
    """`text` without the lines of that entry, comments and all else as they were.

    None where that is not possible: the entry shares a line with others, or is the only one.
    """
    entry = entry_of(text, section, name)
    if entry is None:
        return None
    lines = text.splitlines(keepends=True)
    left = "".join(lines[: entry.first_line - 1] + lines[entry.last_line :])
    expected: dict[str, Any] = value_of(text)
    expected[section] = [one for one in expected[section] if one.get("name") != name]
    try:
        return left if expected[section] and value_of(left) == expected else None
    except yaml.YAMLError:
        return None


def _name_of(item: yaml.Node) -> str | None:
    if not isinstance(item, yaml.MappingNode):
        return None
    names = [value.value for key, value in item.value if key.value == "name"]
    return names[0] if names and isinstance(names[0], str) else None


def _last_line(node: yaml.Node) -> int:
    """The last line with text of `node`; its own end mark is where the next one begins."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)
