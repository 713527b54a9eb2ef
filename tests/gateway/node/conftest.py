"""OpenAI's and Anthropic's clients for Node, fetched once into Headway's cache."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from headway.cache import cache_folder

HERE = Path(__file__).parent
LIMIT_S = 60

RunNode = Callable[..., Awaitable[bytes]]


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """A folder with the scripts, and the clients that they import."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    wanted = (HERE / "package.json").read_bytes()
    folder = cache_folder() / "node" / sha256(wanted).hexdigest()[:16]
    if not (folder / "node_modules" / "openai").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(wanted)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(install, capture_output=True, text=True, timeout=100)
        if done.returncode:
            pytest.skip(f"npm cannot fetch the clients: {done.stderr.strip()[:200]}")
    for script in HERE.glob("*.js"):
        shutil.copy(script, folder)
    return folder


@pytest.fixture
def run_node(node_folder: Path) -> RunNode:
    """Run a script with arguments; returns what it prints."""

    async def run(script: str, *arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "node",
            str(node_folder / script),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), LIMIT_S)
        assert process.returncode == 0, (out + errors).decode()
        return out

    return run
