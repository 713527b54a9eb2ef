"""The page Prompts: two versions compared, their cases run, files saved."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.console.conftest import Console, OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.fake_backend import FakeBackend
from tests.prompts.files import CASES, GREET, OTHER, write

from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey
from headway.prompts.published import publish
from headway.prompts.registry import read_registry

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACE = "#/prompts"
HOSTILE = '<img src=x onerror="alert(1)"> \u202e\U0001f980'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    third = OTHER.replace("name: {}", f"name: {{description: '{HOSTILE}'}}")
    write(folder, "greet", GREET, OTHER, third, tests_yaml=CASES)
    publish(folder / "greet", read_registry(folder).prompt("greet", 1), "production")
    return folder


async def editor(console: Console, label: str = "Text of the prompt") -> Any:
    box = console.page.get_by_label(label, exact=True)
    await box.wait_for()
    return box


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}])
async def test_two_versions_are_compared_by_whoever_finds_the_page(
    look: dict[str, bool],
    serve: Serve,
    backend: FakeBackend,
    folder: Path,
    open_console: OpenConsole,
    axe: str,
) -> None:
    console = await open_console(await serve(backend, prompts=folder), PLACE, **look)
    await console.see("requests get version 1")
    assert await console.violations(axe) == []
    await console.page.get_by_role("link", name="greet", exact=True).click()
    await console.see("2 lines are new, 2 lines are gone.")
    await console.page.get_by_label("with", exact=True).select_option("2")
    await console.see("1 line is new, 1 line is gone.")
    assert "from=1&to=2" in console.page.url
    gone, new = console.page.locator(".diff .gone"), console.page.locator(".diff .new")
    assert "Hello {{ name }}!" in await gone.inner_text()
    assert "Good day, {{ name }}!" in await new.inner_text()
    await console.press("Run 2 test cases on both")
    await console.see("Version 1 passes 1 of 2; Version 2 passes 1 of 2.")
    await console.see("has 100 tokens, more than 3")
    await console.page.get_by_role("link", name="Open version 3").click()
    await editor(console)
    assert await console.violations(axe) == []
    assert await console.page.locator("main img, main script").count() == 0
    width = await console.page.evaluate("document.documentElement.scrollWidth")
    assert width <= console.page.viewport_size["width"], "it goes beyond the window"


async def test_a_draft_is_saved_refused_and_published(
    serve: Serve, backend: FakeBackend, folder: Path, open_console: OpenConsole
) -> None:
    gateway = await serve(backend, prompts=folder)
    console = await open_console(gateway, f"{PLACE}?name=greet&open=2")
    box = await editor(console)
    await box.fill("Hi {{ nobody }}")
    await console.press("Save version 2")
    await console.see("it uses 'nobody', which its front matter has no variable for")
    assert (folder / "greet" / "2.md").read_text() == OTHER
    await box.fill(OTHER.replace("!", "."))
    await console.press("Save version 2")
    await console.see("Prompt greet@2 is written.")
    assert (folder / "greet" / "2.md").read_text() == OTHER.replace("!", ".")
    await console.press("Save as version 4")
    await console.see("Prompt greet@4 is written.")
    await console.press("Publish version 4 …")
    await console.see("It means version 1 now, and will mean version 4.")
    await console.press_in_dialog("Publish")
    await console.see("requests that name none get version 4")
    assert read_registry(folder).entry("greet").default == 4
    await console.see("published, so a change is a new version")
    assert await console.page.get_by_role("button", name="Save version 4").count() == 0
    console.complaints.clear()  # the browser itself reports the 400


async def test_what_another_wrote_meanwhile_is_not_lost(
    serve: Serve, backend: FakeBackend, folder: Path, open_console: OpenConsole
) -> None:
    gateway = await serve(backend, prompts=folder)
    console = await open_console(gateway, f"{PLACE}?name=greet&open=2")
    box = await editor(console)
    theirs, mine = OTHER.replace("day", "evening"), OTHER.replace("day", "morning")
    (folder / "greet" / "2.md").write_text(theirs)
    await box.fill(mine)
    await console.press("Save version 2")
    await console.see("The file greet/2.md was changed meanwhile, and nothing was written")
    await console.see("Somebody else changed this file meanwhile.")
    assert (folder / "greet" / "2.md").read_text() == theirs
    assert await box.input_value() == mine
    await console.press("Keep mine")
    await console.press("Save version 2")
    await console.see("Prompt greet@2 is written.")
    assert (folder / "greet" / "2.md").read_text() == mine
    console.complaints.clear()  # the browser itself reports the 409


async def test_a_new_prompt_and_its_cases(
    serve: Serve, backend: FakeBackend, folder: Path, open_console: OpenConsole
) -> None:
    console = await open_console(await serve(backend, prompts=folder), PLACE)
    await console.page.get_by_role("link", name="New prompt").click()
    await console.page.get_by_label("Name").fill("welcome")
    await console.press("Save as version 1")
    await console.see("Prompt welcome@1 is written.")
    assert set(read_registry(folder).prompt("welcome").variables) == {"name"}
    await console.page.get_by_text("none yet; write some").click()
    box = await editor(console, "Text of the test cases")
    assert "name: a value" in await box.input_value()
    await box.fill("cases: 1")
    await console.press("Save the test cases")
    await console.see("tests.yaml: cases: expected")
    await box.fill(CASES)
    await console.press("Save the test cases")
    await console.see("2 in tests.yaml")
    assert (folder / "welcome" / "tests.yaml").read_text() == CASES
    console.complaints.clear()  # the browser itself reports the 400


async def test_who_only_looks_changes_nothing_and_a_tenant_sees_no_texts(
    serve: Serve, backend: FakeBackend, folder: Path, open_console: OpenConsole
) -> None:
    keys = (
        ApiKey("team", hash_key("team-key")),
        ApiKey("looks", hash_key("looks-key"), admin=True, read_only=True),
    )
    gateway = await serve(backend, prompts=folder, keys=keys)
    for key, sees in (
        ("looks-key", "2 lines are new"), ("team-key", "shown to those who sign in with an admin")
    ):  # fmt: skip
        console = await open_console(gateway, f"{PLACE}?name=greet&open=2")
        await console.sign_in(key)
        await console.see(sees)
        names = "Run|Save|Publish|New"
        assert await console.page.locator(f"main button:text-matches('^({names})')").count() == 0
        assert await console.page.locator("main textarea:not([readonly])").count() == 0


async def test_without_a_folder_the_page_says_what_to_do(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole, axe: str
) -> None:
    console = await open_console(await serve(backend), PLACE)
    await console.see("headway serve --prompts prompts")
    assert await console.violations(axe) == []


async def test_a_diff_makes_the_one_text_of_the_other_with_few_lines_and_no_pause(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    chance = random.Random(3)
    pairs = [
        ["".join(chance.choice("abc") + "\n" for _ in range(chance.randrange(12))) for _ in "xy"]
        for _ in range(300)
    ]
    console = await open_console(await serve(backend), PLACE)
    script = """async pairs => {
        const { diff } = await import('./console/parts/diff.js')
        return pairs.map(([one, other]) => diff(one, other).map(row => [row.kind, row.text]))
    }"""
    found = await console.page.evaluate(script, pairs)
    for (one, other), rows in zip(pairs, found, strict=True):
        assert [text for kind, text in rows if kind != "+"] == one.split()
        assert [text for kind, text in rows if kind != "-"] == other.split()
        equal = sum(kind == "=" for kind, _ in rows)
        assert equal == _longest_common(one.split(), other.split())
    long = ["\n".join(str(chance.random()) for _ in range(50_000)) for _ in "xy"]
    took_ms = await console.page.evaluate(
        """async ([one, other]) => {
        const { diff } = await import('./console/parts/diff.js')
        const began = performance.now()
        diff(one, other)
        return performance.now() - began
    }""",
        long,
    )
    assert took_ms < 1000


def _longest_common(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for line in one:
        before, row = row, [0] * (len(other) + 1)
        for place, seen in enumerate(other, 1):
            same = before[place - 1] + 1
            row[place] = same if line == seen else max(before[place], row[place - 1])
    return row[-1]
