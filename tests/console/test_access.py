"""Who gets in, and as whom."""

from __future__ import annotations

import pytest
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADMIN = ApiKey("ops", hash_key("admin-key"), admin=True)


async def test_on_this_machine_it_is_open(serve: Serve, open_console: OpenConsole) -> None:
    console = await open_console(await serve(ExactEngine()))
    await console.see("on this machine")


async def test_with_keys_one_has_to_sign_in(
    serve: Serve, open_console: OpenConsole, axe: str
) -> None:
    console = await open_console(await serve(ExactEngine(), keys=(ADMIN,)))
    await console.page.get_by_label("API key").fill("admin-key")
    assert await console.violations(axe) == []
    await console.press("Sign in")
    await console.see("ops (admin)")
    assert "headway_session" not in await console.page.evaluate("document.cookie")
    assert await console.violations(axe) == []
    await console.press("Log out")
    await console.page.get_by_label("API key").wait_for()
