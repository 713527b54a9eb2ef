"""Files and batches as clients see them, and the parts behind them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from headway.batches.batch import MONTH_S, WINDOW_S, Batch, Status, WrongStatus
from headway.batches.failed_lines import FailedLine, parsed, read_failed
from headway.batches.folder import Folder, Part
from headway.batches.input_file import ENVELOPE_BYTES
from headway.batches.journal import Journal, Order
from headway.batches.progress import Progress
from headway.batches.retrying import copy_failed
from headway.batches.runner import Runner
from headway.batches.schema import StoredFile
from headway.batches.serving import Serving
from headway.batches.settings import BatchSettings
from headway.batches.shared_files import SharedFiles
from headway.store.leases import Renewal
from headway.store.owner import Owner
from headway.store.transactions import Refused

logger = logging.getLogger(__name__)

MOST_METADATA = 16
"""Entries that a batch may have."""
CLEAN_EVERY_S = 60.0
LEFT_BEHIND_S = 24 * 3600.0
"""An unknown file of that age is what a crash left: no upload takes so long."""


class NothingFailed(Exception):
    """No request of the batch failed."""


class Batches:
    """All files and batches of one folder, or of the gateways that share a database.

    Args:
        settings: where it is, and its limits.
        serving: runs the lines.
        clock: seconds since 1970.

    Raises:
        NoDatabase, OSError: the folder or the journal cannot be used.
    """

    def __init__(
        self, settings: BatchSettings, serving: Serving, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.folder = Folder(settings.folder)
        place = settings.database or settings.folder / "batches.db"
        self._journal = Journal.open(place, Owner.this())
        self._shared = SharedFiles(self._journal, self.folder) if settings.database else None
        self._clock = clock
        self._runner = Runner(self._journal, self.folder, self._shared, settings, serving, clock)
        self._cleaning: asyncio.Task[None] | None = None
        self._renewal = Renewal(self._journal.renew)

    @property
    def away(self) -> bool:
        """Whether their database is away: what is asked now waits until it is back."""
        return self._journal.away

    def progress(self) -> Progress:
        """How far the batches are that this process runs."""
        return self._runner.progress()

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
        begins = batch.status in (Status.VALIDATING, Status.IN_PROGRESS)
        return self._runner.waits(batch) if begins else ""

    def ends_at(self, batch: Batch) -> float | None:
        """When it is predicted to end; None: it is paused, or not known, or not here."""
        return self._runner.ends_at(batch)

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
            OSError, Refused: it cannot be completed; nothing of it is left.
        """
        now = int(self._clock())
        await asyncio.to_thread(part.complete)
        if self._shared is not None:
            await self._shared.keep(part.id)
        expires_at = None if expires_s is None else now + expires_s
        file = StoredFile(part.id, owner, purpose, filename, part.bytes, now, expires_at)
        await self._journal.add_file(file)
        return file

    async def file(self, id: str, owner: str | None) -> StoredFile | None:
        """The file `id`; None if this owner has no such file, or nobody where it is None."""
        return await self._journal.file(id, owner, self._clock())

    async def files(
        self, owner: str, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> list[StoredFile]:
        """Up to `limit` files. Raises UnknownCursor."""
        now = self._clock()
        return await self._journal.files(owner, purpose, after, limit, order, now)

    async def path(self, file: StoredFile) -> Path:
        """Where the content of a file is. Raises FileNotFoundError and OSError."""
        path = self.folder.path(file.id)
        if self._shared is not None:
            await self._shared.copy(file.id)
        elif not path.exists():
            raise FileNotFoundError(path)
        return path

    async def remove_file(self, id: str, owner: str) -> bool:
        """Delete the file `id`; returns whether this owner had it. Batches that read it go on."""
        if not await self._journal.remove_file(id, owner, self._clock()):
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
        key_name: str,
    ) -> Batch:
        """Begin a batch of the requests in `file`, for the API key of that name. Raises OSError."""
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
            key_name=key_name,
        )
        if self._shared is None:
            self.folder.keep_input(batch.id, file.id)
        await self._runner.begin(batch)
        return batch

    async def batch(self, id: str, owner: str | None) -> Batch | None:
        """The batch `id`; None if this owner has no such batch, or nobody where it is None."""
        return await self._journal.batch(id, owner)

    async def batches(self, owner: str | None, after: str | None, limit: int) -> list[Batch]:
        """Up to `limit` batches, the newest first. Raises UnknownCursor.

        Args:
            owner: whose; None: everybody's.
            after: the batch that comes before them.
            limit: how many.
        """
        return await self._journal.batches(owner, after, limit)

    async def cancel(self, id: str, owner: str | None) -> Batch | None:
        """Cancel a batch, and return it; None if this owner has no such batch.

        Raises:
            WrongStatus: it is over.
        """
        return await self._ask(id, owner, lambda batch: batch.cancelled(self._clock()))

    async def pause_batch(self, id: str, owner: str | None) -> Batch | None:
        """Begin no more lines of a batch until it is resumed; None if this owner has none such.

        Those under way go on, and so does the time until it expires.

        Raises:
            WrongStatus: none of its lines will begin anyway.
        """
        return await self._ask(id, owner, lambda batch: batch.paused(self._clock()))

    async def resume_batch(self, id: str, owner: str | None) -> Batch | None:
        """Let the lines of a batch begin again; None if this owner has no such batch."""
        return await self._ask(id, owner, Batch.resumed)

    async def retry(self, id: str, owner: str | None, key_name: str) -> Batch | None:
        """Begin a batch of the requests that failed in another; None if this owner has none such.

        Args:
            id: of the other one.
            owner: whose it is; None: anybody's.
            key_name: of the API key that asks for it: the new lines count against its budget.

        Raises:
            WrongStatus: it is not over.
            NothingFailed: it has no error file.
            FileNotFoundError: its input or its error file was deleted, or has expired.
            OSError, Refused: the requests cannot be written.
        """
        batch = await self.batch(id, owner)
        if batch is None:
            return None
        if not batch.status.over:
            raise WrongStatus(f"batch {id} is {batch.status}")
        if batch.error_file_id is None:
            raise NothingFailed(id)
        inputs = await self._file_there(batch.input_file_id)
        errors = await self._file_there(batch.error_file_id)
        part = self.folder.new()
        try:
            paths = await self.path(inputs), await self.path(errors)
            most_bytes = self.settings.max_line_bytes + ENVELOPE_BYTES
            await asyncio.to_thread(copy_failed, *paths, part, most_bytes)
            file = await self.add_file(part, batch.owner, "batch", f"{id}_retry.jsonl", MONTH_S)
        finally:
            await asyncio.to_thread(part.discard)
        metadata = dict(batch.metadata or {})
        if len(metadata) < MOST_METADATA:
            metadata["retry_of"] = id
        return await self.create(file, batch.endpoint, metadata, batch.output_expires_s, key_name)

    async def failed_lines(self, batch: Batch, most: int) -> list[FailedLine]:
        """The first lines that failed, with their errors. Raises OSError."""
        if not batch.status.over:
            return parsed(await self._journal.failed_lines(batch.id, most))
        if batch.error_file_id is None:
            return []
        path = await self.path(await self._file_there(batch.error_file_id))
        return await asyncio.to_thread(read_failed, path, most)

    async def _file_there(self, id: str) -> StoredFile:
        file = await self.file(id, None)
        if file is None:
            raise FileNotFoundError(id)
        return file

    async def _ask(
        self, id: str, owner: str | None, change: Callable[[Batch], Batch]
    ) -> Batch | None:
        batch = await self._journal.ask(id, owner, change)
        if batch is not None:
            self._runner.look(id)
        return batch

    # ---- beside -----------------------------------------------------------------------------

    async def _clean(self) -> None:
        """Delete what has expired, and what a crash left behind."""
        while True:
            try:
                await self._clean_once()
            except (Refused, OSError) as error:
                logger.warning("old batches cannot be cleaned up: %s", error)
            await asyncio.sleep(CLEAN_EVERY_S)

    async def _clean_once(self) -> None:
        for batch in await self._journal.leftovers():
            await self._journal.forget_lines(batch)
        for id in await self._journal.remove_expired_files(self._clock()):
            self.folder.remove(id)
        before = time.time() - LEFT_BEHIND_S
        if self._shared is None:
            self.folder.sweep(await self._journal.file_ids(), before)
        else:
            await self._journal.forget_pieces_left_behind(before)
            self._shared.forget_copies()
        self.folder.sweep_inputs(await self._journal.open_batches(), before)
