"""SIGKILL at random moments: a run ends right, no finished step runs again, no call is paid twice.

bench/workflow_kills.py does the same 50 times on SQLite and 20 times on PostgreSQL.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.workflows.crashes import run_and_kill


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_run_survives_kills(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    journal = (
        str(tmp_path / "workflows.db")
        if database == "sqlite"
        else request.getfixturevalue("postgres")
    )
    report = await run_and_kill(
        journal,
        tmp_path,
        kills=2,
        processes=1 if database == "sqlite" else 2,
        branches=4,
        steps=20,
    )
    counted = sum(branch * 100 + number for branch in range(4) for number in range(1, 20, 2))
    asked = 4 * 10 * len("fine")
    assert (report.state, json.loads(report.output_json or "")) == ("finished", counted + asked)
    assert report.ran_again == []
    assert report.paid == 4 * 10
