"""Files that appear start runs: once each, whether they came while a worker was up or before."""

from __future__ import annotations

import asyncio
import logging
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
                unsettled = False
                for file in sorted(folder.glob(self.pattern)):
                    found = _stamp(file)
                    is_hidden = file.name.startswith(".") and not self.pattern.startswith(".")
                    if found is None or found[0] in fired or is_hidden:
                        continue
                    stamp, changed_at = found
                    now_s = time.monotonic()
                    as_it_is_s = now_s - seen_s.setdefault(stamp, now_s)
                    if max(around.clock() - changed_at, as_it_is_s) < self.settled_s:
                        unsettled = True
                        continue
                    await fire(Event(stamp, {"path": str(file)}))
                    fired.add(stamp)
                    del seen_s[stamp]
                wait_s = max(self.settled_s / 2, 0.05) if unsettled else LOOK_EVERY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
        finally:
            watching.cancel()


def _stamp(file: Path) -> tuple[str, float] | None:
    """What names a file as it is now, and when it changed; None if it is none, or gone."""
    try:
        found = file.stat()
    except OSError:
        return None
    if not file.is_file():
        return None
    return f"{file} {found.st_ino} {found.st_mtime_ns} {found.st_size}", found.st_mtime


async def _watch(folder: Path, changed: asyncio.Event) -> None:
    from watchfiles import awatch

    async for _ in awatch(folder, recursive=False):
        changed.set()
