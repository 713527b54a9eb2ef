"""Kills the workers of a run of 200 steps at random moments, on SQLite and on PostgreSQL.

    python bench/workflow_kills.py [--kills 50] [--shared-kills 20]

One process on SQLite is killed 50 times, one of two processes on a PostgreSQL of its own 20 times.
The run has to end right; no step that had finished may begin again; no answered call is paid twice.
A step takes 0.2 s and a kill comes within 0.5 s of the first one, so that most deaths leave some
progress behind: a run without any between its deaths waits for longer each time, as it may be
what kills the processes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.store import postgres_server
from tests.workflows.crashes import Report, run_and_kill

BRANCHES, STEPS = 4, 50


def show(name: str, report: Report) -> None:
    counted = sum(b * 100 + n for b in range(BRANCHES) for n in range(1, STEPS, 2))
    asked = BRANCHES * ((STEPS + 1) // 2)
    right = report.output_json == str(counted + asked * len("fine"))
    print(
        f"{name}: {report.kills} kills in {report.wall_s:.0f} s, {report.state}, "
        f"{'right' if right else 'WRONG: ' + str(report.output_json)}; "
        f"{len(report.ran_again)} finished steps ran again; "
        f"{report.paid} calls paid of {asked}, {report.answered_again} answered again; "
        f"{report.steps_begun} tasks begun for {BRANCHES * STEPS}"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--shared-kills", type=int, default=20)
    parser.add_argument("--step-s", type=float, default=0.2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "workflows.db")
        report = await run_and_kill(
            journal,
            Path(folder),
            kills=options.kills,
            branches=BRANCHES,
            steps=STEPS,
            step_s=options.step_s,
        )
        show("SQLite, one process", report)
    with tempfile.TemporaryDirectory() as folder, postgres_server.temporary() as address:
        report = await run_and_kill(
            address,
            Path(folder),
            kills=options.shared_kills,
            processes=2,
            branches=BRANCHES,
            steps=STEPS,
            step_s=options.step_s,
        )
        show("PostgreSQL, two processes", report)


asyncio.run(main())
