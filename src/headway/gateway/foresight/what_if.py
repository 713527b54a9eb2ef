"""Replays traffic under other settings for an admin, one question at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from headway.gateway.api.errors import sentence
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.gateway.foresight.question import About, WhatIfQuestion
from headway.gateway.foresight.recent_traffic import RecentTraffic

LIMIT_S = 900.0
"""A replay gets only what others leave of the processor."""
MOST_REQUESTS = 10_000
MOST_NAME = 80
PROGRESS = b'{"doing":'
"""How lines begin that say how far it is."""
UNSAFE = re.compile(r"[^\w.-]|^[.-]+")
"""What the name of a file may not have."""


class Asked(msgspec.Struct, kw_only=True):
    """What a page asks."""

    about: About
    window_s: float = 3600.0
    """How far back the traffic of the log goes."""
    policies: list[str] = []
    slots: list[int] = []
    """Of each engine, besides as many as there are."""
    profile: str = ""
    """Of the engine; empty: the gateway's own, by its log."""
    slo: str = ""
    file: str = ""
    """The name of the trace that comes along; empty: the traffic is that of the log."""


class Found(msgspec.Struct):
    """The last line of `headway what-if`."""

    found: msgspec.Raw
    """Answer in lab/simulation/what_if/answer.py."""


class Refused(Exception):
    """There is no answer; the message says why, in a sentence."""


class Busy(Exception):
    """Another question is being answered; the message names who asked it."""


class WhatIf:
    """Asks `headway what-if`, a process at idle priority, which is killed with the task that waits.

    Args:
        traffic: what is replayed, unless somebody uploads other traffic.
    """

    def __init__(self, traffic: RecentTraffic) -> None:
        self.number = 0
        """Of the last question that was answered."""
        self.report = b""
        """The page of that answer; empty: none was answered yet."""
        self._traffic = traffic
        self._asker = ""
        """Who waits for an answer; empty: nobody does."""
        self._since_s = 0.0

    @property
    def has_log(self) -> bool:
        """Whether there is traffic to replay."""
        return self._traffic.log is not None

    @property
    def policy(self) -> str:
        """The one that runs now."""
        return self._traffic.policy

    async def ask(
        self,
        asked: Asked,
        trace: bytes,
        asker: str,
        heard: Callable[[bytes], Awaitable[None]],
    ) -> msgspec.Raw:
        """Return the answer as JSON; its page is `report` from then on.

        Args:
            asked: the question.
            trace: a file with other traffic, if `asked` names it.
            asker: who asks.
            heard: gets how far it is, as JSON, line by line.

        Raises:
            Busy: another question is being answered.
            Refused: there is no answer.
        """
        if self._asker:
            since_s = self._traffic.clock() - self._since_s
            raise Busy(f"{self._asker} asked something {since_s:.0f} s ago, which still runs")
        self._asker, self._since_s = asker, self._traffic.clock()
        try:
            with TemporaryDirectory(prefix="headway-what-if-") as folder:
                return await self._answered(asked, trace, Path(folder), heard)
        finally:
            self._asker = ""

    async def _answered(
        self,
        asked: Asked,
        trace: bytes,
        folder: Path,
        heard: Callable[[bytes], Awaitable[None]],
    ) -> msgspec.Raw:
        file, report = "", folder / "report.html"
        if asked.file:
            path = folder / f"{UNSAFE.sub('_', asked.file)[-MOST_NAME:]}"
            await asyncio.to_thread(path.write_bytes, trace)
            file = str(path)
        question = WhatIfQuestion(
            about=asked.about,
            traffic=self._traffic.question(window_s=asked.window_s, most_requests=MOST_REQUESTS),
            file=file,
            report=str(report),
            policies=asked.policies,
            slots=asked.slots,
            profile=asked.profile,
            slo=asked.slo,
        )
        stdin = msgspec.json.encode(question)

        async def read(line: bytes) -> None:
            if line.startswith(PROGRESS):
                await heard(line.rstrip())

        try:
            answer = await answer_of(["what-if"], Found, LIMIT_S, stdin, read)
        except TimeoutError:
            raise Refused(
                f"It took more than {LIMIT_S / 60.0:.0f} minutes; replay less traffic, or fewer "
                "settings."
            ) from None
        except CommandFailed as failure:
            why = str(failure).removeprefix("headway what-if: ").rstrip(".")
            named = bool(file) and why.startswith(Path(file).name)
            raise Refused(f"{why}." if named else sentence(why)) from None
        self.report = await asyncio.to_thread(report.read_bytes)
        self.number += 1
        return answer.found
