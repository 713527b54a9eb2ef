"""The program of the process that reads the log: `python -m headway.store.history.child LOG`.

Reads questions from its standard input, each a length and a pickle, and writes an answer to each:
what the question returned, or the exception that it raised; before the first one it says that it
is ready. It gives way to the gateway, and ends when its standard input does, as when the gateway
dies.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
import struct
import sys
from pathlib import Path

import msgspec

from headway.store.history.log_file import HistoryError, LogFile

HEADER = struct.Struct("<Q")
"""Length in bytes of the message that follows."""
NICE = 10
"""Serving goes first; but somebody waits for the answer, so it is no idle priority."""


def main() -> None:
    """Answer until there are no more questions."""
    path = Path(sys.argv[1])
    log = LogFile(path)
    _write(None)
    while header := sys.stdin.buffer.read(HEADER.size):
        (size,) = HEADER.unpack(header)
        question = pickle.loads(sys.stdin.buffer.read(size))
        try:
            _write(question(log.opened()))
        except sqlite3.Error as error:
            log.close()
            _write(
                HistoryError(
                    f"the request log {path} cannot be read ({error}); see the gateway's log"
                )
            )
        except (HistoryError, msgspec.ValidationError) as error:  # the latter of a damaged row
            _write(error)


def _write(answer: object) -> None:
    written = pickle.dumps(answer, protocol=5)
    sys.stdout.buffer.write(HEADER.pack(len(written)) + written)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    os.nice(NICE)
    main()
