"""Reads prompts again when their files change."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from headway.prompts.errors import PromptError
from headway.prompts.registry import Registry, read_registry

logger = logging.getLogger(__name__)

Stamps = dict[str, tuple[int, int, int]]
"""Inode, size and time of the last change of every file."""


class WatchedRegistry:
    """The prompts of a folder, as they are now.

    Files that are wrong are said in the log, and what was read of them before stays in use.

    Args:
        folder: see `read_registry`.

    Raises:
        PromptError: the folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used = self._seen = _stamps(folder)
        self.registry = read_registry(folder)
        """The last reading."""
        for problem in self.registry.problems:
            logger.error("%s", problem)

    def look(self) -> None:
        """Look at the files, and read them again once two looks in a row found the same change:
        an editor, or git, may write them in several steps."""
        before, self._seen = self._seen, _stamps(self._folder)
        if self._seen != before or self._seen == self._used:
            return
        self.read()

    def read(self) -> None:
        """Read the files as they are now."""
        self._used = self._seen = _stamps(self._folder)
        try:
            found = read_registry(self._folder, self.registry)
        except PromptError as error:
            logger.error("prompts stay as they were: %s", error)
            return
        for problem in found.problems:
            if problem not in self.registry.problems:
                logger.error("%s; what was read of it before stays in use", problem)
        changes = _changes(self.registry, found)
        self.registry = found
        logger.info("prompts were read again: %s", "; ".join(changes) or "nothing changed")


def _changes(before: Registry, after: Registry) -> list[str]:
    """What requests get now, by the names of prompts."""
    old, new = before.entries, after.entries
    changes = [f"new: {name}" for name in new if name not in old]
    changes += [f"gone: {name}" for name in old if name not in new]
    for name in new.keys() & old.keys():
        one, other = old[name], new[name]
        changes += [
            f"changed: {name}@{number}"
            for number in sorted(one.versions.keys() | other.versions.keys())
            if one.versions.get(number) != other.versions.get(number)
        ]
        if one.default != other.default:
            changes.append(f"{name} is {name}@{other.default} now, and was {name}@{one.default}")
    return changes


def _stamps(folder: Path) -> Stamps:
    """Those of the files that `read_registry` reads; empty if the folder cannot be read."""
    stamps: Stamps = {}
    try:
        with os.scandir(folder) as prompts:
            for prompt in prompts:
                if prompt.is_dir():
                    stamps |= _stamps_of(prompt.path)
    except OSError:  # it changes just now
        return {}
    return stamps


def _stamps_of(folder: str) -> Stamps:
    """Those of the files of one prompt. Raises OSError."""
    with os.scandir(folder) as files:
        found = {file.path: file.stat() for file in files}
    return {path: (one.st_ino, one.st_size, one.st_mtime_ns) for path, one in found.items()}
