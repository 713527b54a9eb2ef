"""YAML as people write it: `on`, `off`, `yes` and `no` are words, as in YAML 1.2."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

_BOOLEAN = "tag:yaml.org,2002:bool"
_DATE = "tag:yaml.org,2002:timestamp"


class WordsLoader(yaml.SafeLoader):
    """Reads `fairness: off` as a name; only `true` and `false` are truth values."""


WordsLoader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
WordsLoader.add_implicit_resolver(
    _BOOLEAN, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)


class DocumentLoader(WordsLoader):
    """Reads a date as text, too, as JSON has none.

    A key that stands twice is refused; YAML's own loader drops the first.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


DocumentLoader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _DATE]
    for first, resolvers in WordsLoader.yaml_implicit_resolvers.items()
}


def value_of(text: str) -> Any:
    """The value that `text` holds. Raises yaml.YAMLError, or ValueError for a date that is none."""
    return yaml.load(text, WordsLoader)


def document(text: str) -> Any:
    """The value of a file that people write, as JSON could hold it. Raises yaml.YAMLError."""
    return yaml.load(text, DocumentLoader)
