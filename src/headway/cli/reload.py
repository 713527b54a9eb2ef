"""Takes over changed settings while the gateway runs."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from headway.cli.exit import Failure
from headway.cli.live_settings import LIVE
from headway.config.settings import Settings
from headway.gateway.server import Gateway

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""Between two looks at the file. It is read once two in a row found it the same: an editor may
write it in several steps."""

Stamp = tuple[int, int, int]
"""Inode, size and time of the last change."""


class Reload:
    """Reads the settings again when their file changes or SIGHUP comes, and uses the LIVE ones.

    A file that is wrong is refused with a line in the log, and everything stays as it was. Other
    settings need another start; one line says which.

    Args:
        settings: those in use.
        read: reads all sources again. Raises Failure.
        file: the settings file, whether or not it exists.
    """

    def __init__(self, settings: Settings, read: Callable[[], Settings], file: Path) -> None:
        self._settings = settings
        self._embedded = settings.embedded
        self._read = read
        self._file = file
        self._asked = asyncio.Event()
        self._used = self._seen = _stamp(file)
        self._named: dict[str, object] = {}
        """Settings that need another start and were named in the log, and their values."""

    def hear_hangups(self) -> None:
        """From now on SIGHUP ends nothing; `run` does what it asks for."""
        if _hangup_means_reload():
            signal.signal(signal.SIGHUP, lambda *_: self._asked.set())

    async def run(self, gateway: Gateway) -> None:
        """Watch until cancelled."""
        if _hangup_means_reload():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._asked.wait()
            if self._asked.is_set() or self.changed():
                self._asked.clear()
                await self.take_over(gateway)

    def changed(self) -> bool:
        """Look at the file: whether it is another one than was read, and no longer changes."""
        before, self._seen = self._seen, _stamp(self._file)
        return self._seen == before and self._seen != self._used

    async def take_over(self, gateway: Gateway) -> None:
        """Read the settings again, and use those that need no other start."""
        self._used = _stamp(self._file)
        try:
            settings = await asyncio.to_thread(self._read)
        except Failure as failure:
            logger.error("the settings stay as they were: %s", failure)
            return
        if wrong := self._wrong(settings):
            logger.error("the settings stay as they were: %s", wrong)
            return
        before = self._settings
        self._settings = before.model_copy(
            update={live.name: getattr(settings, live.name) for live in LIVE}
        )
        changed = False
        for live in LIVE:
            old, new = live.entries(before), live.entries(settings)
            if new != old:
                changed = True
                differences = _differences(old, new, live.gone)
                logger.info("%s were read again: %s", live.name, differences)
                if (used := live.use(gateway, settings)) is not None:
                    await used
        others = dict(_others(self._settings, settings))
        if settings.embedded != self._embedded:
            others["whether there is an embedded engine"] = settings.embedded
        if others != self._named:
            self._named = others
            if others:
                names = ", ".join(others)
                logger.warning("%s changed: start Headway again to use that", names)
                return
        if not changed:
            logger.info("the settings were read again: nothing changed")

    def _wrong(self, settings: Settings) -> str:
        """Why these settings cannot be taken over; empty: they can."""
        if self._settings.keys and not settings.keys:
            return "without keys everybody could use the gateway; start it again if that is meant"
        if settings.embedded and not self._embedded:
            return (
                "without backends the embedded engine would have to start; start Headway again if "
                "that is meant"
            )
        return ""


def _hangup_means_reload() -> bool:
    """Whether SIGHUP asks for that: a terminal that is closed sends it to end what runs there."""
    return hasattr(signal, "SIGHUP") and not (sys.stdin and sys.stdin.isatty())


def _differences(old: Mapping[str, object], new: Mapping[str, object], gone: str) -> str:
    """How the entries changed, by their names."""
    changes = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        gone: [name for name in old if name not in new],
    }
    named = [f"{what}: {', '.join(names)}" for what, names in changes.items() if names]
    return "; ".join([*named, f"{len(new)} in all"])


def _others(used: BaseModel, read: BaseModel, section: str = "") -> Iterator[tuple[str, object]]:
    """Settings that differ from those in use, by their names in the file."""
    for name in type(used).model_fields:
        mine, others = getattr(used, name), getattr(read, name)
        if isinstance(mine, BaseModel):
            yield from _others(mine, others, f"{section}{name}.")
        elif mine != others:
            yield f"{section}{name}", others


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
