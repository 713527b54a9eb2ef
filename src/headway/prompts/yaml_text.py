"""YAML in prompts: no key twice, `no` and `off` are words, and errors that name the line."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from headway.prompts.errors import PromptError
from headway.yaml_words import WordsLoader


def loaded(text: str, place: str, first_line: int = 1) -> Any:
    """The value of a YAML document; None if it is empty.

    Args:
        text: the document.
        place: its file, for errors.
        first_line: the line of the file on which `text` begins.

    Raises:
        PromptError: it is not YAML, or has a key twice.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + first_line
        raise PromptError(f"{place}:{line}: is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        raise PromptError(f"{place}: is not YAML text") from None


_DATE = "tag:yaml.org,2002:timestamp"


class _Loader(WordsLoader):
    """Reads a date as text, as JSON has none.

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


_Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != _DATE]
    for first, resolvers in WordsLoader.yaml_implicit_resolvers.items()
}
