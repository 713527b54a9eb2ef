"""Headway's extras: the command that installs one, right for how this Headway was installed."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DISTRIBUTION = "headway"
"""The project's name in pyproject.toml and on package indexes."""


def install_extra(extra: str) -> str:
    """Return the shell command that adds `extra` to this installation.

    A clone, a wheel, a repository or an archive that Headway was installed from is named again: the
    package index may have no Headway, or another one.
    """
    # 40 ms, for which only who lacks an extra should wait
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.request import url2pathname

    try:
        recorded = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:  # run from its source, without an installation
        return pip_install(*_from_folder(Path(__file__).parents[2], extra, editable=True))
    # Source: https://packaging.python.org/en/latest/specifications/direct-url/
    origin: dict[str, Any] = json.loads(recorded or "{}")
    url: str = origin.get("url", "")
    place = Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None
    if place is not None and "vcs_info" not in origin:
        editable = origin.get("dir_info", {}).get("editable", False)
        return pip_install(*_from_folder(place, extra, editable))
    named = f"{DISTRIBUTION}[{extra}]"
    if not url:
        return pip_install(named)
    if vcs := origin.get("vcs_info"):
        revision = vcs.get("requested_revision")
        url = f"{vcs['vcs']}+{url}" + (f"@{revision}" if revision else "")
    if folder := origin.get("subdirectory"):
        url += f"#subdirectory={folder}"
    return pip_install(f"{named} @ {url}")


def pip_install(*what: str) -> str:
    """Return the shell command that installs packages into the environment of this process.

    Args:
        what: arguments of `pip install`, unquoted.
    """
    python = Path(sys.executable)
    first = shutil.which("pip")
    if first is not None and Path(first).parent == python.parent:
        words = ["pip", "install"]
    elif find_spec("pip") is not None:
        words = [str(python), "-m", "pip", "install"]
    else:  # uv makes environments without pip
        words = ["uv", "pip", "install", "--python", str(python)]
    return shlex.join([*words, *what])


def _from_folder(place: Path, extra: str, editable: bool) -> list[str]:
    """What to install from a clone or a wheel; by name where it is there no more."""
    if not (place.is_file() or (place / "pyproject.toml").is_file()):
        return [f"{DISTRIBUTION}[{extra}]"]
    return [*(["-e"] if editable else []), f"{place}[{extra}]"]
