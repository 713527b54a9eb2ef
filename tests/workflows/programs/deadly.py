"""A workflow that kills its process, and one that does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import headway


@headway.task
async def begin(log: str, name: str) -> None:
    """A line in the log."""
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


@headway.task
async def kill() -> None:
    """The end of its process."""
    os.kill(os.getpid(), signal.SIGKILL)


@headway.workflow
async def deadly(log: str) -> None:
    """Gets as far as `kill`."""
    await begin(log, "deadly")
    await kill()


@headway.workflow
async def harmless(log: str, gate: str) -> str:
    """Ends once the file `gate` is there."""
    await begin(log, "harmless")
    while not await there(gate):
        await headway.sleep(0.05)
    return "done"


@headway.task
async def there(file: str) -> bool:
    """Whether the file is there."""
    return Path(file).exists()
