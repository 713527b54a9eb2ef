"""Who works on what: claims of workers."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.workflows.conftest import Bench
from tests.workflows.nested import (
    DEFINITION,
    OWNER,
    begin_anew,
    inner,
    outer,
)

from headway.store.sqlite import SqliteConnection
from headway.workflows.catalog import Catalog
from headway.workflows.journal.errors import KeyTaken
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunRow
from headway.workflows.journal.schema import prepare
from headway.workflows.starting import start


@pytest.fixture(autouse=True)
def fresh() -> None:
    begin_anew()


async def test_a_claim_whose_answer_was_lost_is_made_again(bench: Bench) -> None:
    async with bench.working(outer) as worker:
        worker._journal = journal = bench.journal
        row = await bench.start(inner)
        await journal.claim(worker._owner, ["inner"], 1, 30)  # as if the answer did not come
        await asyncio.sleep(0)
        await bench.until(row.id, "ready")


async def test_upper_tiers_are_claimed_before_lower_ones_and_deadlines_in_order(
    journal: Journal,
) -> None:
    for number, (tier, deadline_at) in enumerate(
        [("batch", 1.0), (None, None), (None, 9.0), ("standard", 8.0), ("interactive", None)]
    ):
        row = RunRow(
            f"run{number}", "w", "hash", "{}", tier=tier, deadline_at=deadline_at, created_at=0.0
        )
        await journal.add(row, DEFINITION)
    order = []
    while claimed := await journal.claim(OWNER, ["w"], 1, 30, [f"run{one}" for one in range(5)]):
        order += [row.id for row in claimed]
    assert order == ["run4", "run3", "run2", "run1", "run0"]


def test_a_claim_sorts_nothing(tmp_path: Path) -> None:
    SqliteConnection(tmp_path / "workflows.db", prepare).close()
    database = sqlite3.connect(tmp_path / "workflows.db")
    from headway.workflows.journal.schema import ORDER

    for column in ("workflow", "root_workflow"):
        plan = database.execute(
            f"EXPLAIN QUERY PLAN SELECT id FROM runs WHERE state = 'ready' AND {column} = 'w' "
            f"ORDER BY {ORDER} LIMIT 9"
        ).fetchall()
        assert "USING INDEX" in str(plan) and "TEMP B-TREE" not in str(plan)


async def test_a_key_belongs_to_one_workflow(bench: Bench) -> None:
    first = await start(bench.journal, Catalog(), inner, {}, key="event")
    assert (await start(bench.journal, Catalog(), inner, {}, key="event")).id == first.id
    with pytest.raises(KeyTaken, match="the key event started run"):
        await start(bench.journal, Catalog(), outer, {}, key="event")
