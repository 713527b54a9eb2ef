"""Child processes that end when their standard input does."""

from __future__ import annotations

import asyncio


async def end(process: asyncio.subprocess.Process, limit_s: float) -> None:
    """Close what the child watches, and wait until it is gone; after `limit_s` it is killed."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(limit_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
