"""The pictures of the console in docs/console, from a real run on the embedded engine.

    python bench/pictures.py [--seconds 300] [--folder docs/console]

Clients of four tenants send real prompts in three tiers, more than the four slots can do at once;
after some time each page is taken in a real Chromium. Then a batch and a run of a workflow have the
engine for themselves, and the pages that show them are taken. Needs `headway[dev]` and `chromium`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, FloatRect, Page, async_playwright

import work_to_show
from processes import Server, free_port, gateway

PROMPTS = Path(__file__).parents[1] / "src" / "headway" / "lab" / "loadtest" / "prompts.jsonl"
EXAMPLES = Path(__file__).parents[1] / "examples" / "prompts"
FOLDER = Path(__file__).parents[1] / "docs" / "console"
SLOTS = 4
WIDTH = 1280
MOST_HEIGHT = 2000
TENANTS = {
    "support-bot": "interactive",
    "search": "standard",
    "docs-agent": "standard",
    "nightly-eval": "batch",
}
CLIENTS = 7
"""Of each tenant."""
Prepare = Callable[[Page], Awaitable[None]]
QUESTION = "Name three things that a lighthouse keeper does in a night."


async def client(server: Server, tenant: str, seed: int, prompts: list[str]) -> None:
    """Sends one prompt after another."""
    draw = random.Random(seed)
    headers = {"x-headway-tenant": tenant, "x-headway-tier": TENANTS[tenant]}
    pause_s = 12.0 if TENANTS[tenant] == "interactive" else 3.0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None)) as session:
        while True:
            await asyncio.sleep(draw.expovariate(1 / pause_s))
            messages = [{"role": "user", "content": draw.choice(prompts)}]
            body = {"model": "default", "messages": messages, "max_tokens": 400}
            url = server.url + "/v1/chat/completions"
            async with session.post(url, json=body, headers=headers) as answer:
                await answer.read()


async def playground(page: Page) -> None:
    """Ask the same in two tiers, and wait for the answers."""
    await page.get_by_role("button", name="Two side by side").click()
    await page.get_by_label("Tier").nth(0).select_option("interactive")
    await page.get_by_label("Tier").nth(1).select_option("standard")
    for number in range(2):
        await page.get_by_label("Most tokens").nth(number).fill("120")
    await page.get_by_label("Message").fill(QUESTION)
    await page.get_by_role("button", name="Send").click()
    await page.get_by_text("Whole answer").nth(1).wait_for(timeout=300_000)
    # The field for the next message is at the end of what is seen: see all of it.
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": WIDTH, "height": height})


async def now(page: Page) -> None:
    """Wait until somebody waits."""
    await page.get_by_text("waits behind").first.wait_for(timeout=300_000)


async def what_if(page: Page) -> None:
    """Replay what was served so far, and wait for the answer."""
    await page.get_by_role("button", name="Replay").click()
    await page.locator(".answer").wait_for(timeout=900_000)


async def batches(page: Page) -> None:
    """Wait until the end of the batch is predicted."""
    await page.get_by_text("It ends in about").wait_for(timeout=300_000)


async def costs(page: Page) -> None:
    """Wait for the sums."""
    await page.get_by_role("region", name="Costs by tenant").wait_for()


async def runs(page: Page) -> None:
    """Open the run that asks a person."""
    await page.get_by_role("region", name="Runs").get_by_role("link").first.click()
    await page.get_by_role("img", name="The graph of the run").wait_for()


async def history(page: Page) -> None:
    """Wait for the figures and the first requests."""
    await page.locator(".requests tbody tr a").first.wait_for()
    await page.locator(".charts canvas").nth(3).wait_for()


async def life(page: Page) -> None:
    """Open the request that waited longest, and see who went before it."""
    await page.goto(page.url.partition("#")[0] + "#/history?slowest_by=wait")
    await page.locator(".requests tbody tr a").first.click()
    await page.get_by_text("ran when it came").wait_for()


async def prompts(page: Page) -> None:
    """Compare two versions of a prompt by its test cases."""
    await page.get_by_role("link", name="name-capital").click()
    await page.get_by_role("button", name="on both").click()
    await page.locator(".results").wait_for(timeout=300_000)


PAGES = {
    "now": now,
    "history": history,
    "life": life,
    "what-if": what_if,
    "playground": playground,
    "prompts": prompts,
}
"""By name: what is done before the picture is taken."""
WORK = {"batches": batches, "runs": runs, "costs": costs}
"""The same, of the pages that show batches and runs."""


async def take(server: Server, port: int, seconds: float, folder: Path) -> None:
    """Run the clients for `seconds`, then take each page; the worker listens at `port`."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines]
    clients = [
        asyncio.ensure_future(client(server, tenant, 100 * place + number, prompts))
        for place, tenant in enumerate(TENANTS)
        for number in range(CLIENTS)
    ]
    await asyncio.sleep(seconds)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        await picture(server, browser, PAGES, folder)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await work_to_show.begin(server, port)
        await picture(server, browser, WORK, folder)


async def picture(
    server: Server, browser: Browser, pages: Mapping[str, Prepare], folder: Path
) -> None:
    """Take these pages."""
    for name, prepare in pages.items():
        page = await browser.new_page(viewport={"width": WIDTH, "height": 720})
        await page.goto(f"{server.url}/console#/{name}")
        await prepare(page)
        height = await page.evaluate("document.documentElement.scrollHeight")
        seen: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": min(height, MOST_HEIGHT)}
        await page.screenshot(path=folder / f"{name}.png", full_page=True, clip=seen)
        await page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    bounds = ("--set", "tiers.interactive.max_wait_s=30", "--set", "tiers.batch.max_wait_s=900")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        config = work_to_show.config(Path(name), port)
        with (
            gateway(
                None,
                Path(name),
                SLOTS,
                *bounds,
                "--prompts",
                str(EXAMPLES),
                "--config",
                str(config),
            ) as server,
            work_to_show.worker(server, port, Path(name)),
        ):
            asyncio.run(take(server, port, options.seconds, options.folder))
    print(f"written to {options.folder}")


if __name__ == "__main__":
    main()
