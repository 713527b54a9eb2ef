"""What was refused is counted, has its line with who and why, and its row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.gateway.conftest import HELLO
from tests.gateway.fake_backend import FakeBackend

from headway.engines.endpoint import Endpoint
from headway.gateway.keys.keys import hash_key
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey, GatewaySettings
from headway.store.request_log import RequestLog, read
from headway.store.request_record import RequestRecord

CHAT = "/v1/chat/completions"
TEAM = ApiKey("team", hash_key("secret"), requests_per_minute=1)
KEY = {"Authorization": "Bearer secret"}
BODY = {"model": "fake", "messages": HELLO}


class Logged:
    """A gateway with a key, its lines and its rows."""

    def __init__(self, path: Path, backend: FakeBackend, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "headway")
        self._path = path
        self._caplog = caplog
        self._log = RequestLog(path, batch_s=0.0)
        settings = GatewaySettings(port=0, keys=(TEAM,))
        self.gateway = Gateway(settings, [Endpoint("b0", backend.url)], request_log=self._log)

    async def stop(self) -> None:
        await self.gateway.stop()
        await asyncio.to_thread(self._log.close)

    def metrics(self, **labels: str) -> float | None:
        name = "headway_rejects_total" if "reason" in labels else "headway_requests_total"
        metrics = self.gateway._accounts._metrics
        return metrics.registry.get_sample_value(name, labels)

    @property
    def lines(self) -> list[str]:
        """The messages of refusals."""
        found = [one.getMessage() for one in self._caplog.records if one.name == "headway.request"]
        return [line for line in found if not line.startswith("{")]

    @property
    def rows(self) -> list[RequestRecord]:
        return [record for _, record in read(self._path)]


Ask = Callable[..., Awaitable[int]]


@pytest.fixture
async def logged(
    tmp_path: Path, backend: FakeBackend, caplog: pytest.LogCaptureFixture, stack: AsyncExitStack
) -> Logged:
    one = Logged(tmp_path / "requests.db", backend, caplog)
    await one.gateway.start()
    stack.push_async_callback(one.stop)
    return one


@pytest.fixture
def ask(logged: Logged, http: aiohttp.ClientSession) -> Ask:
    async def ask(
        path: str = CHAT, headers: dict[str, str] = KEY, method: str = "POST", **options: Any
    ) -> int:
        url = logged.gateway.address + path
        async with http.request(method, url, headers=headers, **options) as response:
            return response.status

    return ask


async def test_without_a_key(logged: Logged, ask: Ask) -> None:
    assert await ask(headers={}, json=BODY) == 401
    (line,) = logged.lines
    assert line == (
        f"refused POST {CHAT} of 127.0.0.1: 401 invalid_api_key: "
        "No API key: send it as 'Authorization: Bearer KEY'."
    )
    assert logged.metrics(tier="", outcome="rejected") == 1
    assert logged.metrics(reason="invalid_api_key") == 1
    await logged.stop()
    (row,) = logged.rows
    assert (row.outcome, row.status, row.reason) == ("rejected", 401, "invalid_api_key")


async def test_over_its_rate(logged: Logged, ask: Ask) -> None:
    assert [await ask(json=BODY) for _ in range(2)] == [200, 429]
    (line,) = logged.lines
    assert line.startswith(f"refused POST {CHAT} of 'team' at 127.0.0.1: 429 rate_limit_exceeded: ")
    assert logged.metrics(tier="", outcome="rejected") == 1
    await logged.stop()
    (row,) = (one for one in logged.rows if one.outcome == "rejected")
    assert (row.tenant, row.status, row.reason) == ("team", 429, "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        ({"data": b"{"}, 400, "invalid_json"),
        ({"json": {"model": "fake", "messages": 3}}, 400, "invalid_value"),
        ({"json": BODY | {"model": "none"}}, 404, "model_not_found"),
    ],
)
async def test_what_cannot_be_read_or_served(
    sent: dict[str, Any], status: int, reason: str, logged: Logged, ask: Ask
) -> None:
    assert await ask(**sent) == status
    (line,) = logged.lines
    assert f"of 'team' at 127.0.0.1: {status} {reason}: " in line
    assert logged.metrics(tier="", outcome="rejected") == logged.metrics(reason=reason) == 1
    await logged.stop()
    (row,) = logged.rows
    assert (row.status, row.reason, row.tenant) == (status, reason, "team")


async def test_a_page_of_another_site(logged: Logged, ask: Ask) -> None:
    assert await ask(headers=KEY | {"Origin": "https://evil.example"}, json=BODY) == 403
    assert len(logged.lines) == 1
    assert logged.metrics(tier="", outcome="rejected") == 1


async def test_before_the_body_is_sent(logged: Logged, ask: Ask) -> None:
    assert await ask(headers={"Expect": "100-continue"}, json=BODY) == 401
    assert len(logged.lines) == 1
    assert logged.metrics(tier="", outcome="rejected") == 1


async def test_who_only_looks_has_a_line_but_neither_row_nor_count(
    logged: Logged, ask: Ask
) -> None:
    assert await ask("/metrics", method="GET") == 403
    assert await ask("/wp-login.php", method="GET") == 404
    assert [line.split()[2] for line in logged.lines] == ["/metrics", "/wp-login.php"]
    assert logged.metrics(tier="", outcome="rejected") == 0
    await logged.stop()
    assert logged.rows == []


async def test_a_burst_is_two_lines_and_of_a_known_key_a_row_each(logged: Logged, ask: Ask) -> None:
    for _ in range(5):
        await ask(data=b"{")
    assert len(logged.lines) == 1
    await logged.stop()
    assert logged.lines[1:] == ["refused 4 more of 'team' at 127.0.0.1 in 0 s: 400 invalid_json"]
    assert len(logged.rows) == 5


async def test_without_a_key_nobody_fills_the_disk(logged: Logged, ask: Ask) -> None:
    for _ in range(5):
        await ask(headers={}, json=BODY)
    assert logged.metrics(reason="invalid_api_key") == 5
    await logged.stop()
    assert len(logged.rows) == 1


async def test_nor_does_a_web_page(logged: Logged, ask: Ask) -> None:
    for _ in range(5):
        await ask(headers=KEY | {"Origin": "https://evil.example"}, json=BODY)
    assert logged.metrics(reason="origin_not_allowed") == 5
    await logged.stop()
    assert len(logged.rows) == 1


async def test_what_the_scheduler_refuses_is_recorded_once(logged: Logged, ask: Ask) -> None:
    logged.gateway.dispatcher._draining = True
    assert await ask(json=BODY) == 503
    logged.gateway._accounts.flush()
    assert logged.lines == []
    assert logged.metrics(tier="", outcome="rejected") == 0
    assert logged.metrics(tier="standard", outcome="rejected") == 1
    assert logged.metrics(reason="shutting_down") == 1
    await logged.stop()
    (row,) = logged.rows
    assert (row.tenant, row.reason) == ("team", "shutting_down")
