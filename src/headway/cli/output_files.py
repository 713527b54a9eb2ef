"""Files that a command writes its results to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from headway.lab.report.terminal import table_console

TERMINAL = Path("-")
"""As the file of --json: standard output."""


def results_console(json_file: Path | None) -> Console:
    """Where tables are printed: not where JSON goes."""
    return Console(stderr=True) if json_file == TERMINAL else table_console()


def write_json(numbers: Mapping[str, object], file: Path) -> None:
    """Write `numbers` to `file`, or to the terminal. Raises OSError."""
    text = json.dumps(numbers, indent=1) + "\n"
    if file == TERMINAL:
        print(text, end="")
    else:
        file.write_text(text, encoding="utf-8")


def check_writable(files: Mapping[str, Path | None]) -> None:
    """Check that files can be written: before minutes of work, not after them.

    Args:
        files: by the option that names it; None: it was not given.

    Raises:
        OSError: one of them cannot be written; the message names the option.
    """
    for option, file in files.items():
        if file is None or file == TERMINAL:
            continue
        problem = ""
        if file.is_dir():
            problem = "it is a folder; name a file in it"
        elif not file.parent.is_dir():
            problem = f"there is no folder {file.parent}; make it first"
        elif not os.access(file if file.exists() else file.parent, os.W_OK):
            problem = "you may not write there; name another file"
        if problem:
            raise OSError(f"{option} cannot write {file}: {problem}")
