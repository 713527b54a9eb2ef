"""Progress of commands: bars on a terminal; where work takes minutes, lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 10.0


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """A bar with a description and `columns`; hidden unless on a terminal."""
    return Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class Stages:
    """How far a long command is: a bar on a terminal, elsewhere a line now and then.

        with Stages() as report:
            report("round 2 of 5", 0.2)

    Args:
        lines: where lines go.
        console: where the bar is; if it is no terminal, there are lines instead.
        clock: returns seconds.
        quiet_s: how long the first line is held back, so that short work has none.
        predicts: whether the time left is shown, as if the rest went on at the same pace.
    """

    def __init__(
        self,
        lines: TextIO | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        quiet_s: float = 0.0,
        predicts: bool = True,
    ) -> None:
        console = Console(stderr=True) if console is None else console
        self._lines = None if console.is_terminal else lines or sys.stderr
        left = [TimeRemainingColumn()] if predicts else []
        self._bar = progress_bar(console, TaskProgressColumn(), *left)
        self._predicts = predicts
        self._clock = clock
        self._began_s = clock()
        self._next_line_s = self._began_s + quiet_s
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, what: str, share: float) -> None:
        """`what` is being done, and `share` of all work is done, from 0 to 1."""
        if self._lines is None:
            self._bar.update(self._task, description=what, completed=share)
            return
        now_s = self._clock()
        if now_s < self._next_line_s:
            return
        self._next_line_s = now_s + LINE_EVERY_S
        left = ""
        if self._predicts and share > 0.0:
            left_s = (now_s - self._began_s) * (1.0 - share) / share
            left = f", about {_spoken(left_s)} left"
        print(f"{what}: {share:.0%} done{left}", file=self._lines, flush=True)


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Show that work goes on whose end is not known: a spinner, or a line now and then on stderr.

    Args:
        console: where the spinner is, if it is a terminal.
        what: is being done.
    """
    if console.is_terminal:
        with console.status(what):
            yield
        return
    ended, began_s = threading.Event(), time.monotonic()

    def say() -> None:
        while not ended.wait(LINE_EVERY_S):
            since = _spoken(time.monotonic() - began_s)
            print(f"{what}: {since} so far", file=sys.stderr, flush=True)

    speaker = threading.Thread(target=say, name="progress", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90.0 else f"{seconds / 60.0:.0f} minutes"
