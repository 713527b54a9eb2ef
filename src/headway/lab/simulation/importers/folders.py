"""Traces that are published as a folder of JSON files, one a session."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".jsonl", ".gz", ".zst")
TRANSCRIPT = "trace.jsonl"
"""What AgentCgroup calls a session, beside other files of JSON lines."""


def json_files(path: Path) -> list[Path]:
    """`path` itself, or if it is a folder the files of JSON lines in it and below, in order.

    Those called `trace.jsonl`, if there are any.
    """
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*.jsonl*")
        if file.is_file() and file.suffix.lower() in SUFFIXES
    )
    return [file for file in files if file.name.startswith(TRANSCRIPT)] or files
