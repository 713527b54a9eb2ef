"""`headway advise --live`, on a real gateway with `policy: auto`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_command_line import headway, one_line_failure

from headway.lab.loadtest.server import HeadwayServer


@pytest.mark.timeout(120)
async def test_it_says_why_a_gateway_serves_with_its_policy(tmp_path: Path) -> None:
    log = {"requests_db": str(tmp_path / "requests.db")}
    async with HeadwayServer({"slots": 1, "policy": "auto", "log": log}) as server:
        done = headway("advise", "--live", server.url)
        assert done.returncode == 0, done.stderr
        assert "Policy boost, chosen by the gateway" in done.stdout
        assert "It has replayed no traffic yet." in done.stdout
        asked = ["burst", "--requests", "40", "--slo", "latency_p99=1000s", "--policies", "fcfs"]
        done = headway("advise", *asked, "--live", server.url)
        assert any(
            line.rstrip().endswith("now") and "boost" in line for line in done.stdout.splitlines()
        )


def test_where_nobody_answers_it_says_what_to_pass() -> None:
    line = one_line_failure(headway("advise", "--live", "http://127.0.0.1:1"), 1)
    assert "no policy at http://127.0.0.1:1/v1/headway/policy" in line


def test_what_runs_now_is_said_once() -> None:
    asked = ["burst", "--slo", "latency_p99=9s", "--now", "srpt", "--live", "http://127.0.0.1:1"]
    assert "both say what runs now" in one_line_failure(headway("advise", *asked), 2)


def test_without_a_trace_it_says_what_it_needs() -> None:
    assert "name a trace and the targets" in one_line_failure(headway("advise"), 2)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("tail=0.9", "a tail of 0.9 cannot be promised"),
        ("auto.slo=fast", "auto.slo"),
        ("auto.every_s=0", "auto.every"),
    ],
)
def test_a_promise_that_is_none_is_refused_at_the_start(option: str, says: str) -> None:
    done = headway("serve", "--port", "0", "--set", "policy=auto", "--set", option)
    line = one_line_failure(done, 2)
    assert says in line
