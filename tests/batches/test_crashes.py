"""A gateway that is killed loses no line and asks none twice that it had written down."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
from tests.batches.crashes import run_and_kill, run_on_two_hosts


async def test_a_killed_gateway_s_batch_goes_on(tmp_path: Path) -> None:
    report = await run_and_kill(tmp_path, lines=150, kills=1)
    assert report.answers == {f"c{n}": 1 for n in range(150)}
    assert not report.ran_again
    assert sum(report.asked.values()) <= 150 + 20  # what was under way when it was killed
    counts = report.batch.request_counts
    assert counts is not None and (counts.completed, counts.failed) == (150, 0)
    with closing(sqlite3.connect(tmp_path / "requests.db")) as log:
        ((rows,),) = log.execute("SELECT count(*) FROM requests WHERE outcome = 'finished'")
    assert rows >= 150, "no answer is kept whose cost is not"


async def test_a_frozen_host_s_batch_is_taken_over_and_a_killed_one_s_too(
    tmp_path: Path, postgres_database: str
) -> None:
    report, log = await run_on_two_hosts(
        tmp_path, postgres_database, lines=400, freezes=1, kills=1, lease_s=1.0
    )
    assert report.answers == {f"c{n}": 1 for n in range(400)}
    assert not report.ran_again
    with psycopg.connect(postgres_database) as database:
        ((claims,),) = database.execute("SELECT fence FROM batches").fetchall()
    assert claims > 2
    assert sum(report.asked.values()) <= 400 + claims * 20  # what was under way when it was lost
    assert "is run by another process now" in log
    counts = report.batch.request_counts
    assert counts is not None and (counts.completed, counts.failed) == (400, 0)
