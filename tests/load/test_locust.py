"""The load tests in examples/load with Locust, for a few seconds, against a real gateway."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio
from tests.batches.crashes import Gateway, Site
from tests.gateway.fake_backend import FakeBackend

FILE = Path(__file__).parents[2] / "examples/load/locustfile.py"
pytestmark = [
    pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory):
    backend = FakeBackend(record=False)
    await backend.start()
    running = await Gateway.start(Site(tmp_path_factory.mktemp("load"), backend.url, slots=16))
    yield running
    await running.stop()
    await backend.stop()


async def locust(gateway: Gateway, shape: str, *options: str) -> tuple[int, str]:
    """Its exit status, and all that it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", str(FILE), shape, "--host", gateway.address),
        *("--headless", "--users", "8", "--spawn-rate", "8", "--only-summary", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_each_shape_counts_what_it_sends_by_tier(gateway: Gateway) -> None:
    model = ("--model", "fake", "--run-time", "4s", "--stop-timeout", "30", "--lines", "5")
    model += ("--p99-interactive", "60000", "--p99-standard", "60000")  # nothing is timed here
    shapes = ("Interactive", "Mixed", "Batch")
    ended = await asyncio.gather(*(locust(gateway, shape, *model) for shape in shapes))
    for shape, (status, out) in zip(shapes, ended, strict=True):
        assert status == 0, f"{shape}: {out}"
    rows = [{tuple(line.split()[:2]) for line in out.splitlines()} for _, out in ended]
    assert {("POST", "interactive"), ("TTFT", "interactive")} <= rows[0]
    assert {("TTFT", tier) for tier in ("interactive", "standard", "batch")} & rows[1]
    assert ("BATCH", "batch") in rows[2]


async def test_a_p99_over_its_limit_ends_with_status_1(gateway: Gateway) -> None:
    limit = ("--model", "fake", "--run-time", "3s", "--p99-interactive", "0.001")
    status, out = await locust(gateway, "Interactive", *limit)
    assert status == 1
    assert "p99 of interactive, TTFT" in out


async def test_failed_requests_end_with_status_1(gateway: Gateway) -> None:
    status, out = await locust(gateway, "Interactive", "--model", "missing", "--run-time", "3s")
    assert status == 1
    assert "404" in out
