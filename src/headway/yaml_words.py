"""YAML as people write it: `on`, `off`, `yes` and `no` are words, as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

_BOOLEAN = "tag:yaml.org,2002:bool"


class WordsLoader(yaml.SafeLoader):
    """Reads `fairness: off` as a name; only `true` and `false` are truth values."""


WordsLoader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
WordsLoader.add_implicit_resolver(
    _BOOLEAN, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)


def value_of(text: str) -> Any:
    """The value that `text` holds. Raises yaml.YAMLError, or ValueError for a date that is none."""
    return yaml.load(text, WordsLoader)
