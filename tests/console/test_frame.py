"""The frame of the console: pages come when they are opened."""

from __future__ import annotations

import pytest
from tests.console.conftest import OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_says_so_when_a_page_does_not_come(serve: Serve, open_console: OpenConsole) -> None:
    console = await open_console(await serve(ExactEngine()))
    await console.page.route("**/pages/playground.js", lambda route: route.abort())
    await console.page.get_by_role("link", name="Playground").click()
    await console.see("This page did not come")
    assert "ERR_FAILED" in console.complaints.pop()
    await console.page.unroute("**/pages/playground.js")
    await console.press("Load again")
    await console.page.get_by_role("heading", name="Playground").wait_for()
