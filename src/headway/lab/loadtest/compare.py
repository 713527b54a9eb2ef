"""The same requests under one policy after another, each on a fresh embedded engine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headway.core.policies import POLICIES
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.result import Row
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.solo import SoloTime, warm_up
from headway.lab.loadtest.workload import Workload

ORACLE_MARK = "+oracle"


class ContenderError(ValueError):
    """A policy to compare does not exist; the message names those that do."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy, and whether it knows how long each answer will be."""

    policy: str
    oracle: bool = False

    @property
    def label(self) -> str:
        """Its name in tables."""
        return f"{self.policy} (oracle)" if self.oracle else self.policy

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Read `srpt` or `srpt+oracle`.

        Raises:
            ContenderError: there is no such policy.
        """
        policy = text.strip().removesuffix(ORACLE_MARK)
        if policy not in POLICIES:
            raise ContenderError(f"no policy {policy!r}; the policies are {', '.join(POLICIES)}")
        return cls(policy, text.strip().endswith(ORACLE_MARK))


class Watcher(Protocol):
    """Follows the progress of a comparison."""

    def phase(self, label: str, requests: int) -> None:
        """A run of so many requests begins."""

    def done(self, outcome: RequestResult) -> None:
        """One of them is answered."""


async def compare(
    contenders: Sequence[Contender],
    workload: Workload,
    watcher: Watcher,
    *,
    settings: Mapping[str, object],
    repeats: int = 1,
    seed: int = 0,
    timeout_s: float = 600.0,
) -> list[Row]:
    """Run `workload` once under each contender, `repeats` times, in a new random order each time.

    If a contender knows the lengths, an extra run comes first to measure them.

    Args:
        contenders: one row each.
        workload: what to send; every answer is greedy.
        watcher: follows the progress.
        settings: of `headway serve`, as in its file; the policy is set here.
        repeats: runs of each contender.
        seed: of the random order.
        timeout_s: after so long a request is given up.

    Raises:
        ServerError: a server did not start or does not answer.
    """
    alone: list[RequestResult] = []

    async def run(policy: str, load: Workload, label: str) -> list[RequestResult]:
        watcher.phase(label, len(load.requests))
        async with (
            HeadwayServer({**settings, "policy": policy}) as server,
            LoadClient(server.url, "default", timeout_s=timeout_s) as client,
        ):
            alone.extend(await warm_up(client, load))
            return await client.run(load, watcher.done)

    informed = workload
    if any(contender.oracle for contender in contenders):
        lengths = await run("fcfs", workload.at_once(), "finding the lengths")
        informed = workload.expecting([outcome.output_tokens for outcome in lengths])
    rng = random.Random(seed)
    runs: dict[str, list[tuple[RequestResult, ...]]] = {c.label: [] for c in contenders}
    for repeat in range(repeats):
        for contender in rng.sample(list(contenders), len(contenders)):
            label = contender.label + (f", run {repeat + 1} of {repeats}" if repeats > 1 else "")
            load = informed if contender.oracle else workload
            runs[contender.label].append(tuple(await run(contender.policy, load, label)))
    solo = SoloTime.fit(alone)
    return [Row(c.label, tuple(runs[c.label]), solo, c.oracle) for c in contenders]


async def measure_url(
    url: str,
    model: str,
    workload: Workload,
    watcher: Watcher,
    *,
    api_key: str = "",
    repeats: int = 1,
    timeout_s: float = 600.0,
) -> Row:
    """Run `workload` against a server that runs already; one row.

    Raises:
        ServerError: it cannot be reached or does not answer.
    """
    async with LoadClient(url, model, api_key, timeout_s) as client:
        await client.models()
        solo = SoloTime.fit(await warm_up(client, workload))
        runs = []
        for repeat in range(repeats):
            watcher.phase(f"{url}, run {repeat + 1} of {repeats}", len(workload.requests))
            runs.append(tuple(await client.run(workload, watcher.done)))
    return Row(url, tuple(runs), solo)
