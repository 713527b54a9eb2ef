"""Reports to a web service that a run asks a person: a signed webhook, sent until it is taken."""

from __future__ import annotations

import asyncio
import json
import os
import time

import aiohttp
from yarl import URL

from headway.workflows.errors import WorkflowError
from headway.workflows.failures import backoff_s
from headway.workflows.journal.rows import RunRow
from headway.workflows.triggers.signatures import signed

SECRET = "HEADWAY_WEBHOOK_SECRET"
TRIES = 5
TIMEOUT_S = 10.0


async def send(url: str, run: RunRow, path: str, question_json: str) -> int:
    """POST a question to `url`, signed as standardwebhooks.com says; return the status.

    Raises:
        WorkflowError: there is no secret to sign with, or it was not taken in several tries.
    """
    secret = os.environ.get(SECRET)
    if not secret:
        raise WorkflowError(f"notify= signs its messages: set {SECRET} to a long random text")
    message = {
        "type": "headway.question",
        "run": run.id,
        "path": path,
        "question": json.loads(question_json),
    }
    # Asked again since somebody wanted it, it is another message: receivers drop what they had.
    id_ = f"{run.id}/{path}" + (f" {run.rounds}" if run.rounds else "")
    body = json.dumps(message).encode()
    why = ""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        for trial in range(1, TRIES + 1):
            headers = signed(secret, id_, time.time(), body)
            headers["content-type"] = "application/json"
            try:
                async with session.post(url, data=body, headers=headers) as answer:
                    if answer.status < 300:
                        return answer.status
                    why = f"it answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            if trial < TRIES:
                await asyncio.sleep(backoff_s(trial, 0.5, 10.0))
    raise WorkflowError(f"{URL(url).host} did not take the notice: {why}")
