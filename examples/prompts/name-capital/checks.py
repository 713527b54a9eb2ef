"""Checks of answers, named in tests.yaml."""

from typing import Any


def ends_like_a_sentence(answer: str, variables: dict[str, Any]) -> bool | str:
    """Return True, or a text that says why not."""
    return answer.endswith(".") or f"the answer for {variables['country']} has no end"
