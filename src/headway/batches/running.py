"""A batch whose lines run: which are next, which are under way, and what they were answered."""

from __future__ import annotations

import asyncio
import heapq
import os
from collections import deque
from pathlib import Path

from headway.batches.batch import Batch
from headway.batches.input_file import body_of
from headway.batches.schema import Held, PlannedLine, Result

READ_AHEAD = 256
"""Places of lines that are known ahead; their bodies stay in the file."""


class RunningBatch:
    """What is in memory of one batch.

    Args:
        held: the batch and its claim.
        batch: as it is now.
        input: its input file.

    Raises:
        OSError: the input cannot be opened.
    """

    def __init__(self, held: Held, batch: Batch, input: Path) -> None:
        self.held = held
        self.batch = batch
        self.changed = asyncio.Event()
        """A line ended, or somebody wants the batch looked at."""
        self.tasks: set[asyncio.Task[None]] = set()
        """The lines under way."""
        self.unwritten: list[Result] = []
        """Answers that are not in the journal yet."""
        self.unwritten_bytes = 0
        """Their size, with those that are being written."""
        self.last_place = -1
        """Of the lines that are known."""
        self.exhausted = False
        """Whether all lines are known."""
        self._ready: deque[tuple[PlannedLine, int]] = deque()
        """The next lines, and which run it will be."""
        self._later: list[tuple[float, int, int, PlannedLine]] = []
        """Lines that are asked again: when, place, which run it will be, and which."""
        self._worked_s = 0.0
        """Time in which lines might begin, up to `_seen_at`."""
        self._seen_at = 0.0
        self._may_begin = False
        self._answered_before = batch.total - batch.left
        self._descriptor = os.open(input, os.O_RDONLY)

    def close(self) -> None:
        """Close the input."""
        os.close(self._descriptor)

    @property
    def wants_lines(self) -> bool:
        """Whether more lines should be read from the journal."""
        return not self.exhausted and len(self._ready) < READ_AHEAD // 2

    @property
    def done(self) -> bool:
        """Whether every line has its answer in the journal."""
        under_way = self.tasks or self.unwritten or self._ready or self._later
        return self.exhausted and not under_way

    def add(self, lines: list[PlannedLine], asked: int) -> None:
        """These lines are next, of `asked` that were wanted."""
        self._ready.extend((line, 1) for line in lines)
        self.exhausted = len(lines) < asked
        if lines:
            self.last_place = lines[-1].place

    def again(self, line: PlannedLine, run: int, at: float) -> None:
        """Ask this line again, at that time; `run` counts its runs, from 1."""
        heapq.heappush(self._later, (at, line.place, run, line))

    def next(self, now: float) -> tuple[PlannedLine, int] | None:
        """The next line, and which run of it; None: there is none now."""
        if self._later and self._later[0][0] <= now:
            _, _, run, line = heapq.heappop(self._later)
            return line, run
        return self._ready.popleft() if self._ready else None

    def body(self, line: PlannedLine) -> bytes:
        """The body of a line, from the input. Raises OSError."""
        return body_of(os.pread(self._descriptor, line.bytes, line.at))

    def seen(self, now: float, may_begin: bool) -> None:
        """Its lines may begin from now on, or may not, in seconds since 1970."""
        if self._may_begin:
            self._worked_s += max(0.0, now - self._seen_at)
        self._seen_at, self._may_begin = now, may_begin

    @property
    def work_s(self) -> float:
        """Seconds in which the other lines are answered, at its pace while lines might begin.

        0 where that is not known yet.
        """
        answered = self.batch.total - self.batch.left - self._answered_before
        return self.batch.left * self._worked_s / answered if answered > 0 else 0.0
