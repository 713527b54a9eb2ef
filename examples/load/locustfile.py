"""Load tests of Headway with Locust: interactive, mixed and batch, with limits on p99 by tier.

It needs Locust (pip install locust). Start `headway serve`, then, for example:

    locust -f examples/load/locustfile.py Mixed --headless -u 8 -r 2 -t 60s

`Interactive`, `Mixed` and `Batch` are the shapes; README.md beside this file says what they send.
Locust ends with status 1 if a request failed, or a p99 is over its limit.
"""

import json
import logging
import os
import random
import time
from argparse import ArgumentParser

from locust import HttpUser, between, constant, events, task
from locust.env import Environment

PROMPTS = (
    "Name three uses of a paper clip.",
    "Why is the sky blue? Answer in one sentence.",
    "Write a haiku about queues.",
    "Summarise the story of the tortoise and the hare.",
    "What is 17 times 23?",
    "Translate to French: where is the station?",
)
LIMITS_MS = {"interactive": 1_000, "standard": 5_000, "batch": 600_000}
"""Limits on p99, unless options say otherwise: of the time to first token, for `batch` of the time
of a whole batch or of a request."""
LONGEST = {"interactive": 64, "standard": 128, "batch": 200}
"""Most tokens of an answer."""
TTFT = "TTFT"
"""The kind of the rows with times to first token."""


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """Options of this file; `locust -f … --help` lists them."""
    group = parser.add_argument_group("Headway")
    group.add_argument("--model", default="default", help="the model to ask for")
    group.add_argument("--lines", type=int, default=50, help="lines of a batch of `Batch`")
    for tier, limit_ms in LIMITS_MS.items():
        group.add_argument(
            f"--p99-{tier}", type=float, default=limit_ms, metavar="MS", help="limit on its p99"
        )


@events.quitting.add_listener
def check_limits(environment: Environment, **_: object) -> None:
    """Status 1 if a p99 is over its limit."""
    for tier in LIMITS_MS:
        limit_ms = getattr(environment.parsed_options, f"p99_{tier}")
        kinds = ("POST", "BATCH") if tier == "batch" else (TTFT,)
        for kind in kinds:
            row = environment.stats.entries.get((tier, kind))
            p99_ms = row.get_response_time_percentile(0.99) if row is not None else 0
            if p99_ms <= limit_ms:
                continue
            environment.process_exit_code = 1
            logging.error("p99 of %s, %s: %d ms > %d ms", tier, kind, p99_ms, limit_ms)


class Client(HttpUser):
    """One client, which sends a request, reads its answer, and thinks before the next."""

    abstract = True
    host = "http://127.0.0.1:8080"

    def on_start(self) -> None:
        self.options = self.environment.parsed_options
        if key := os.environ.get("HEADWAY_API_KEY"):
            self.client.headers["Authorization"] = f"Bearer {key}"

    def chat(self, tier: str) -> None:
        """One streamed chat of that tier: its whole time, and its time to first token."""
        body = {
            "model": self.options.model,
            "messages": [{"role": "user", "content": random.choice(PROMPTS)}],
            "max_tokens": LONGEST[tier],
            "stream": True,
        }
        began_s = time.perf_counter()
        with self.client.post(
            "/v1/chat/completions",
            json=body,
            headers={"x-headway-tier": tier},
            name=tier,
            stream=True,
            catch_response=True,
        ) as response:
            if response.status_code != 200:
                return  # the row counts it as failed
            ttft_ms, done = None, False
            for line in response.iter_lines():
                if not line.startswith(b"data:"):
                    continue
                event = line[len(b"data:") :].strip()
                if event == b"[DONE]":
                    done = True
                elif ttft_ms is None and has_text(event):
                    ttft_ms = 1000 * (time.perf_counter() - began_s)
            # Locust takes a stream to be over with its headers.
            response.request_meta["response_time"] = 1000 * (time.perf_counter() - began_s)
            if not done:
                response.failure("the stream ended early")
            elif ttft_ms is not None:
                self.row(TTFT, tier, ttft_ms)

    def row(self, kind: str, name: str, took_ms: float) -> None:
        """Count one measured time."""
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=took_ms,
            response_length=0,
            exception=None,
            context={},
        )


def has_text(event: bytes) -> bool:
    """Whether a part of the stream has text of the answer."""
    choices = json.loads(event).get("choices") or [{}]
    return bool((choices[0].get("delta") or {}).get("content"))


class Interactive(Client):
    """People who chat: a request, then some seconds of reading."""

    wait_time = between(1, 3)

    @task
    def ask(self) -> None:
        self.chat("interactive")


class Mixed(Client):
    """All three tiers on one endpoint: 6 in 10 interactive, 3 standard, 1 batch."""

    wait_time = between(0.5, 2)

    @task(6)
    def ask(self) -> None:
        self.chat("interactive")

    @task(3)
    def work(self) -> None:
        self.chat("standard")

    @task(1)
    def line(self) -> None:
        self.chat("batch")


class Batch(Client):
    """Files of requests by the Batch API, one after another, from each client."""

    wait_time = constant(1)

    @task
    def batch(self) -> None:
        began_s = time.perf_counter()
        file = self.client.post(
            "/v1/files",
            files={"file": ("in.jsonl", self.file())},
            data={"purpose": "batch"},
            name="upload",
        ).json()
        asked = {
            "input_file_id": file["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        batch = self.client.post("/v1/batches", json=asked, name="create").json()
        while batch["status"] not in ("completed", "failed", "expired", "cancelled"):
            time.sleep(0.5)  # of this client alone: Locust makes it give way
            batch = self.client.get(f"/v1/batches/{batch['id']}", name="status").json()
        counts = batch["request_counts"]
        if batch["status"] != "completed" or counts["failed"]:
            raise RuntimeError(f"batch {batch['id']} is {batch['status']}: {counts}")
        self.row("BATCH", "batch", 1000 * (time.perf_counter() - began_s))

    def file(self) -> str:
        """Its lines."""
        lines = []
        for number in range(self.options.lines):
            body = {
                "model": self.options.model,
                "messages": [{"role": "user", "content": random.choice(PROMPTS)}],
                "max_tokens": LONGEST["batch"],
            }
            line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
            lines.append(json.dumps({"custom_id": f"line-{number}", **line}))
        return "\n".join(lines)
