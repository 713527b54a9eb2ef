"""Pages in a real browser, in a window as narrow as a phone's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest
from tests.lab.loadtest.test_report import page_of, result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--dump-dom",
]
MEASURE = """
const inner = document.querySelector('iframe').contentDocument
const seen = one => one.getClientRects().length > 0
const texts = [...inner.querySelectorAll('svg text')].filter(seen)
const scale = matrix => Math.hypot(matrix.a, matrix.b)
const tall = one => scale(one.getScreenCTM()) * parseFloat(getComputedStyle(one).fontSize)
const tables = [...inner.querySelectorAll('.wide')]
document.title = JSON.stringify({
  window: inner.defaultView.innerWidth,
  page: inner.documentElement.scrollWidth,
  smallest: Math.min(...texts.map(tall)),
  texts: texts.length,
  cut: tables.filter(one => one.scrollWidth > one.clientWidth).length,
  cued: tables.filter(one => one.scrollWidth > one.clientWidth &&
    seen(one.previousElementSibling) && one.previousElementSibling.className === 'cue').length,
})
"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH")
@pytest.mark.parametrize("width", [400, 1280])
def test_labels_can_be_read_and_tables_that_are_cut_say_so(width: int, tmp_path: Path) -> None:
    style, source = f"width:{width}px;height:900px;border:0", escape(page_of(result()))
    frame = f'<iframe style="{style}" srcdoc="{source}">'
    page = tmp_path / "page.html"
    page.write_text(f"{frame}</iframe><script>onload = () => {{{MEASURE}}}</script>")
    ran = subprocess.run(
        [str(CHROMIUM), *FLAGS, "--dump-dom", f"--user-data-dir={tmp_path}/profile", page.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(\{.*?\})</title>", ran.stdout)
    assert title, ran.stdout[:500] + ran.stderr[-500:]
    found = json.loads(title[1])
    assert found["window"] == width
    assert found["page"] <= width
    assert found["texts"] > 20 and found["smallest"] >= 10.0
    assert found["cut"] == found["cued"] == (1 if width == 400 else 0)
