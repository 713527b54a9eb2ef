"""Text in files: plain, or compressed with gzip or Zstandard, with a byte order mark or without."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from headway.extras import install_extra

GZIP, ZSTD = ".gz", ".zst"
"""Suffixes, in small letters; a file's own may be in capitals."""
BEGINS = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
"""The first bytes of compressed files, whatever their names."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of what Windows' shells write."""
REFUSED = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"BZh": "compressed with bzip2",
}
"""First bytes of files that are refused by what they are."""


class TextFileError(Exception):
    """A file cannot be read or written as text; the message says why, and what to do."""


@contextmanager
def reading(path: Path) -> Iterator[TextIO]:
    """The text of a file, for as long as the `with` block takes. Line ends stay as they are.

    Raises:
        TextFileError: it is not there, or not readable; from within the block, too.
    """
    try:
        with path.open("rb") as file:
            first = file.read(8)
            file.seek(0)
            with _uncompressed(path, file, first) as text:
                yield text
    except UnicodeDecodeError:
        raise TextFileError(f"{path} cannot be read: it is no text in UTF-8 or UTF-16") from None
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise TextFileError(f"{path} cannot be read: {error}") from None


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A file to write text into, compressed as its suffix says. Line ends stay as they are.

    Raises:
        TextFileError: Zstandard is asked for, and pyarrow is not there.
        OSError: it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == GZIP:
        with gzip.open(path, "wt", encoding="utf-8", newline="") as text:
            yield cast(TextIO, text)
    elif suffix == ZSTD:
        packed = _pyarrow(path).output_stream(str(path), compression="zstd")
        with io.TextIOWrapper(packed, encoding="utf-8", newline="") as text:
            yield text
    else:
        with path.open("w", encoding="utf-8", newline="") as text:
            yield text


def _uncompressed(path: Path, file: BinaryIO, first: bytes) -> TextIO:
    kind = path.suffix.lower()
    for begin, what in REFUSED.items():
        if first.startswith(begin):
            raise TextFileError(f"{path} is {what}; unpack it, or save it as text")
    for begin, suffix in BEGINS.items():
        if first.startswith(begin):
            kind = suffix
    plain: Any = file
    if kind == GZIP:
        plain = gzip.open(file, "rb")  # noqa: SIM115  (closed with the text around it)
    elif kind == ZSTD:
        plain = _pyarrow(path).input_stream(file, compression="zstd")
    encoding = "utf-16" if first.startswith(UTF_16) else "utf-8-sig"
    return io.TextIOWrapper(plain, encoding=encoding, newline="")


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise TextFileError(
            f"{path} is compressed with Zstandard, for which pyarrow is missing; "
            f"`{install_extra('parquet')}`, or unpack it with `unzstd`"
        ) from None
    return pyarrow
