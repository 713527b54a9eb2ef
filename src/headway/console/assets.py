"""The files of the console as browsers get them: packed by gzip, each with an ETag.

Pages are plain ES modules and need no build. All addresses in them are relative to `/console`, so
they hold below any prefix that a proxy adds.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import NamedTuple

from headway.lab.report.colours import COLOURS

FOLDER = Path(__file__).parent
INDEX = "index.html"
MODULES = b"<!-- modules -->"
"""In the page: where the modules of the frame and of the first page are named, so that browsers
load them at once, and not each when the one that imports it has come."""
PRELOAD = '<link rel="modulepreload" href="console/%s">'
FIRST = ("app.js", "pages/now.js")
IMPORT = re.compile(rb"^import .*?from '(\.[^']+)'", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(rb"/\*\*.*?\*/|^ *//.*?$", re.MULTILINE | re.DOTALL)
"""Of our modules: what says types and why. Browsers have no use for it."""
STYLES = "styles.css"
"""All style sheets as one, the libraries' own first: fewer requests are a quicker page."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class Asset(NamedTuple):
    """One file."""

    packed: bytes
    """Compressed by gzip."""
    content_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """All files, by their path below `/console/`; the page itself is `INDEX`."""
    found = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in TYPES
    }
    sheets = [name for name in found if name.endswith(".css")]
    sheets.sort(key=lambda name: (not name.startswith("vendor/"), name))
    found[STYLES] = _colours().encode() + b"".join(found.pop(name) for name in sheets)
    preloads = [PRELOAD % name for name in _imported(found, FIRST)]
    found[INDEX] = found[INDEX].replace(MODULES, "\n".join(preloads).encode())
    return {
        name: _asset(name, _without_comments(content) if _is_ours(name) else content)
        for name, content in found.items()
    }


def _is_ours(name: str) -> bool:
    return name.endswith(".js") and not name.startswith("vendor/")


def _without_comments(module: bytes) -> bytes:
    """The module without its comments; its lines keep their numbers."""
    return COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), module)


def _imported(files: Mapping[str, bytes], names: Iterable[str]) -> list[str]:
    """These modules, and all that they import."""
    found: list[str] = []
    missing = list(names)
    while missing:
        name = missing.pop(0)
        if name not in found:
            found.append(name)
            folder = PurePosixPath(name).parent
            missing += [normpath(folder / path.decode()) for path in IMPORT.findall(files[name])]
    return found


def _asset(name: str, content: bytes) -> Asset:
    etag = f'"{sha256(content).hexdigest()[:20]}"'
    return Asset(gzip.compress(content, 9, mtime=0), TYPES[Path(name).suffix], etag)


def _colours() -> str:
    """The colours of reports, so that a policy has the same one everywhere."""
    light = "".join(f".c-{name}{{--c:{colour}}}" for name, (colour, _) in COLOURS.items())
    dark = "".join(f".c-{name}{{--c:{colour}}}" for name, (_, colour) in COLOURS.items())
    return f"{light}\n@media(prefers-color-scheme:dark){{{dark}}}\n"
