"""Takes over changed settings while the gateway runs."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headway.cli.exit import Failure
from headway.config.settings import Settings
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""Between two looks at the file. It is read once two in a row found it the same: an editor may
write it in several steps."""

Stamp = tuple[int, int, int]
"""Inode, size and time of the last change."""


class Reload:
    """Reads the settings again when their file changes or SIGHUP comes, and uses the new keys.

    A file that is wrong is refused with a line in the log, and everything stays as it was. Other
    settings need another start; the line says which.

    Args:
        settings: those in use.
        read: reads all sources again. Raises Failure.
        keys_of: the keys in settings.
        file: the settings file, whether or not it exists.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        keys_of: Callable[[Settings], Sequence[ApiKey]],
        file: Path,
    ) -> None:
        self._settings = settings
        self._read = read
        self._keys_of = keys_of
        self._file = file
        self._asked = asyncio.Event()
        self._used = self._seen = _stamp(file)

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
        """Read the settings again, and use the keys in them."""
        self._used = _stamp(self._file)
        try:
            settings = await asyncio.to_thread(self._read)
        except Failure as failure:
            logger.error("the settings stay as they were: %s", failure)
            return
        if self._settings.keys and not settings.keys:
            logger.error(
                "the settings stay as they were: without keys everybody could use the gateway; "
                "start it again if that is meant"
            )
            return
        before = self._settings
        self._settings = before.model_copy(update={"keys": settings.keys})
        if settings.keys != before.keys:
            gateway.use_keys(self._keys_of(settings))
            logger.info("keys were read again: %s", _difference(before, settings))
        others = [
            name
            for name in type(settings).model_fields
            if name != "keys" and getattr(settings, name) != getattr(before, name)
        ]
        if others:
            logger.warning("%s changed: start Headway again to use that", ", ".join(others))
        elif settings.keys == before.keys:
            logger.info("the settings were read again: nothing changed")


def _hangup_means_reload() -> bool:
    """Whether SIGHUP asks for that: a terminal that is closed sends it to end what runs there."""
    return hasattr(signal, "SIGHUP") and not (sys.stdin and sys.stdin.isatty())


def _difference(before: Settings, after: Settings) -> str:
    """How the keys changed, by their names."""
    old, new = ({key.name: key for key in one.keys} for one in (before, after))
    changes = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "revoked": [name for name in old if name not in new],
    }
    named = [f"{what}: {', '.join(names)}" for what, names in changes.items() if names]
    return "; ".join([*named, f"{len(new)} in all"])


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
