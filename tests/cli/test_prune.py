"""`headway runs prune`, and a journal that this Headway cannot read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headway.cli.exit import Failure
from headway.cli.journal import with_journal
from headway.cli.runs import prune
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import Definition, RunRow, RunState


def test_old_runs_are_deleted_and_others_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = str(tmp_path / "workflows.db")

    async def add(opened: Journal) -> None:
        for run, ended_at in (("old", 1.0), ("new", 1e12)):
            row = RunRow(run, "w", "h", "{}", state=RunState.FINISHED, ended_at=ended_at)
            await opened.add(row, Definition("h", "w", "", ""))

    with_journal(journal, add)
    prune(older_than=30, journal=journal)
    assert capsys.readouterr().out == "Deleted 1 runs\n"
    left = with_journal(journal, lambda opened: opened.runs())
    assert [row.id for row in left] == ["new"]


def test_a_journal_of_a_newer_headway_is_refused_in_a_sentence(tmp_path: Path) -> None:
    journal = str(tmp_path / "workflows.db")
    with_journal(journal, lambda opened: opened.runs())
    with sqlite3.connect(journal) as database:
        database.execute("UPDATE versions SET version = 99")
    with pytest.raises(Failure, match=r"have version 99, .*: upgrade Headway"):
        with_journal(journal, lambda opened: opened.runs())
