"""Old runs are deleted, in many small transactions: others write meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time

from headway.workflows.journal.journal import Journal

logger = logging.getLogger(__name__)

DAY_S = 86_400.0
TOGETHER = 50
"""Runs that one transaction deletes."""
PAUSE_S = 0.02
AGAIN_S = 3600.0


async def prune(journal: Journal, before: float) -> int:
    """Delete all runs that ended before then; return how many."""
    total = 0
    while deleted := await journal.prune(before, TOGETHER):
        total += deleted
        await asyncio.sleep(PAUSE_S)
    return total


async def prune_always(journal: Journal, keep_s: float) -> None:
    """Delete runs once they ended `keep_s` ago, until cancelled."""
    while True:
        try:
            if deleted := await prune(journal, time.time() - keep_s):
                logger.info("deleted %d old runs", deleted)
        except Exception:
            logger.exception("old runs cannot be deleted; tried again in an hour")
        await asyncio.sleep(AGAIN_S)
