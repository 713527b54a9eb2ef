"""Prompts in a folder of a test's own."""

from __future__ import annotations

from pathlib import Path

GREET = "---\nvariables:\n  name: {}\n---\nHello {{ name }}!\n"
"""A prompt with one variable."""


def write(folder: Path, name: str, *versions: str, **others: str) -> Path:
    """The folder of a prompt with these versions, from 1 on, and other files: `tests_yaml=…`."""
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(versions, 1):
        (path / f"{number}.md").write_text(text, encoding="utf-8")
    for file, text in others.items():
        (path / file.replace("_", ".")).write_text(text, encoding="utf-8")
    return path
