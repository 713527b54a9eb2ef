"""Files and batches as clients see them, and the parts behind them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping

from headway.batches.batch import MONTH_S, WINDOW_S, Batch
from headway.batches.folder import Folder, Part
from headway.batches.journal import Journal, Order
from headway.batches.runner import Runner
from headway.batches.schema import StoredFile
from headway.batches.serving import Serving
from headway.batches.settings import BatchSettings
from headway.store.leases import Renewal
from headway.store.owner import Owner

logger = logging.getLogger(__name__)

CLEAN_EVERY_S = 60.0
LEFT_BEHIND_S = 24 * 3600.0
"""An unknown file of that age is what a crash left: no upload takes so long."""


class Batches:
    """All files and batches of one folder.

    Args:
        settings: where it is, and its limits.
        serving: runs the lines.
        clock: seconds since 1970.

    Raises:
        JournalError, OSError: the folder or its journal cannot be used.
    """

    def __init__(
        self, settings: BatchSettings, serving: Serving, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.folder = Folder(settings.folder)
        self._journal = Journal(settings.folder / "batches.db", Owner.this())
        self._clock = clock
        self._runner = Runner(self._journal, self.folder, settings, serving, clock)
        self._cleaning: asyncio.Task[None] | None = None
        self._renewal = Renewal(lambda: self._journal.renew(clock()))

    def start(self) -> None:
        """Run batches from now on, also those that an earlier process left."""
        self._renewal.start()
        self._runner.start()
        self._cleaning = asyncio.ensure_future(self._clean())

    def pause(self) -> None:
        """Begin no more lines; those under way go on."""
        self._runner.pause()

    def waits(self, batch: Batch) -> str:
        """Why no lines of a batch begin now; empty: they may, or none are left."""
        return "" if batch.status.over else self._runner.waits(batch.owner)

    async def stop(self) -> None:
        """Stop what runs, and close everything. Lines that were under way run again later."""
        self._renewal.stop()
        if self._cleaning is not None:
            self._cleaning.cancel()
        await self._runner.stop()
        await asyncio.to_thread(self._journal.close)

    # ---- files ------------------------------------------------------------------------------

    async def add_file(
        self, part: Part, owner: str, purpose: str, filename: str, expires_s: int | None
    ) -> StoredFile:
        """Add a file that was written; it expires `expires_s` from now, None: never.

        Raises:
            OSError: it cannot be completed; nothing of it is left.
        """
        now = int(self._clock())
        await asyncio.to_thread(part.complete)
        expires_at = None if expires_s is None else now + expires_s
        file = StoredFile(part.id, owner, purpose, filename, part.bytes, now, expires_at)
        await self._journal.add_file(file)
        return file

    async def file(self, id: str, owner: str) -> StoredFile | None:
        """The file `id`; None if this owner has no such file."""
        return await self._journal.file(id, owner, self._clock())

    async def files(
        self, owner: str, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> list[StoredFile]:
        """Up to `limit` files. Raises UnknownCursor."""
        now = self._clock()
        return await self._journal.files(owner, purpose, after, limit, order, now)

    async def remove_file(self, id: str, owner: str) -> bool:
        """Delete the file `id`; returns whether this owner had it. Batches that read it go on."""
        if not await self._journal.remove_file(id, owner):
            return False
        self.folder.remove(id)
        return True

    # ---- batches ----------------------------------------------------------------------------

    async def create(
        self,
        file: StoredFile,
        endpoint: str,
        metadata: Mapping[str, str] | None,
        output_expires_s: int | None,
    ) -> Batch:
        """Begin a batch of the requests in `file`. Raises OSError."""
        now = int(self._clock())
        batch = Batch(
            id=f"batch_{secrets.token_hex(12)}",
            owner=file.owner,
            endpoint=endpoint,
            input_file_id=file.id,
            created_at=now,
            expires_at=now + WINDOW_S,
            metadata=metadata,
            output_expires_s=output_expires_s or MONTH_S,
        )
        self.folder.keep_input(batch.id, file.id)
        self._runner.take(await self._journal.add(batch, now))
        return batch

    async def batch(self, id: str, owner: str) -> Batch | None:
        """The batch `id`; None if this owner has no such batch."""
        return await self._journal.batch(id, owner)

    async def batches(self, owner: str, after: str | None, limit: int) -> list[Batch]:
        """Up to `limit` batches, the newest first. Raises UnknownCursor."""
        return await self._journal.batches(owner, after, limit)

    async def cancel(self, id: str, owner: str) -> Batch | None:
        """Cancel a batch, and return it; None if this owner has no such batch.

        Raises:
            WrongStatus: it is over.
        """
        batch = await self._journal.cancel(id, owner, self._clock())
        if batch is not None:
            self._runner.look(id)
        return batch

    # ---- beside -----------------------------------------------------------------------------

    async def _clean(self) -> None:
        """Delete what has expired, and what a crash left behind."""
        while True:
            try:
                for batch in await self._journal.leftovers():
                    await self._journal.forget_lines(batch)
                for id in await self._journal.expired_files(self._clock()):
                    self.folder.remove(id)
                known = await self._journal.file_ids()
                self.folder.sweep(known, time.time() - LEFT_BEHIND_S)
            except (sqlite3.Error, OSError) as error:
                logger.warning("old batches cannot be cleaned up: %s", error)
            await asyncio.sleep(CLEAN_EVERY_S)
