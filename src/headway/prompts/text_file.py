"""Text files beside each other: read with either line end, written at once or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from headway.prompts.errors import PromptError


def file_text(path: Path) -> str:
    """The text of a file, with line feeds as line ends.

    Raises:
        PromptError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file so that readers see the old text or the new one, never a part of it.

    Raises OSError; the old text stays then.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
