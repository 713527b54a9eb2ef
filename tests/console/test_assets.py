"""The files of the console: small, and complete."""

from __future__ import annotations

import gzip
import re
import subprocess

from headway.console.assets import FOLDER, INDEX, STYLES, assets

MOST_BYTES = 120_000


def test_all_of_it_is_small() -> None:
    assert sum(len(asset.packed) for asset in assets().values()) <= MOST_BYTES


def test_comments_stay_at_home_and_lines_keep_their_numbers() -> None:
    for name, asset in assets().items():
        if not name.endswith(".js") or name.startswith("vendor/"):
            continue
        served = gzip.decompress(asset.packed).decode().splitlines()
        written = (FOLDER / name).read_text(encoding="utf-8").splitlines()
        assert len(served) == len(written), name
        for number, (line, was) in enumerate(zip(served, written, strict=True)):
            comment = re.search(r"/\*\*|\*/|^ *(\*|//)", was)
            assert line == was or comment, f"{name}, line {number + 1}: {was}"
            assert not re.search(r"/\*\*|^ *//", line), name


def test_libraries_come_with_their_licences() -> None:
    licences = (FOLDER / "vendor" / "LICENSES.txt").read_text()
    for library in ("preact", "@preact/signals", "htm", "uplot"):
        assert re.search(rf"^{library} \d", licences, re.MULTILINE), library


def test_pages_load_nothing_from_elsewhere_and_write_no_html() -> None:
    ours = [path for path in FOLDER.rglob("*.js") if path.parent.name != "vendor"]
    assert len(ours) > 5
    for path in ours:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// @ts-check\n"), path
        assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|https?://(?!127)", text), path
        for module in re.findall(r"(?:from |import\()'([^']+)'", text):
            assert (path.parent / module).is_file(), f"{path} imports {module}"


def test_the_types_in_the_comments_hold(typescript: str) -> None:
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2023"]
    options += ["--module", "esnext", "--moduleResolution", "bundler"]
    options += ["--lib", "es2023,dom,dom.iterable"]
    done = subprocess.run(
        [typescript, *options, str(FOLDER / "app.js")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_page_names_what_the_frame_and_the_first_page_import_and_no_more() -> None:
    page = gzip.decompress(assets()[INDEX].packed).decode()
    named = set(re.findall(r'rel="modulepreload" href="console/([^"]+)"', page))
    assert {"app.js", "pages/now.js", "pages/now/slots.js", "vendor/libraries.js"} <= named
    assert named <= assets().keys()
    assert not any(name.startswith(("pages/history", "pages/playground")) for name in named)


def test_all_style_sheets_are_one() -> None:
    sheets = [name for name in assets() if name.endswith(".css")]
    assert sheets == [STYLES]
    styles = gzip.decompress(assets()[STYLES].packed).decode()
    for path in FOLDER.rglob("*.css"):
        assert path.read_text(encoding="utf-8") in styles, path


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|style=|\son\w+=", page)
