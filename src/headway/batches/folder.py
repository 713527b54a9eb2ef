"""The files of batches on disk: what clients upload, what batches write, what batches read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class Folder:
    """A folder with the content of each file under its id.

    A file is written under another name, and has its own once it is complete and safe from a power
    failure. A batch keeps its input by a second name, so that whoever deletes the file stops no
    batch.

    Args:
        path: created if missing, readable by its owner only.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._files = path / "files"
        self._inputs = path / "inputs"
        for folder in (path, self._files, self._inputs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, id: str) -> Path:
        """Where the content of the file `id` is."""
        return self._files / id

    def input(self, batch: str) -> Path:
        """Where the input of a batch is."""
        return self._inputs / batch

    def new(self) -> Part:
        """A new file. Raises OSError."""
        return self.part(f"file-{secrets.token_hex(12)}")

    def part(self, id: str) -> Part:
        """The file `id`, to be written. Raises OSError."""
        return Part(self._files, id)

    def keep_input(self, batch: str, file: str) -> None:
        """Keep the content of `file` for a batch. Raises OSError."""
        os.link(self.path(file), self.input(batch))

    def remove(self, id: str) -> None:
        """Delete the content of a file, if it is there."""
        self.path(id).unlink(missing_ok=True)

    def forget_input(self, batch: str) -> None:
        """Delete the input of a batch that is over."""
        self.input(batch).unlink(missing_ok=True)

    def sweep(self, known: Collection[str], older_than: float) -> None:
        """Delete files that are not `known`, from before `older_than`."""
        for path in self._files.iterdir():
            if path.name not in known and path.stat().st_mtime < older_than:
                path.unlink(missing_ok=True)

    def sweep_inputs(self, open_batches: Collection[str], older_than: float) -> None:
        """Delete inputs that no open batch reads, kept before `older_than`: a crash left them."""
        for path in self._inputs.iterdir():
            if path.name not in open_batches and path.stat().st_ctime < older_than:
                path.unlink(missing_ok=True)


class Part:
    """A file that is being written.

    Args:
        folder: that it is in.
        id: its name once it is complete.
    """

    def __init__(self, folder: Path, id: str) -> None:
        self.id = id
        self.bytes = 0
        self._folder = folder
        self._path = folder / f"{id}.{secrets.token_hex(4)}.part"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "wb", 1024 * 1024)

    def write(self, data: bytes | bytearray) -> None:
        """Write `data` at the end. Raises OSError, such as on a full disk."""
        self._file.write(data)
        self.bytes += len(data)

    def complete(self) -> None:
        """Give it its own name. Raises OSError; then `discard` is left to do."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.rename(self._folder / self.id)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Delete what was written, unless it is complete."""
        with suppress(OSError):  # what it still held may not fit on the disk, and is not wanted
            self._file.close()
        self._path.unlink(missing_ok=True)
