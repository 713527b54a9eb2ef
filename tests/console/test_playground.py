"""The playground: chats with models, two side by side."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from tests.console.conftest import Console, OpenConsole
from tests.gateway.conftest import Serve
from tests.gateway.doubles import ExactEngine, work
from tests.gateway.fake_backend import FakeBackend
from tests.prompts.files import GREET, write

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACE = "#/playground"
DOT = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script> [a](data:b) \u202e\U0001f980'


async def chat(console: Console, text: str) -> None:
    await console.page.get_by_label("Message").fill(text)
    await console.page.keyboard.press("Control+Enter")


async def test_a_chat_streams_and_says_how_it_was_scheduled(
    serve: Serve, open_console: OpenConsole, axe: str
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    console = await open_console(gateway, PLACE)
    await console.page.get_by_label("Most tokens").fill("40")
    await chat(console, HOSTILE)
    await console.see("asking …")
    engine.allow(3)
    await console.see("0 1 2")
    engine.allow()
    await console.see("exact, tier standard, by srpt")
    await console.see("40 tokens")
    assert (
        await console.page.locator("main img, main script, main a[href^=javascript]").count() == 0
    )
    assert await console.violations(axe) == []
    await chat(console, "And on.")
    await console.page.get_by_text("0 1 2").nth(1).wait_for()


async def test_two_models_answer_side_by_side(serve: Serve, open_console: OpenConsole) -> None:
    engine = ExactEngine()
    engine.allow()
    console = await open_console(await serve(engine), PLACE)
    await console.press("Two side by side")
    await console.page.get_by_label("Most tokens").nth(1).fill("2")
    await chat(console, "Count.")
    await console.see("2 tokens")
    assert await console.page.locator(".turn.assistant").count() == 2


async def test_a_prediction_comes_before_it_is_sent(
    serve: Serve, open_console: OpenConsole
) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    console = await open_console(gateway, PLACE)
    await console.page.get_by_label("Message").fill("Count to a hundred.")
    await console.see("at once.")
    gateway.dispatcher.submit(work("runs"))
    gateway.dispatcher.submit(work("waits"))
    await console.page.get_by_label("Message").fill("Count to two hundred.")
    await console.see("behind 1 other by srpt")
    assert len(gateway.dispatcher.works) == 2, "nothing was sent"


async def test_tools_and_schemas_are_sent(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    backend.message = {"content": None, "tool_calls": [call]}
    console = await open_console(await serve(backend), PLACE)
    await console.page.get_by_text("Tools, JSON schema").click()
    await console.press("Tools")
    await chat(console, "How is the weather?")
    await console.see("→ weather {}")
    assert backend.requests[-1][1]["tools"][0]["function"]["name"] == "weather"
    backend.message = None
    await console.page.get_by_placeholder("What weather returns").wait_for()
    await chat(console, "18 degrees")
    await console.see("word99")
    _, calls, result = backend.requests[-1][1]["messages"]
    assert calls == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert result == {"role": "tool", "tool_call_id": "c", "content": "18 degrees"}
    await console.page.get_by_label("Further fields").fill("{nonsense")
    await console.see("This is no JSON object, so nothing is sent.")


async def test_it_can_be_stopped(serve: Serve, open_console: OpenConsole) -> None:
    engine = ExactEngine()
    gateway = await serve(engine)
    console = await open_console(gateway, PLACE)
    await chat(console, "Count.")
    engine.allow(2)
    await console.see("0 1")
    await console.press("Stop")
    await console.see("stopped")
    assert not gateway.dispatcher.works


async def test_a_megabyte_freezes_nothing(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    console = await open_console(await serve(backend), PLACE)
    words = "lighthouse " * 1000
    event = {"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": None}]}
    backend.pieces = [b"data: " + json.dumps(event).encode() + b"\n\n"] * 100
    backend.pieces.append(b"data: [DONE]\n\n")
    await chat(console, "Everything.")
    async with asyncio.timeout(30):
        while len(await console.page.locator(".turn.assistant").inner_text()) < 1_000_000:
            pass
    await console.press("New chat")
    await console.see("Nothing was said yet.")


async def test_what_goes_wrong_is_said(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    console = await open_console(await serve(backend), PLACE)
    backend.faults.append((400, {"error": {"message": "The prompt is too odd."}}))
    await chat(console, "Odd.")
    await console.see("The prompt is too odd.")
    console.complaints.clear()  # the browser itself reports the 400
    await chat(console, "Even.")
    await console.see("word99")
    said = [one["content"] for one in backend.requests[-1][1]["messages"]]
    assert said == ["Even."], "what got no answer is not sent again"
    await chat(console, "And on.")
    await console.page.get_by_text("word99").nth(1).wait_for()
    said = [one["role"] for one in backend.requests[-1][1]["messages"]]
    assert said == ["user", "assistant", "user"]


@pytest.mark.parametrize("shown", ["curl", "Python"])
async def test_the_request_as_code_works(
    shown: str, serve: Serve, backend: FakeBackend, open_console: OpenConsole
) -> None:
    gateway = await serve(backend)
    console = await open_console(gateway, PLACE)
    text = 'It\'s "quoted" \\ and\ntwo lines \U0001f980'
    await console.page.get_by_label("Message").fill(text)
    await console.page.get_by_text("Tools, JSON schema").click()
    await console.page.get_by_label("Further fields").fill('{"seed": 7, "min_p": 0.1}')
    await console.page.get_by_text("The request as code").click()
    await console.press(shown)
    code = await console.page.locator(".code pre").inner_text()
    command = ["sh", "-c", code] if shown == "curl" else [sys.executable, "-c", code]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    sent = backend.requests[-1][1]
    assert sent["messages"][-1]["content"] == text
    assert (sent["seed"], sent["min_p"]) == (7, 0.1), "fields that OpenAI's client knows, and not"


async def test_two_registered_prompts_are_compared_on_the_same_input(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole, axe: str, tmp_path: Path
) -> None:
    write(tmp_path, "greet", GREET, GREET.replace("Hello", "Good day,"))
    gateway = await serve(backend, prompts=tmp_path)
    console = await open_console(gateway, f"{PLACE}?prompt=greet@1&prompt=greet@2")
    name = console.page.get_by_label("name")
    await name.fill(HOSTILE)
    await console.see("If it is sent now")
    assert await console.violations(axe) == []
    await console.press("Send to both")
    await console.page.get_by_text("word99").nth(1).wait_for()
    said = {body["messages"][0]["content"] for _, body in backend.requests}
    assert said == {f"Hello {HOSTILE}!", f"Good day, {HOSTILE}!"}
    assert {len(body["messages"]) for _, body in backend.requests} == {1}
    backend.requests.clear()
    await chat(console, "And on.")
    await console.page.get_by_text("word99").nth(3).wait_for()
    roles = [[one["role"] for one in body["messages"]] for _, body in backend.requests]
    assert roles == [["user", "assistant", "user"]] * 2
    await console.page.get_by_text("The request as code").first.click()
    await console.press("Python")
    code = await console.page.locator(".code pre").first.inner_text()
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code])
    assert done.returncode == 0


async def test_two_policies_are_compared_on_the_same_queue(
    serve: Serve, open_console: OpenConsole
) -> None:
    gateway = await serve(ExactEngine())
    for name in ("runs", "waits", "waits too"):
        gateway.dispatcher.submit(work(name, tokens=500))
    console = await open_console(gateway, PLACE)
    await console.page.get_by_label("Most tokens").fill("1")
    await console.page.get_by_label("Message").fill("Count to one.")
    await console.see("tokens (80%: 1), ")
    await console.page.get_by_label("Under another policy").select_option("fcfs")
    await console.see("behind 2 others by fcfs.")


async def test_images_and_audio_are_offered_where_the_model_takes_them(
    serve: Serve, backend: FakeBackend, open_console: OpenConsole, tmp_path: Path, axe: str
) -> None:
    console = await open_console(await serve(backend), PLACE)
    await console.see("Send")
    assert await console.page.get_by_label("Add an image").count() == 0
    backend.inputs = ["text", "image", "audio"]
    console = await open_console(await serve(backend), PLACE)
    await console.page.get_by_label("Add an image").set_input_files(
        {"name": "dot.png", "mimeType": "image/png", "buffer": DOT}
    )
    await console.page.get_by_label("Add audio").set_input_files(
        {"name": "beep.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}
    )
    await console.page.get_by_role("img", name="dot.png").wait_for()
    await console.page.get_by_role("button", name="Remove beep.wav").wait_for()
    assert await console.violations(axe) == []
    await chat(console, "What is this?")
    await console.see("word99")
    text, image, audio = backend.requests[-1][1]["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert image["image_url"]["url"] == f"data:image/png;base64,{b64encode(DOT).decode()}"
    assert audio["input_audio"] == {"data": b64encode(b"RIFF").decode(), "format": "wav"}
    await console.page.locator(".turn.user img").wait_for()
    console.complaints.clear()  # that is no audio, and the browser may say so
