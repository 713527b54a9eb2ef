"""Keys, backends and aliases change while a gateway runs; a wrong file changes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import openai
import pytest
import yaml
from tests.gateway.conftest import HELLO, client_of, until
from tests.gateway.conftest import http as http
from tests.gateway.conftest import stack as stack
from tests.gateway.fake_backend import WORDS, FakeBackend

from headway.cli.configuration import read_configuration
from headway.cli.gateway_parts import gateway_settings
from headway.cli.live_settings import endpoints_of
from headway.cli.reload import Reload
from headway.config.settings import Settings
from headway.gateway.keys.keys import hash_key
from headway.gateway.process import serve
from headway.gateway.server import Gateway

Write = Callable[..., None]


def key(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "sha256": hash_key(f"{name}'s"), **more}


class Running:
    """A gateway on a file of its own, and the statuses that it answers to keys."""

    def __init__(self, file: Path, http: aiohttp.ClientSession) -> None:
        self.file = file
        self._http = http
        self.write(keys=[key("ada")])
        self.gateway = Gateway(gateway_settings(self._settings()))
        self.reload = Reload(self._settings(), self._settings, file)

    def _settings(self) -> Settings:
        flags = {"--port": ("port", 0)}
        return read_configuration(flags, None, self.file).settings

    def write(self, **content: object) -> None:
        self.file.write_text(yaml.safe_dump(content))

    async def take_over(self) -> None:
        await self.reload.take_over(self.gateway)

    async def status(self, name: str) -> int:
        headers = {"Authorization": f"Bearer {name}'s"}
        async with self._http.get(self.gateway.address + "/v1/models", headers=headers) as answer:
            return answer.status


@pytest.fixture
async def running(
    tmp_path: Path,
    http: aiohttp.ClientSession,
    stack: AsyncExitStack,
    caplog: pytest.LogCaptureFixture,
) -> Running:
    caplog.set_level("INFO", "headway")
    one = Running(tmp_path / "headway.yaml", http)
    await one.gateway.start()
    stack.push_async_callback(one.gateway.stop)
    return one


async def test_a_new_key_is_let_in_and_a_revoked_one_is_not(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    assert [await running.status("ada"), await running.status("bob")] == [200, 401]
    running.write(keys=[key("bob")])
    await running.take_over()
    assert [await running.status("ada"), await running.status("bob")] == [401, 200]
    assert "keys were read again: new: bob; revoked: ada; 1 in all" in caplog.messages


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("keys: [", "is not YAML"),
        ("keys:\n- name: bob\n", "keys[0] needs 'sha256'"),
        ("kyes: []\n", "unknown setting 'kyes'; did you mean keys?"),
        ("keys: []\n", "without keys everybody could use the gateway"),
        ("", "without keys everybody could use the gateway"),
    ],
)
async def test_a_wrong_file_is_refused_with_a_line(
    content: str, message: str, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.file.write_text(content)
    await running.take_over()
    (line,) = (one for one in caplog.messages if "stay as they were" in one)
    assert message in line
    assert [await running.status("ada"), await running.status("bob")] == [200, 401]


async def test_a_file_that_is_gone_changes_nothing(running: Running) -> None:
    running.file.unlink()
    await running.take_over()
    assert await running.status("ada") == 200


async def test_settings_that_need_another_start_are_named(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.write(keys=[key("ada"), key("bob")], policy="fcfs")
    await running.take_over()
    assert await running.status("bob") == 200
    assert "policy changed: start Headway again to use that" in caplog.messages


async def test_what_needs_another_start_is_said_once(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        running.write(keys=[key("ada")], policy="fcfs", limits={"drain_s": 3}, log={"keep_days": 1})
        await running.take_over()
    lines = [line for line in caplog.messages if "start Headway again" in line]
    assert lines == [
        "policy, limits.drain_s, log.keep_days changed: start Headway again to use that"
    ]
    running.write(keys=[key("ada")], policy="sjf")
    await running.take_over()
    running.write(keys=[key("ada")])
    await running.take_over()
    lines = [line for line in caplog.messages if "start Headway again" in line]
    assert lines[1:] == ["policy changed: start Headway again to use that"]


def test_a_file_is_read_once_it_no_longer_changes(tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text("")
    watching = Reload(Settings(), Settings, file)
    assert not watching.changed()
    file.write_text("policy: f")
    assert not watching.changed()
    file.write_text("policy: fcfs")
    assert not watching.changed()
    assert watching.changed()


def test_a_file_that_is_replaced_or_first_appears_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    watching = Reload(Settings(), Settings, file)
    file.write_text("")
    assert [watching.changed(), watching.changed()] == [False, True]
    (tmp_path / "other").write_text("")
    (tmp_path / "other").rename(file)
    assert [watching.changed(), watching.changed()] == [False, True]


async def test_it_watches_beside_the_gateway(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("headway.cli.reload.LOOK_EVERY_S", 0.01)
    task = asyncio.ensure_future(running.reload.run(running.gateway))
    running.write(keys=[key("ada"), key("bob")])
    await until(lambda: any("new: bob" in line for line in caplog.messages))
    assert await running.status("bob") == 200
    task.cancel()


async def test_a_revoked_key_is_refused_while_the_engines_start(
    tmp_path: Path, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("headway.cli.reload.LOOK_EVERY_S", 0.01)
    caplog.set_level("INFO", "headway")
    one = Running(tmp_path / "headway.yaml", http)
    started, ready = asyncio.Event(), asyncio.Event()

    async def slow(on_change: object) -> None:
        await started.wait()

    monkeypatch.setattr(one.gateway.pool, "start", slow)
    serving = asyncio.ensure_future(serve(one.gateway, lambda _: ready.set(), one.reload.run))
    await until(lambda: bool(one.gateway.address))
    assert await one.status("ada") == 200
    one.write(keys=[key("bob")])
    await until(lambda: any("revoked: ada" in line for line in caplog.messages))
    assert await one.status("ada") == 401
    assert not ready.is_set()
    started.set()
    await ready.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await serving


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
def test_hangup_reads_the_settings_again(tmp_path: Path) -> None:
    (tmp_path / "headway.yaml").write_text(
        yaml.safe_dump({"keys": [key("ada")], "log": {"requests_db": None}, "models": []})
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "from headway.cli import main; main()", "serve", "--port", "0",
         "--backend", "http://127.0.0.1:9"],
        cwd=tmp_path, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
            | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        assert process.stdout.readline().startswith("Headway serves")
        process.send_signal(signal.SIGHUP)
        assert any("nothing changed" in line for line in iter(process.stderr.readline, ""))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


class Farm:
    """A gateway whose backends are those in its file."""

    def __init__(self, file: Path, stack: AsyncExitStack) -> None:
        self._file = file
        self._stack = stack

    async def backend(self, model: str = "fake") -> FakeBackend:
        backend = FakeBackend(model)
        await backend.start()
        self._stack.push_async_callback(backend.stop)
        return backend

    def write(self, *backends: FakeBackend, **more: object) -> None:
        named = [
            {"name": f"{backend.model}-{backend.port}", "url": backend.url, "max_concurrency": 2}
            for backend in backends
        ]
        self._file.write_text(yaml.safe_dump({"models": [], "backends": named, **more}))

    def settings(self) -> Settings:
        return read_configuration({"--port": ("port", 0)}, None, self._file).settings

    async def start(self) -> Gateway:
        settings = self.settings()
        self.gateway = Gateway(gateway_settings(settings), endpoints_of(settings.backends))
        self.reload = Reload(settings, self.settings, self._file)
        await self.gateway.start()
        self._stack.push_async_callback(self.gateway.stop)
        return self.gateway

    async def take_over(self) -> None:
        await self.reload.take_over(self.gateway)

    async def stream(self, model: str = "fake") -> str:
        async with client_of(self.gateway) as client:
            stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


@pytest.fixture
def farm(tmp_path: Path, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture) -> Farm:
    caplog.set_level("INFO", "headway")
    return Farm(tmp_path / "headway.yaml", stack)


async def test_streams_run_through_a_change_of_all_backends(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    one, other, new = [await farm.backend() for _ in range(3)]
    farm.write(one, other)
    gateway = await farm.start()
    for backend in (one, other):
        backend.hold_after = 5
    streams = [asyncio.ensure_future(farm.stream()) for _ in range(6)]
    await until(lambda: one.running == other.running == 2)
    farm.write(new)
    await farm.take_over()
    answers = await asyncio.gather(*streams[4:], *(farm.stream() for _ in range(4)))
    assert len(new.requests) == 6 and one.running == other.running == 2
    one.resume.set()
    other.resume.set()
    answers += await asyncio.gather(*streams[:4])
    assert answers == ["".join(WORDS)] * 10
    assert one.aborted == other.aborted == 0
    names = [f"fake-{backend.port}" for backend in (one, other, new)]
    assert list(gateway.pool.statuses) == names[2:]
    said = f"new: {names[2]}; leaving: {names[0]}, {names[1]}; 1 in all"
    assert f"backends were read again: {said}" in caplog.messages
    assert f"backend {names[0]} has left" in caplog.messages


async def test_a_changed_backend_goes_by_its_new_settings(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    one = await farm.backend()
    farm.write(one)
    gateway = await farm.start()
    name = f"fake-{one.port}"
    entry = {"name": name, "url": one.url, "max_concurrency": 7, "api_key": "k", "models": ["big"]}
    farm.write(backends=[entry])
    await farm.take_over()
    await until(lambda: gateway.pool.models() == ["big"])
    assert gateway.pool.statuses[name].slots == 7
    assert await farm.stream("big") == "".join(WORDS)
    assert one.heads[-1]["authorization"] == "Bearer k"
    assert f"backends were read again: changed: {name}; 1 in all" in caplog.messages


async def test_without_backends_everything_stays_as_it_was(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    one = await farm.backend()
    farm.write(one)
    gateway = await farm.start()
    farm.write()
    await farm.take_over()
    assert list(gateway.pool.statuses) == [f"fake-{one.port}"]
    assert "without backends the embedded engine would have to start" in caplog.text


async def test_aliases_are_taken_over(farm: Farm) -> None:
    farm.write(await farm.backend(), aliases={"small": "fake"})
    await farm.start()
    await farm.stream("small")
    farm.write(aliases={"little": "fake"}, backends=[{"url": (await farm.backend()).url}])
    await farm.take_over()
    await until(lambda: len(farm.gateway.pool.models()) == 1)
    assert await farm.stream("little") == "".join(WORDS)
    with pytest.raises(openai.NotFoundError, match="'small' does not exist"):
        await farm.stream("small")


async def test_the_price_of_a_model_with_the_name_of_a_backend_is_taken_over(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    one = await farm.backend()
    backends = {"fake": {"hour": 1}}
    farm.write(one, prices={"models": {"fake": {"input": 0, "output": 1}}, "backends": backends})
    await farm.start()
    farm.write(one, prices={"models": {"fake": {"input": 0, "output": 2}}, "backends": backends})
    await farm.take_over()
    assert "prices were read again: changed: fake; 1 in all" in caplog.messages


async def test_prices_and_budgets_are_taken_over(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    one = await farm.backend()
    farm.write(one, prices={"models": {"fake": {"input": 0, "output": 1}}})
    await farm.start()
    await farm.stream("fake")
    farm.write(
        one,
        prices={"models": {"fake": {"input": 0, "output": 2}}},
        tenant_budgets={"anonymous": {"tokens_per_day": 0}},
    )
    await farm.take_over()
    assert "prices were read again: changed: fake; 1 in all" in caplog.messages
    assert "tenant_budgets were read again: new: anonymous; 1 in all" in caplog.messages
    with pytest.raises(openai.RateLimitError, match="has spent its 0 tokens a day"):
        await farm.stream("fake")
