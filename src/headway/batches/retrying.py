"""The requests of a batch that failed, as the input of a new one."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.batches.folder import Part
from headway.batches.input_file import lines_of


class _Named(msgspec.Struct):
    custom_id: str


_named = msgspec.json.Decoder(_Named)


def copy_failed(inputs: Path, errors: Path, to: Part, most_bytes: int) -> None:
    """Write the lines of `inputs` whose custom_id is in `errors`. For a thread.

    Args:
        inputs: the input file of a batch that was found right.
        errors: its error file.
        to: where to.
        most_bytes: of a line; a longer one has not run.

    Raises:
        OSError: a file cannot be read or written.
    """
    with errors.open("rb") as lines:
        failed = {_named.decode(line).custom_id for line in lines}
    with inputs.open("rb") as file:
        for _, _, text in lines_of(file, most_bytes):
            if text is not None and _named.decode(text).custom_id in failed:
                to.write(text.rstrip(b"\r\n") + b"\n")
