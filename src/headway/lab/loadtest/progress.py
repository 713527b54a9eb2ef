"""Progress of a measurement on the terminal."""

from __future__ import annotations

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


class ProgressBar(Progress):
    """One bar for each run; the Watcher of a comparison."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=console,
            refresh_per_second=2,
            disable=not console.is_terminal,  # elsewhere all that it leaves is a blank line
        )
        self._run: TaskID | None = None
        self._failed = 0

    def phase(self, label: str, requests: int) -> None:
        """A run of so many requests begins."""
        if self._run is not None:
            self.stop_task(self._run)
        self._failed = 0
        self._run = self.add_task(label, total=requests, failed="")

    def done(self, outcome: RequestResult) -> None:
        """One of them is answered."""
        assert self._run is not None, "done comes after phase"
        self._failed += bool(outcome.error)
        failed = f"{self._failed} failed" if self._failed else ""
        self.update(self._run, advance=1, failed=failed)
