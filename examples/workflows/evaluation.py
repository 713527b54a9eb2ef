"""Every night a prompt's newest version is compared with the one in production; a person decides.

    headway serve --prompts examples/prompts
    headway worker examples/workflows/evaluation.py --port 8090

A set of questions is run with both versions, and scored. If the new one is no worse, a person is
asked before `production` moves to it: on the page http://127.0.0.1:8090/, or by `headway approve`.
"""

from __future__ import annotations

import statistics
import subprocess
from typing import Any

import headway
from headway.workflows.errors import Rejected
from headway.workflows.triggers import Cron

CASES = [
    {"text": "The cat sat on the mat. It was a sunny day.", "words": ["cat", "mat"]},
    {"text": "Prices of coffee rose by a third in May.", "words": ["coffee", "prices"]},
    {"text": "The train from Berlin is two hours late.", "words": ["train", "late"]},
]


@headway.task(retries=2, tier="batch")
async def score(prompt: str, version: str, case: dict[str, Any]) -> float:
    """The share of the words that have to be in the answer."""
    answer = await headway.prompt(prompt, {"text": case["text"]}, version=version, max_tokens=60)
    said = answer.text.lower()
    return sum(word in said for word in case["words"]) / len(case["words"])


@headway.task
def promote(prompt: str, version: str) -> str:
    """Move `production` to a version."""
    command = ["headway", "prompts", "promote", prompt, version]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@headway.workflow(triggers=[Cron("0 3 * * *", input={"prompt": "summary", "candidate": "2"})])
async def evaluation(prompt: str, candidate: str, current: str = "production") -> dict[str, Any]:
    """What both versions scored, and whether the new one is in production now."""

    async def mean(version: str) -> float:
        async def one(case: dict[str, Any]) -> float:
            return await score(prompt, version, case)

        return statistics.mean(await headway.map(one, CASES, limit=4))

    scores = dict(
        zip((current, candidate), await headway.gather(mean(current), mean(candidate)), strict=True)
    )
    if scores[candidate] < scores[current]:
        return {"scores": scores, "promoted": False, "why": "it is worse"}
    try:
        await headway.ask(f"Move production of {prompt} to {candidate}?", about=scores)
    except Rejected as error:
        return {"scores": scores, "promoted": False, "why": str(error)}
    await promote(prompt, candidate)
    return {"scores": scores, "promoted": True}
