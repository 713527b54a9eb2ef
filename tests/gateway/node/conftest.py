"""OpenAI's and Anthropic's clients for Node, fetched once into Headway's cache."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.npm import fetched

HERE = Path(__file__).parent
LIMIT_S = 60

RunNode = Callable[..., Awaitable[bytes]]


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """A folder with the scripts, and the clients that they import."""
    folder = fetched(HERE / "package.json")
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
