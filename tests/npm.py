"""Packages of npm that tests use, fetched once into Headway's cache."""

from __future__ import annotations

import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from headway.cache import cache_folder


def fetched(package: Path) -> Path:
    """A folder with the dependencies of that package.json; skips the test where there is no npm."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    wanted = package.read_bytes()
    folder = cache_folder() / "node" / sha256(wanted).hexdigest()[:16]
    if not (folder / "node_modules/.package-lock.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(wanted)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(install, capture_output=True, text=True, timeout=100)
        if done.returncode:
            pytest.skip(f"npm cannot fetch packages: {done.stderr.strip()[:200]}")
    return folder
