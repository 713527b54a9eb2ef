"""A batch and a run of a workflow on a gateway, for the pictures of the console."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from processes import Server

CONFIG = """
workers:
- {{url: "http://127.0.0.1:{port}", name: newsroom}}
prices:
  models:
    smollm2-135m-instruct: {{input: 0.10, cached_input: 0.02, output: 0.40}}
tenant_budgets:
  support-bot: {{money_per_day: 0.01}}
  search: {{tokens_per_month: 1000000}}
  nightly-eval: {{money_per_month: 0.02, when_spent: downgrade}}
"""
PIPELINE = """
inputs:
  topics: {type: array, items: {type: string}}
tasks:
  notes:
    matrix: {topic: "{{ inputs.topics }}"}
    llm: "Write two sentences about {{ matrix.topic }}."
    settings: {max_tokens: 60}
  title: {needs: notes, llm: "Write a title of five words.", settings: {max_tokens: 12}}
  facts: {needs: notes, llm: "Name three facts about lighthouses.", settings: {max_tokens: 60}}
  fine: {ask: {question: "Publish this digest?", about: "{{ tasks.notes }}"}, needs: [title, facts]}
  digest: {needs: fine, value: "{{ tasks.notes | join(' ') }}"}
  letter: {needs: digest, llm: "Write a short letter to our readers.", settings: {max_tokens: 80}}
"""
TOPICS = ["lighthouses", "tides", "fog", "ships", "storms"]
LINES = 40


def config(folder: Path, port: int) -> Path:
    """The configuration of a gateway that knows the worker at `port`."""
    file = folder / "headway.yaml"
    file.write_text(CONFIG.format(port=port), encoding="utf-8")
    return file


@contextmanager
def worker(server: Server, port: int, folder: Path) -> Iterator[None]:
    """`headway worker` for the pipeline, while it runs."""
    file = folder / "digest.yaml"
    file.write_text(PIPELINE, encoding="utf-8")
    headway = str(Path(sys.executable).with_name("headway"))
    options = ["--port", str(port), "--url", server.url, "--journal", str(folder / "runs.db")]
    process = subprocess.Popen([headway, "worker", str(file), *options], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def begin(server: Server, port: int) -> str:
    """Begin a batch and a run; return the run once it asks a person."""
    body = {"model": "default", "max_tokens": 40}
    lines = [
        {
            "custom_id": f"review-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": body | {"messages": [{"role": "user", "content": f"Review no. {number}: ..."}]},
        }
        for number in range(LINES)
    ]
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", "\n".join(map(json.dumps, lines)).encode(), filename="reviews.jsonl")
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        async with http.post(f"{server.url}/v1/files", data=form) as answer:
            file = (await answer.json())["id"]
        asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        await http.post(f"{server.url}/v1/batches", json={"input_file_id": file, **asked})
        runs = f"http://127.0.0.1:{port}/v1/runs"
        given = {"workflow": "digest", "input": {"topics": TOPICS}}
        async with http.post(runs, json=given) as answer:
            run = str((await answer.json())["id"])
        while True:
            async with http.get(f"{runs}/{run}") as answer:
                if (await answer.json())["state"] == "waiting":
                    return run
            await asyncio.sleep(0.5)
