"""The page Batches: progress, what failed and why, and what may be done; by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve, client_of
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.routes.batches import begin, ended, jsonl, line

from headway.batches.settings import BatchSettings
from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '<img src=x onerror="document.title=1">\u202eevil\U0001f980'


@pytest.fixture
def kept(tmp_path: Path) -> BatchSettings:
    return BatchSettings(tmp_path / "batches")


def holding(backend: FakeBackend) -> None:
    """Line 1 fails, with words that are no markup; every third hangs, the others are answered."""

    def fault(body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        if text == "Number 1":
            return 400, {"error": {"message": HOSTILE, "code": "no"}}
        return "hang" if text in ("Number 0", "Number 3", "Number 6", "Number 9") else None

    backend.refuses = fault


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_progress_and_what_failed_are_seen_by_anybody(
    look: dict[str, bool],
    serve: Serve,
    backend: FakeBackend,
    kept: BatchSettings,
    open_console: OpenConsole,
    axe: str,
) -> None:
    holding(backend)
    gateway = await serve(backend, batches=kept)
    async with client_of(gateway) as client:
        await begin(client, jsonl(*map(line, range(12))), metadata={"name": "nightly"})
        await begin(client, b"not a request\n")
        console = await open_console(gateway, "#/batches", **look)
        await console.see("7 of 12 lines done, 1 failed, 4 left. It ends in about")
        await console.see("The file is wrong, so nothing of it ran")
        await console.page.get_by_text("1 line that failed, with its error").click()
        await console.page.get_by_role("cell", name="onerror").wait_for()
        assert await console.page.title() == "Batches · Headway"
        assert await console.page.locator("main img").count() == 0
        assert await console.violations(axe) == []


async def test_a_batch_is_paused_resumed_cancelled_and_tried_again(
    serve: Serve,
    backend: FakeBackend,
    kept: BatchSettings,
    open_console: OpenConsole,
    caplog: pytest.LogCaptureFixture,
) -> None:
    holding(backend)
    caplog.set_level("INFO")
    gateway = await serve(backend, batches=kept)
    async with client_of(gateway) as client:
        batch = await begin(client, jsonl(*map(line, range(12))))
        console = await open_console(gateway, "#/batches")
        for button, act, said in (
            ("Pause", "Pause", "The batch is paused."),
            ("Resume", "Resume", "The batch goes on."),
            ("Cancel", "Cancel the batch", "The batch is cancelled."),
        ):
            await console.press(button)
            await console.press_in_dialog(act)
            await console.see(said)
        assert (await ended(client, batch.id)).status == "cancelled"
        for what in ("pause", "resume", "cancel"):
            assert f"batch {batch.id}: {what}, by somebody on this machine" in caplog.text
        backend.refuses = lambda body: None
        await console.press("Run what failed again")
        await console.press_in_dialog("Begin the new batch")
        await console.see("completed")
        again, _ = (await client.batches.list()).data
        assert again.metadata == {"retry_of": batch.id}


async def test_a_tenant_sees_its_own_and_who_only_looks_has_no_buttons(
    serve: Serve, backend: FakeBackend, kept: BatchSettings, open_console: OpenConsole
) -> None:
    keys = tuple(
        ApiKey(name=name, sha256=hash_key(name), admin=admin, read_only=admin)
        for name, admin in (("acme", False), ("globex", False), ("looks", True))
    )
    holding(backend)
    gateway = await serve(backend, batches=kept, keys=keys)
    async with client_of(gateway, api_key="acme") as client:
        await begin(client, jsonl(*map(line, range(3))))
    buttons = {}
    for name in ("acme", "globex", "looks"):
        console = await open_console(gateway, "#/batches")
        await console.sign_in(name)
        await console.see("No batches yet" if name == "globex" else "of 3 lines done")
        buttons[name] = await console.page.get_by_role("button", name="Cancel").count()
        console.complaints.clear()  # of what was asked before the sign-in
    assert buttons == {"acme": 1, "globex": 0, "looks": 0}


async def test_where_none_are_kept_it_says_what_to_do(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    console = await open_console(await serve(backend), "#/batches")
    await console.see("its operator can set batch.folder")
    console.complaints.clear()  # the browser notes the 404 by itself
