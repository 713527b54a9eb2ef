"""The console in a real browser: one Chromium for all tests, a fresh profile for each."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright
from tests.gateway.conftest import Serve, serving
from tests.gateway.conftest import log as log  # a fixture here, too
from tests.gateway.fake_backend import FakeBackend

from headway.cache import cache_folder
from headway.gateway.server import Gateway

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-background-networking"]
LIMIT_MS = 10_000
AXE, TYPESCRIPT = "axe-core@4.14.1", "typescript@7.0.2"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 800}


class Console:
    """The console of a gateway in a page of its own, which must stay quiet."""

    def __init__(self, gateway: Gateway, page: Page) -> None:
        self.gateway = gateway
        self.page = page
        self.complaints: list[str] = []
        """What the browser has complained about: errors, and what its rules blocked."""
        page.set_default_timeout(LIMIT_MS)
        page.on("console", lambda one: self._heard(one.type, one.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    async def open(self, place: str = "#/now") -> None:
        await self.page.goto(f"{self.gateway.address}/console{place}")
        await self.page.wait_for_selector("h1")

    async def see(self, text: str) -> None:
        """Wait until `text` is on the page."""
        await self.page.get_by_text(text).first.wait_for()

    async def press(self, button: str) -> None:
        await self.page.get_by_role("button", name=button, exact=True).first.click()

    async def sign_in(self, key: str) -> None:
        await self.page.get_by_label("API key").fill(key)
        await self.press("Sign in")

    async def press_in_dialog(self, button: str) -> None:
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_role("button", name=button, exact=True).click()

    async def violations(self, axe: str) -> list[str]:
        """What axe-core finds wrong for people who cannot see or point well."""
        await self.page.evaluate(axe)
        found = await self.page.evaluate("axe.run()")
        return [
            f"{one['id']}: {json.dumps([node['html'] for node in one['nodes']][:3])}"
            for one in found["violations"]
        ]


class OpenConsole:
    """Opens consoles: `await open_console(gateway, dark=True)`."""

    def __init__(self, browser: Browser, stack: AsyncExitStack) -> None:
        self._browser = browser
        self._stack = stack
        self.consoles: list[Console] = []

    async def __call__(
        self, gateway: Gateway, place: str = "#/now", *, phone: bool = False, dark: bool = False
    ) -> Console:
        context = await self._browser.new_context(
            viewport=PHONE if phone else WIDE, color_scheme="dark" if dark else "light"
        )
        self._stack.push_async_callback(context.close)
        console = Console(gateway, await context.new_page())
        self.consoles.append(console)
        await console.open(place)
        return console


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on PATH")
    async with async_playwright() as driver:
        yield await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest_asyncio.fixture(loop_scope="session")
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def backend(stack: AsyncExitStack) -> FakeBackend:
    backend = FakeBackend()
    await backend.start()
    stack.push_async_callback(backend.stop)
    return backend


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    return serving(stack)


@pytest_asyncio.fixture(loop_scope="session")
async def open_console(browser: Browser, stack: AsyncExitStack) -> AsyncIterator[OpenConsole]:
    opened = OpenConsole(browser, stack)
    yield opened
    for console in opened.consoles:
        assert console.complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    return (fetched(AXE) / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def typescript() -> str:
    """The compiler of TypeScript, which also checks the types in comments."""
    return str(fetched(TYPESCRIPT) / ".bin" / "tsc")


def fetched(package: str) -> Path:
    """The modules of a package of npm, fetched once into Headway's cache."""
    if shutil.which("npm") is None:
        pytest.skip(f"npm, which fetches {package}, is not installed")
    folder = cache_folder() / "node" / package
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package]
        done = subprocess.run(install, capture_output=True, text=True, timeout=100)
        if done.returncode:
            pytest.skip(f"npm cannot fetch {package}: {done.stderr.strip()[:200]}")
    return folder / "node_modules"
