"""Keys change while a gateway runs; what is wrong in the file changes nothing."""

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
import pytest
import yaml
from tests.gateway.conftest import http as http
from tests.gateway.conftest import stack as stack
from tests.gateway.conftest import until

from headway.cli.configuration import read_configuration
from headway.cli.gateway import api_keys, gateway_settings
from headway.cli.reload import Reload
from headway.config.settings import Settings
from headway.gateway.keys.keys import hash_key
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
        self.reload = Reload(self._settings(), self._settings, api_keys, file)

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


def test_a_file_is_read_once_it_no_longer_changes(tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text("")
    watching = Reload(Settings(), Settings, api_keys, file)
    assert not watching.changed()
    file.write_text("policy: f")
    assert not watching.changed()
    file.write_text("policy: fcfs")
    assert not watching.changed()
    assert watching.changed()


def test_a_file_that_is_replaced_or_first_appears_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    watching = Reload(Settings(), Settings, api_keys, file)
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
