"""The journal: one row a line, claims and their fences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.batches.batch import Batch, Status, Usage
from headway.batches.journal import Journal, JournalError, LostBatch
from headway.batches.schema import Held, PlannedLine, Result
from headway.store.owner import Owner

NEW = Batch("batch_1", "ann", "/v1/chat/completions", "file-1", 100, 86500, metadata={"a": "b"})
LINES = [PlannedLine(n, n + 1, n * 10, 10, f"c{n}") for n in range(5)]
GONE = Owner(Owner.this().machine, 1, "never", "x")
"""A process of this machine that is gone."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batches.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path, Owner.this())
    yield journal
    journal.close()


@pytest.fixture
def dead(path: Path) -> Iterator[Journal]:
    journal = Journal(path, GONE)
    yield journal
    journal.close()


def begun(batch: Batch) -> Batch:
    return replace(batch.moved(Status.IN_PROGRESS, 110), total=len(LINES), model="m")


def result(line: int, answer: bytes = b"{}\n", succeeded: bool = True) -> Result:
    return Result(line, 1, succeeded, answer, Usage(2, 0, 3))


async def planned(journal: Journal) -> Held:
    held = await journal.add(NEW, 100.0)
    await journal.plan(held, LINES, begun)
    return held


async def test_a_batch_comes_back_as_it_was(journal: Journal) -> None:
    await journal.add(NEW, 100.0)
    assert await journal.batch("batch_1", "ann") == NEW
    assert await journal.batch("batch_1", "bob") is None


async def test_a_line_has_one_answer_whoever_writes_it_again(journal: Journal) -> None:
    held = await planned(journal)
    await journal.record(held, [result(1, b"first\n"), result(3, succeeded=False)])
    batch = await journal.record(held, [result(1, b"second\n"), result(2)])
    assert (batch.completed, batch.failed, batch.left) == (2, 1, 2)
    assert batch.usage == Usage(6, 0, 9)
    assert [line.line for line in await journal.next_lines("batch_1", -1, 10)] == [4, 5]
    answers = list(journal.answers("batch_1"))
    assert [(line, answer) for line, _, _, answer in answers] == [
        (1, b"first\n"),
        (2, b"{}\n"),
        (3, b"{}\n"),
        (4, None),
        (5, None),
    ]


async def test_a_dead_process_s_batch_is_taken_over_and_its_late_answers_refused(
    journal: Journal, dead: Journal
) -> None:
    lost = await planned(dead)
    (held,) = await journal.claim(105.0)
    assert held.fence == lost.fence + 1
    assert await journal.claim(106.0) == []
    for late in (dead.record(lost, [result(1)]), dead.change(lost, lambda batch: batch)):
        with pytest.raises(LostBatch):
            await late
    assert (await journal.record(held, [result(1)])).completed == 1


async def test_a_living_process_keeps_its_batch_whatever_the_clock_says(
    path: Path, journal: Journal
) -> None:
    await planned(journal)
    other = Journal(path, Owner.this())
    assert await other.claim(1e9) == []
    await journal.release()
    assert len(await other.claim(100.0)) == 1
    other.close()


async def test_what_is_over_is_claimed_by_nobody(journal: Journal, dead: Journal) -> None:
    held = await dead.add(NEW, 100.0)
    await dead.change(held, lambda batch: batch.moved(Status.FAILED, 110))
    assert await journal.claim(1e9) == []


async def test_the_lines_of_a_batch_that_is_over_are_forgotten(journal: Journal) -> None:
    held = await planned(journal)
    await journal.record(held, [result(1)])
    assert await journal.leftovers() == []
    await journal.change(held, lambda batch: batch.cancelled(120).moved(Status.CANCELLED, 121))
    assert await journal.leftovers() == ["batch_1"]
    await journal.forget_lines("batch_1")
    assert await journal.leftovers() == []
    assert list(journal.answers("batch_1")) == []


async def test_a_newer_version_s_journal_is_refused_and_kept(path: Path) -> None:
    Journal(path, Owner.this()).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer Headway"):
        Journal(path, Owner.this())
    assert path.exists()
