"""A gateway that is killed loses no line and asks none twice that it had written down."""

from __future__ import annotations

from pathlib import Path

from tests.batches.crashes import run_and_kill


async def test_a_killed_gateway_s_batch_goes_on(tmp_path: Path) -> None:
    report = await run_and_kill(tmp_path, lines=150, kills=1)
    assert report.answers == {f"c{n}": 1 for n in range(150)}
    assert not report.ran_again
    assert sum(report.asked.values()) <= 150 + 20  # what was under way when it was killed
    counts = report.batch.request_counts
    assert counts is not None and (counts.completed, counts.failed) == (150, 0)
