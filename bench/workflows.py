"""What durable steps cost, and runs that wait: on SQLite and on a PostgreSQL of its own.

    python bench/workflows.py [steps|waiting] [--postgres]

steps: one run of 500 steps, then 8 and 32 runs at a time, then 500 runs of one step. waiting: 2,000
runs wait for a person; memory and CPU of the worker's process while they do, and how long each
takes to go on once it is answered.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.store import postgres_server

import headway
from headway.workflows.catalog import Catalog
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import RunState
from headway.workflows.llm import Gateway
from headway.workflows.question import Question
from headway.workflows.starting import start
from headway.workflows.worker import Worker


@headway.task
async def one(number: int) -> int:
    return number


@headway.workflow
async def sequence(steps: int) -> int:
    for number in range(steps):
        await one(number)
    return steps


@headway.workflow
async def asking() -> bool:
    return bool(await headway.ask("Go on?"))


CATALOG = Catalog([sequence, asking])


async def steps(journal: Journal) -> None:
    worker = Worker(journal, CATALOG, Gateway("http://127.0.0.1:1"), most_runs=500)
    working = asyncio.create_task(worker.run())
    for runs, count in ((1, 500), (1, 500), (1, 500), (8, 100), (32, 100), (500, 1)):
        began_s, cpu_s = time.perf_counter(), time.process_time()
        rows = await asyncio.gather(
            *(start(journal, CATALOG, sequence, {"steps": count}) for _ in range(runs))
        )
        worker.wake()
        waiting = {row.id for row in rows}
        while waiting:
            ended = await journal.runs(states=[RunState.FINISHED], most=runs)
            waiting -= {row.id for row in ended}
            await asyncio.sleep(0.02)
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        print(
            f"{runs} runs of {count} steps: {took_s / count * 1e3:.2f} ms a step of a run, "
            f"{runs * count / took_s:.0f} steps/s, {cpu_s / runs / count * 1e3:.2f} ms of CPU each"
        )
    working.cancel()
    await asyncio.wait([working])


async def waiting(journal: Journal, runs: int = 2000) -> None:
    worker = Worker(journal, CATALOG, Gateway("http://127.0.0.1:1"))
    working = asyncio.create_task(worker.run())
    began_s = time.perf_counter()
    rows = [await start(journal, CATALOG, asking, {}) for _ in range(runs)]
    while len(await journal.runs(states=[RunState.WAITING], most=runs)) < runs:
        await asyncio.sleep(0.1)
    print(f"{runs} runs wait after {time.perf_counter() - began_s:.1f} s")
    await asyncio.sleep(2)
    cpu_s = time.process_time()
    await asyncio.sleep(20)
    cpu_s = time.process_time() - cpu_s
    print(f"while they wait: {cpu_s / 20:.2%} of a core, {memory_mb():.0f} MB")
    took = []
    for row in rows[::100]:
        began_s = time.perf_counter()
        await journal.answer(row.id, "ask", Question("").accept(), "bench")
        while (await journal.run(row.id)).state is not RunState.FINISHED:
            await asyncio.sleep(0.005)
        took.append(time.perf_counter() - began_s)
    print(f"answer to end: median {statistics.median(took):.2f} s, longest {max(took):.2f} s")
    working.cancel()
    await asyncio.wait([working])


def memory_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measured(address: str, what: str) -> None:
    journal = Journal.open(address)
    await {"steps": steps, "waiting": waiting}[what](journal)
    journal.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["steps", "waiting"], nargs="?", default="steps")
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    if options.postgres:
        with postgres_server.temporary() as address:
            asyncio.run(measured(address, options.what))
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk, not in memory
        asyncio.run(measured(str(Path(folder) / "workflows.db"), options.what))


main()
