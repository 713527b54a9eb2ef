"""`headway serve` from its start to its end, with the real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

from headway.store.request_log import read


def test_a_chat_is_answered_and_written_down(tmp_path: Path) -> None:
    database = tmp_path / "requests.db"
    process = subprocess.Popen(
        [sys.executable, "-c", "from headway.cli import main; main()", "serve",
         "--port", "0", "--slots", "1", "--context-tokens", "512", "--policy", "fcfs",
         "--set", f"log.requests_db={database}", "--set", "log.prompts=true"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items()
             if not name.startswith("HEADWAY_") or name == "HEADWAY_CACHE"}
            | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        banner = [process.stdout.readline() for _ in range(7)]
        assert any("/chat/completions" in line for line in banner)  # the line to try it with
        first = banner[0]
        assert first.startswith("Headway serves http://127.0.0.1:")
        url = first.split()[-1]
        body = {
            "model": "default",
            "messages": [{"role": "user", "content": "Say hello to Ada."}],
            "max_tokens": 8,
            "user": "acme",
        }
        started = time.time()
        with urlopen(
            Request(
                f"{url}/chat/completions",
                json.dumps(body).encode(),
                {"Content-Type": "application/json", "x-headway-tier": "interactive"},
            ),
            timeout=60,
        ) as response:
            answer = json.load(response)
        assert answer["choices"][0]["message"]["content"]
        usage = answer["usage"]["headway"]
        assert (usage["policy"], usage["tier"], usage["tenant"]) == ("fcfs", "interactive", "acme")
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err

    lines = [json.loads(line) for line in err.splitlines()]
    (line,) = [line["request"] for line in lines if line["logger"] == "headway.request"]
    ((_, row),) = list(read(database))
    assert line["id"] == row.id
    assert "Ada" not in json.dumps(lines)
    assert row.prompt is not None
    assert "Ada" in row.prompt
    assert (row.outcome, row.status, row.output_tokens) == ("finished", 200, 8)
    assert (row.tenant, row.tier, row.policy) == ("acme", "interactive", "fcfs")
    assert abs(row.arrival_unix_s - started) < 5.0
    assert row.queue_ms is not None
    assert row.ttft_ms is not None
    assert row.total_ms is not None
    assert 0.0 <= row.queue_ms <= row.ttft_ms <= row.total_ms
