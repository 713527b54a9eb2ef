"""A run of 200 steps in branches: tasks, some of which call a model. It is killed while it runs."""

import asyncio
import os
from pathlib import Path

import headway

LOG = Path(os.environ["STEPS_LOG"])


def note(line: str) -> None:
    with LOG.open("a", encoding="utf-8") as log:  # one write, appended: whole lines
        log.write(line + "\n")


@headway.task
async def ask_model(branch: int, number: int) -> int:
    note(f"ask {branch} {number}")
    answer = await headway.llm(f"{branch} {number}", max_tokens=5)
    return len(answer.text)


@headway.task
async def count(branch: int, number: int) -> int:
    note(f"count {branch} {number}")
    await asyncio.sleep(float(os.environ["STEP_S"]))
    return branch * 100 + number


@headway.workflow
async def crashed(branches: int, steps: int) -> int:
    async def branch(own: int) -> int:
        total = 0
        for number in range(steps):
            work = count if number % 2 else ask_model
            total += await work(own, number)
        return total

    return sum(await headway.map(branch, range(branches), limit=8))
