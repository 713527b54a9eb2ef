"""Progress of a measurement on the terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from headway.lab.loadtest.client import RequestResult


class ProgressBar:
    """One bar for each run; the Watcher of a comparison."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=console,
            refresh_per_second=2,
        )
        self._run: TaskID | None = None
        self._failed = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def phase(self, label: str, requests: int) -> None:
        """A run of so many requests begins."""
        if self._run is not None:
            self._progress.stop_task(self._run)
        self._failed = 0
        self._run = self._progress.add_task(label, total=requests, failed="")

    def done(self, outcome: RequestResult) -> None:
        """One of them is answered."""
        assert self._run is not None, "done comes after phase"
        self._failed += bool(outcome.error)
        failed = f"{self._failed} failed" if self._failed else ""
        self._progress.update(self._run, advance=1, failed=failed)
