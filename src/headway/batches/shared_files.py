"""What is in files, in the journal's database: gateways on several hosts share no folder.

A file is cut into pieces, each a row, so that neither a gateway nor the server has it in memory.
Every gateway keeps copies of what it serves and reads in its folder; the database has the original.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

from headway.batches.folder import Folder
from headway.batches.journal import Journal
from headway.store.transactions import Refused

PIECE_BYTES = 1024 * 1024
COPY_S = 3600.0
"""How long a copy is kept that nobody asks for."""


class SharedFiles:
    """The contents of files in the database, and copies of them in a folder.

    Args:
        journal: has the contents.
        folder: has the copies.
    """

    def __init__(self, journal: Journal, folder: Folder) -> None:
        self._journal = journal
        self._folder = folder

    async def keep(self, id: str) -> None:
        """Put the file `id`, which is in the folder, into the database.

        Raises:
            OSError, Refused: nothing of it is left then, here and there.
        """
        try:
            with await asyncio.to_thread(self._folder.path(id).open, "rb") as file:
                number = 0
                while (piece := await asyncio.to_thread(file.read, PIECE_BYTES)) or not number:
                    await self._journal.add_piece(id, number, piece, time.time())
                    number += 1
        except BaseException:
            await self.forget(id)
            raise

    async def forget(self, id: str) -> None:
        """Delete the file `id`, which the journal does not know, here and in the database."""
        self._folder.remove(id)
        with suppress(Refused):  # it is deleted with what crashes left
            await self._journal.forget_pieces(id)

    async def copy(self, id: str) -> None:
        """Have a copy of the file `id` in the folder, all of it.

        Raises:
            FileNotFoundError: the database does not have it, or it was deleted meanwhile.
            OSError: such as on a full disk.
        """
        path = self._folder.path(id)
        if path.exists():
            os.utime(path)
            return
        part = self._folder.part(id)
        try:
            pieces = await self._journal.pieces(id)
            for number in range(pieces):
                piece = await self._journal.piece(id, number)
                if piece is None:
                    raise FileNotFoundError(f"{id} was deleted while it was copied")
                await asyncio.to_thread(part.write, piece)
            if not pieces:
                raise FileNotFoundError(f"{id} is not in the database")
            await asyncio.to_thread(part.complete)
        finally:
            await asyncio.to_thread(part.discard)

    async def copy_input(self, batch: str, file: str) -> None:
        """Have the input of a batch in the folder. Raises OSError."""
        if not self._folder.input(batch).exists():
            await self.copy(file)
            self._folder.keep_input(batch, file)

    def forget_copies(self) -> None:
        """Delete copies that nobody has asked for lately."""
        self._folder.sweep((), time.time() - COPY_S)
