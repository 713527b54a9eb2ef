"""What DBOS does with the steps of bench/workflows.py, and with branches when a run goes on.

    pip install dbos==3.4.0          # in an environment of its own
    python bench/peers/dbos_steps.py

SQLite with what helps it most: WAL, synchronous NORMAL (ours is FULL: safe from a power failure),
JSON, 32 threads. Then a run of eight branches of three steps is killed halfway, and goes on.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

BRANCHES = 8


def prepare(path: str) -> None:
    engine = sqlalchemy.create_engine(
        f"sqlite:///{path}",
        connect_args={"isolation_level": "IMMEDIATE", "timeout": 30, "check_same_thread": False},
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    DBOS(
        config={
            "name": "steps",
            "system_database_engine": engine,
            "system_database_url": f"sqlite:///{path}",
            "application_version": "1",
            "executor_id": "one",
            "log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": 32,
        }
    )


@DBOS.step()
async def one(number: int) -> int:
    return number


@DBOS.workflow()
async def sequence(steps: int) -> int:
    for number in range(steps):
        await one(number)
    return steps


@DBOS.step()
async def slow(branch: int, number: int) -> list[int]:
    await asyncio.sleep(random.random() * 0.05)
    return [branch, number]


@DBOS.workflow()
async def branches() -> list[list[list[int]]]:
    async def branch(own: int) -> list[list[int]]:
        return [await slow(own, number) for number in range(3)]

    return await asyncio.gather(*(branch(own) for own in range(BRANCHES)))


async def steps() -> None:
    DBOS.launch()
    for runs, count in ((1, 500), (1, 500), (1, 500), (8, 100), (32, 100), (500, 1)):
        began_s = time.perf_counter()
        handles = [await DBOS.start_workflow_async(sequence, count) for _ in range(runs)]
        for handle in handles:
            await handle.get_result()
        took_s = time.perf_counter() - began_s
        print(
            f"{runs} runs of {count} steps: {took_s / count * 1e3:.2f} ms a step of a run, "
            f"{runs * count / took_s:.0f} steps/s"
        )


async def killed(after_s: float | None) -> None:
    DBOS.launch()
    with SetWorkflowID("branches"):
        handle = await DBOS.start_workflow_async(branches)
    if after_s is not None:
        await asyncio.sleep(after_s)
        os._exit(9)
    right = [[[branch, number] for number in range(3)] for branch in range(BRANCHES)]
    result = await handle.get_result()
    print("right" if result == right else f"WRONG, and no error: {result}")


def main() -> None:
    mode, path = [*sys.argv[1:], "steps", ""][:2]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        prepare(path or f"{folder}/dbos.sqlite")
        if mode == "steps":
            asyncio.run(steps())
            for after_s in ("0.1", "0.2", "0.3", "0.4"):
                for part in (after_s, "again"):
                    file = f"{folder}/{after_s}.sqlite"
                    subprocess.run([sys.executable, __file__, part, file], check=False)
        else:
            asyncio.run(killed(None if mode == "again" else float(mode)))
    os._exit(0)


main()
