"""Prompts in a folder of a test's own."""

from __future__ import annotations

from pathlib import Path

GREET = "---\nvariables:\n  name: {}\n---\nHello {{ name }}!\n"
"""A prompt with one variable."""
OTHER = GREET.replace("Hello", "Good day,")
"""Another version of it."""
CASES = """cases:
- {name: ends, variables: {name: Ada}, expect: {contains: word99}}
- {name: short, variables: {name: Ada}, expect: {max_tokens: 3}}
"""
"""Of the hundred words that a fake backend answers, the first case holds and the second fails."""


def write(folder: Path, name: str, *versions: str, **others: str) -> Path:
    """The folder of a prompt with these versions, from 1 on, and other files: `tests_yaml=…`."""
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(versions, 1):
        (path / f"{number}.md").write_text(text, encoding="utf-8")
    for file, text in others.items():
        (path / file.replace("_", ".")).write_text(text, encoding="utf-8")
    return path
