"""Text-to-SQL runs with a deadline each, on two unlike embedded engines, for real.

    python bench/text_to_sql_live.py [--turns 3] [--runs 24] [--only "urgency;run-fcfs"]

The shape of text_to_sql.py with short prompts and answers, on two llama.cpp servers with the same
weights: as they ship (Q4_1), and widened to 32 bits, which takes longer a token (`pip install
gguf`). A turn measures what a burst of runs is served at, which is a load of 1, and then sends
the same runs as the same Poisson stream under each policy, in an order of its own. Every
gateway begins with the request log of the first burst: what it taught of lengths and runs is known.

One queue for both engines is one gateway. `round robin` and HexGen's rule send each call to one of
two gateways, each with one engine; HexGen's work and speed are those of the calls under way, at
speeds measured in the beginning. Answers have given lengths, known to gateways as limits. The
deadline is what 95% met under `run-fcfs`, which is first in each turn; what counts is the latency
that 95% of the runs stayed below, and tokens a second.

With --lock, each turn holds a lock on that file, for machines that are shared.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import aiohttp
import numpy as np

from claims import Claim, publish
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.routing import Router, router_of
from headway.engines.endpoint import Endpoint
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.trace import Trace
from text_to_sql import BARS, MET, OURS, TURNS, Contender, runs_of
from unlike_engines import SLOTS, alone_s, engines

PROMPT_SHARE, OUTPUT_SHARE = 1 / 60, 1 / 20
"""Of the lengths in text_to_sql.py."""
LOAD = 1.0
BURST = 8
DAY_S = 24 * 3600.0
BASE = "run-fcfs"

CONTENDERS = {
    BASE: Contender("run-fcfs", deadlines=False),
    TURNS: Contender("fcfs", "round_robin", deadlines=False),
    "fcfs": Contender("fcfs", deadlines=False),
    "edf": Contender("edf"),
    "hexgen": Contender("urgency", "hexgen:0.5"),
    OURS: Contender("slack"),
    "urgency": Contender("urgency"),
}


@dataclass
class Gate:
    """A gateway, and what is under way there, for routers."""

    name: str
    url: str
    speed: float = 1.0
    """Seconds of its engine for one of the quickest."""
    under_way: list[Request] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """Calls that wait or run there."""
        return len(self.under_way)

    def duration_s(self, request: Request) -> float:
        """In tokens of the quickest engine, of which ten of a prompt take as long as one more."""
        return self.speed * (request.estimate.mean + request.prompt_tokens / 10.0)

    def work_s(self, now_s: float) -> float:
        """Of all that is under way."""
        return sum(map(self.duration_s, self.under_way)) / SLOTS


def short(trace: Trace, factor: float) -> Trace:
    """The trace with lengths for a small engine, times `factor`."""
    return replace(
        trace,
        prompt_tokens=np.maximum(8, (trace.prompt_tokens * PROMPT_SHARE * factor).astype(int)),
        output_tokens=np.maximum(1, (trace.output_tokens * OUTPUT_SHARE * factor).astype(int)),
    )


class Client:
    """Sends the calls of runs, each once those before it have ended."""

    def __init__(self, gates: Sequence[Gate], router: Router | None, deadline_s: float) -> None:
        self._gates = gates
        self._router = router
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession
        self._began_s = 0.0

    async def run(self, trace: Trace, arrivals_s: np.ndarray) -> tuple[np.ndarray, float]:
        """Latency of each run in seconds, and output tokens a second."""
        numbers: dict[str, list[int]] = {}
        for number, program in enumerate(trace.programs):
            numbers.setdefault(program, []).append(number)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=1800)
        ) as self._session:
            self._began_s = time.monotonic()
            latency_s = await asyncio.gather(
                *(
                    self._run(trace, calls, float(arrivals_s[place]))
                    for place, calls in enumerate(numbers.values())
                )
            )
            took_s = time.monotonic() - self._began_s
        return np.array(latency_s), float(trace.output_tokens.sum()) / took_s

    async def _run(self, trace: Trace, calls: Sequence[int], at_s: float) -> float:
        await asyncio.sleep(self._began_s + at_s - time.monotonic())
        began_s = time.monotonic()
        ended = {number: asyncio.Event() for number in calls}

        async def call(number: int) -> None:
            before = [one for one in (int(trace.after[number]), *trace.joins[number]) if one >= 0]
            for one in before:
                await ended[one].wait()
            await asyncio.sleep(float(trace.gap_s[number]))
            await self._call(trace, number, before, began_s, last=number == calls[-1])
            ended[number].set()

        await asyncio.gather(*map(call, calls))
        return time.monotonic() - began_s

    async def _call(
        self, trace: Trace, number: int, before: Sequence[int], began_s: float, last: bool
    ) -> None:
        prompt, output = int(trace.prompt_tokens[number]), int(trace.output_tokens[number])
        request = Request(str(number), 0.0, prompt, SizeEstimate.exactly(output))
        gate = self._gates[0]
        if self._router is not None:
            gate = self._gates[self._router.route(request, self._gates, time.monotonic())]
        headers = {
            "x-headway-program": f"{trace.programs[number]} {self._began_s}",
            "x-headway-step": trace.steps[number],
            "x-headway-parents": ",".join({trace.steps[one] for one in before}),
        }
        if self._deadline_s < np.inf:
            left_s = began_s + self._deadline_s - time.monotonic()
            headers["x-headway-deadline-ms"] = str(max(1, round(1000 * left_s)))
        if last:
            headers["x-headway-remaining-ms"] = "0"
        chance = random.Random(number)
        words = " ".join(chance.choice(WORDS) for _ in range(max(1, prompt - 4)))
        body = {
            "model": "sql",
            "prompt": f"{trace.steps[number].partition(' ')[0]}: {words}",
            "max_tokens": output,
            "ignore_eos": True,
            "temperature": 0,
        }
        gate.under_way.append(request)
        async with self._session.post(
            f"{gate.url}/completions", json=body, headers=headers
        ) as answer:
            told = await answer.json()
            if answer.status != 200:
                raise RuntimeError(told)
        gate.under_way.remove(request)


WORDS = "select from where join table column name song year artist city count".split()  # noqa: SIM905


@asynccontextmanager
async def gates(
    contender: Contender, endpoints: Sequence[Endpoint], log: Path, speeds: Sequence[float]
) -> AsyncIterator[list[Gate]]:
    """One gateway for all engines, or one for each; they know what is in `log`."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shared = contender.routing == "shared"
        parts = [list(endpoints)] if shared else [[one] for one in endpoints]
        found = []
        for place, part in enumerate(parts):
            database = folder / f"{place}.db"
            shutil.copy(log, database)
            settings = {
                "policy": contender.policy,
                "on_missed_deadline": "downgrade",
                "backends": [
                    {
                        "name": one.name,
                        "url": one.url,
                        "api_key": one.api_key,
                        "max_concurrency": SLOTS,
                    }
                    for one in part
                ],
                "log": {"level": "warning", "requests_db": str(database)},
            }
            server = await stack.enter_async_context(HeadwayServer(settings))
            found.append(Gate(part[0].name, server.url, 1.0 if shared else speeds[place]))
        yield found


def yesterday(log: Path) -> None:
    """As if all of it had happened a day ago, so that its runs have ended."""
    with closing(sqlite3.connect(log)) as database:
        database.execute("UPDATE requests SET arrival_unix_s = arrival_unix_s - ?", (DAY_S,))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@asynccontextmanager
async def held(file: Path | None) -> AsyncIterator[None]:
    """While this process holds a lock on `file`, if there is one to hold."""
    if file is None:
        yield
        return
    with file.open("a") as opened:
        await asyncio.to_thread(fcntl.flock, opened, fcntl.LOCK_EX)
        yield


async def measure(options: argparse.Namespace) -> int:
    options.json.parent.mkdir(exist_ok=True)
    names = options.only.split(";") if options.only else list(CONTENDERS)
    turns: list[dict[str, Found]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with engines(options.json.parent / "wide.gguf") as endpoints:
            seed_log = Path(folder) / "seed.db"
            speeds_s = [await alone_s(one) for one in endpoints]
            speeds = [one / min(speeds_s) for one in speeds_s]
            print("seconds alone:", [f"{one:.2f}" for one in speeds_s], flush=True)
            await taught(endpoints, seed_log, options.tokens)
            yesterday(seed_log)
            for number in range(options.turns):
                async with held(options.lock):
                    turn = Turn(options, options.seed + number, names)
                    turns.append(await turn.measured(endpoints, seed_log, speeds))
                details = [{name: asdict(one) for name, one in turn.items()} for turn in turns]
                options.json.write_text(json.dumps(details))
    return judged(turns, details, options.json)


@dataclass(frozen=True)
class Found:
    """One policy in one turn."""

    p95_s: float
    """The latency that 95% of the runs stayed below."""
    tokens_s: float
    met: float
    """Share of the runs within the deadline that was given."""


class Turn:
    """The same runs under each policy."""

    def __init__(self, options: argparse.Namespace, seed: int, names: Sequence[str]) -> None:
        self._options = options
        self._rng = np.random.default_rng(seed)
        self._trace = short(runs_of(options.runs, self._rng), options.tokens)
        others = [name for name in names if name != BASE]
        self._rng.shuffle(others)
        self._names = [BASE, *others]

    async def measured(
        self, endpoints: Sequence[Endpoint], log: Path, speeds: Sequence[float]
    ) -> dict[str, Found]:
        """What became of the runs under each policy."""
        count, trace = self._options.runs, self._trace
        burst = short(runs_of(BURST, self._rng), self._options.tokens)
        async with gates(CONTENDERS[BASE], endpoints, log, speeds) as there:
            _, tokens_s = await Client(there, None, np.inf).run(burst, np.zeros(BURST))
        rate = tokens_s / (trace.output_tokens.sum() / count)
        gaps_s = self._rng.exponential(1.0 / (self._options.load * rate), count)
        deadline_s, found = np.inf, dict[str, Found]()
        for name in self._names:
            one = CONTENDERS[name]
            async with gates(one, endpoints, log, speeds) as there:
                given_s = deadline_s if one.deadlines else np.inf
                client = Client(there, router_of(one.routing), given_s)
                latency_s, tokens_s = await client.run(trace, np.cumsum(gaps_s))
            p95_s = float(np.quantile(latency_s, MET))
            if name == BASE:
                deadline_s = p95_s
            met = float((latency_s <= deadline_s).mean())
            found[name] = Found(p95_s, tokens_s, met)
            print(
                f"{rate:.2f} runs/s: {name}: p95 {p95_s:.1f} s, mean {latency_s.mean():.1f} s, "
                f"{met:.0%} within {deadline_s:.1f} s, {tokens_s:.1f} tokens/s",
                flush=True,
            )
        return found


def judged(turns: Sequence[dict[str, Found]], details: object, json_file: Path) -> int:
    """Medians over the turns, and the claims."""
    rows, claims = [], []
    for name in turns[0]:
        ratios = np.array([turn[name].p95_s / turn[OURS].p95_s for turn in turns])
        p95_s, tokens_s, met = np.median(
            [(turn[name].p95_s, turn[name].tokens_s, turn[name].met) for turn in turns], axis=0
        )
        ratio, spread = float(np.median(ratios)), f"{ratios.min():.2f} to {ratios.max():.2f}"
        numbers = f"{tokens_s:.1f}", f"{met:.0%}"
        rows.append([name, f"{p95_s:.1f}", f"{ratio:.2f}", spread, *numbers])
        if name in BARS:
            claims.append(Claim(f"deadline of {name} / ours", ratio, BARS[name], at_most=False))
    headings = ["policy", "deadline s", "/ ours", "turns", "tokens/s", "in time"]
    show(table_console(), Results(headings, rows))
    if TURNS in turns[0]:
        rates = [turn[OURS].tokens_s / turn[TURNS].tokens_s for turn in turns]
        claims.append(Claim("tokens/s, ours / fcfs", float(np.median(rates)), 1.0, at_most=False))
    return publish(claims, {"turns": details}, json_file)


async def taught(endpoints: Sequence[Endpoint], log: Path, factor: float) -> None:
    """A log of a burst of runs, of a draw of its own."""
    trace = short(runs_of(2 * BURST, np.random.default_rng(1000)), factor)
    settings = {
        "policy": "run-fcfs",
        "backends": [
            {"name": one.name, "url": one.url, "api_key": one.api_key, "max_concurrency": SLOTS}
            for one in endpoints
        ],
        "log": {"level": "warning", "requests_db": str(log)},
    }
    async with HeadwayServer(settings) as server:
        await Client([Gate("all", server.url)], None, np.inf).run(trace, np.zeros(2 * BURST))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--runs", type=int, default=24, help="of a turn")
    parser.add_argument("--tokens", type=float, default=1.0, help="lengths over the usual ones")
    parser.add_argument("--load", type=float, default=LOAD)
    parser.add_argument("--only", default="", help="only these policies, with ; between")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lock", type=Path, help="a file to hold while measuring")
    parser.add_argument("--json", type=Path, default=Path("results/text_to_sql_live.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
