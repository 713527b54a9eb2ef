"""Files that appear start runs: once each, whether they came while a worker was up or before."""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.workflows.triggers.event import Around, Event, Fire

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""Looks so often besides: some file systems report no changes."""


@dataclass(frozen=True, slots=True)
class Files:
    """Starts a run for each file that appears in a folder; its `path` is an input.

    A file counts once it has not changed for `settled_s`: it may be written slowly. A file that
    changes later is another event.

    Args:
        folder: is waited for if it does not exist, and not searched below.
        pattern: of names, such as `*.wav`; those with a dot first are found by such a pattern only:
            programs that copy files, as rsync does, write them under such names.
        settled_s: how long a file must have been as it is.
        input: of each run.

    Raises:
        ValueError: `settled_s` is negative, or the pattern is none.
    """

    folder: str
    pattern: str = "*"
    settled_s: float = 1.0
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import watchfiles  # noqa: F401  missing, it is missed where the workflow is loaded

        if not self.pattern or self.pattern.startswith("/"):
            raise ValueError(f"pattern is {self.pattern!r}; write names in the folder, as *.wav")
        if self.settled_s < 0:
            raise ValueError(f"settled_s is {self.settled_s}; it must not be negative")

    @property
    def watches(self) -> str:
        """What it looks at."""
        return self.folder

    async def watch(self, around: Around, fire: Fire) -> None:
        """Fire an event for each file that is there, and for each that comes."""
        folder = Path(self.folder).resolve()
        if not folder.is_dir():
            logger.warning("%s: there is no folder %s; it is waited for", around.name, folder)
        while not folder.is_dir():
            await asyncio.sleep(LOOK_EVERY_S)
        changed, fired = asyncio.Event(), set[str]()
        seen_s: dict[str, float] = {}
        """Since when each file was seen as it is: its own time may be in the future."""
        watching = asyncio.create_task(_watch(folder, changed))
        try:
            while True:
                changed.clear()
                there = await asyncio.to_thread(_found, folder, self.pattern)
                now_s = time.monotonic()
                fired &= there.keys()
                seen_s = {stamp: seen_s.get(stamp, now_s) for stamp in there if stamp not in fired}
                for stamp, since_s in seen_s.items():
                    file, changed_at = there[stamp]
                    if max(around.clock() - changed_at, now_s - since_s) >= self.settled_s:
                        await fire(Event(stamp, {"path": str(file)}))
                        fired.add(stamp)
                unsettled = len(fired) < len(there)
                wait_s = max(self.settled_s / 2, 0.05) if unsettled else LOOK_EVERY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
        finally:
            watching.cancel()


def _found(folder: Path, pattern: str) -> dict[str, tuple[Path, float]]:
    """The files of a folder by what names them as they are now, each with when it changed.

    Some file systems give a file another inode after each restart, so it is no part of the name.
    """
    files: dict[str, tuple[Path, float]] = {}
    for file in sorted(folder.glob(pattern)):
        if file.name.startswith(".") and not pattern.startswith("."):
            continue
        with suppress(OSError):  # it is gone
            found = file.stat()
            if stat.S_ISREG(found.st_mode):
                stamp = f"{file} {found.st_mtime_ns} {found.st_size}"
                files[stamp] = file, found.st_mtime
    return files


async def _watch(folder: Path, changed: asyncio.Event) -> None:
    from watchfiles import awatch

    async for _ in awatch(folder, recursive=False):
        changed.set()
