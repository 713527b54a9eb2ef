"""YAML in prompts: errors name the line."""

from __future__ import annotations

from typing import Any

import yaml

from headway.prompts.errors import PromptError
from headway.yaml_words import document


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
        return document(text)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + first_line
        raise PromptError(f"{place}:{line}: is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise PromptError(f"{place}: is not YAML text") from None
