"""Every night a new version of a prompt is compared with the one in production; a person decides.

    cp -r examples/prompts .
    headway serve --prompts prompts
    headway worker examples/workflows/evaluation.py --port 8090

Both versions answer the same questions, and are scored. If the new one is no worse, a person is
asked before `production` moves to it: on the page http://127.0.0.1:8090/, or by `headway approve`.
Not to wait for the night: `headway run examples/workflows/evaluation.py`.
"""

from __future__ import annotations

import statistics
import subprocess
from typing import Any

import headway
from headway.workflows.errors import Rejected
from headway.workflows.triggers import Cron

PROMPT = "name-capital"
CANDIDATE = "3"
CAPITALS = {
    "Egypt": "Cairo",
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Spain": "Madrid",
}


@headway.task(retries=2, tier="batch")
async def score(version: str, country: str) -> float:
    """1 if the answer names the capital, else 0."""
    answer = await headway.prompt(PROMPT, {"country": country}, version=version)
    return float(CAPITALS[country] in answer.text)


@headway.task
def promote(version: str) -> str:
    """Move `production` to a version."""
    command = ["headway", "prompts", "promote", f"{PROMPT}@{version}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def mean(version: str) -> float:
    """The mean score of a version."""

    async def one(country: str) -> float:
        return await score(version, country)

    return statistics.mean(await headway.map(one, CAPITALS, limit=4))


@headway.workflow(triggers=[Cron("0 3 * * *", timezone="Europe/Berlin")])
async def evaluation(candidate: str = CANDIDATE) -> dict[str, Any]:
    """What both versions scored, and whether the new one is in production now."""
    current, new = await headway.gather(mean("production"), mean(candidate))
    result = {"production": round(current, 2), candidate: round(new, 2), "promoted": False}
    if new < current:
        return result
    try:
        await headway.ask(f"Move production of {PROMPT} to version {candidate}?", about=result)
    except Rejected as error:
        return result | {"why_not": str(error)}
    await promote(candidate)
    return result | {"promoted": True}
