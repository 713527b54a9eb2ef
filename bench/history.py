"""A request log with a million requests: what a page and a chart take, and what serving notices.

    python bench/history.py [--requests 1000000] [--days 30] [--log PATH] [--pairs 12] [--seconds 3]

Makes such a log (or takes the one at PATH, which is made if it is not there), and serves it with
`headway serve` in front of a fake backend. Pages with any filter, from the newest on and from the
middle, charts of an hour to a month by any dimension, costs and single requests are asked for one
after another; then the same while chat requests come at a steady rate, by turns with windows in
which nobody asks. At last a day of it is deleted: piece by piece as the log's thread does it, and
by gateways that serve meanwhile, by turns with gateways that delete nothing. The gateway and its
reader have one core, the client and the backend the other.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import random
import shutil
import tempfile
import threading
import time
import urllib.parse
from collections import defaultdict
from pathlib import Path

import numpy as np

from by_turns import CORES, pairs, pin, pooled_ratio
from claims import Claim, publish
from headway.store.history.retention import Retention
from headway.store.history.upkeep import REST
from headway.store.request_log import open_log
from history_log import DAY_S, MODELS, TENANTS, TIERS, make, size_mb
from http_load import open_loop
from processes import Server, fake_backend, gateway

HISTORY = "/v1/headway/history"
COSTS = "/v1/headway/costs"
DRAWS = 25
"""Of each kind of question."""
PER_S = 200.0
"""Chat requests a second."""
BODY = b'{"model": "fake", "messages": [{"role": "user", "content": "Hello!"}]}'
CHAT = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
QUIET = ("--set", "prediction.learn=false")
"""No predictor is trained from the log meanwhile."""
PAUSE_S = 0.2
"""Between two questions while requests are served."""


def questions(options: argparse.Namespace, seed: int) -> list[tuple[str, str]]:
    """Kinds of questions and their paths, in random order."""
    draw = random.Random(seed)
    now_s = time.time()
    found: list[tuple[str, str]] = []

    def ask(kind: str, path: str = "", **query: object) -> None:
        found.append((kind, f"{HISTORY}{path}?{urllib.parse.urlencode(query)}"))

    def spend(kind: str, **query: object) -> None:
        found.append((kind, f"{COSTS}?{urllib.parse.urlencode(query)}"))

    for _ in range(DRAWS):
        tenant, model, tier = draw.choice(TENANTS), draw.choice(MODELS), draw.choice(TIERS)
        at_s = now_s - draw.random() * options.days * DAY_S
        ask("page: newest")
        ask("page: from anywhere", after=f"{at_s}_0")
        ask("page: tenant", tenant=tenant, until=at_s)
        ask("page: rejected, one tenant", tenant=tenant, outcome="rejected")
        ask("page: all four", tenant=TENANTS[-1], model=model, tier=tier, outcome="failed")
        ask("page: slow", min_latency_ms=draw.choice((20_000, 60_000, 100_000)))
        ask("page: slow, one tenant", min_latency_ms=30_000, tenant=tenant, until=at_s)
        ask("page: waited", min_wait_ms=draw.choice((3_000, 5_000)), model=model)
        ask("page: key, failed", key=f"key-{tenant}", outcome="failed", until=at_s)
        ask("page: program", program=f"run-{draw.randrange(options.requests // 20)}")
        ask("page: nothing", tenant="nobody")
        ask("one", f"/req-bench-{draw.randrange(options.requests)}")
        for days in (1 / 24, 1 / 4, 1, 7, 15, options.days):
            by = draw.choice(("tenant", "model", "tier", "outcome", None))
            narrow = draw.choice(({}, {"tenant": tenant}, {"model": model, "tier": tier}))
            lines = {} if by is None else {"by": by}
            ask(f"chart: {days:.2g} days", "/series", since=now_s - days * DAY_S, **narrow, **lines)
        for days in (1, 7, options.days):
            by = draw.choice(("tenant", "key", "model", "backend", "tier", "batch", "day"))
            spend(f"costs: {days:.2g} days", by=by, since=now_s - days * DAY_S, limit=50)
        spend("costs by run", by="run", since=now_s - options.days * DAY_S, limit=50)
    draw.shuffle(found)
    return found


def asked(server: Server, questions: list[tuple[str, str]]) -> dict[str, list[float]]:
    """Ask one after another; ms by kind."""
    address = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(address.netloc)
    took: dict[str, list[float]] = defaultdict(list)
    for kind, path in questions:
        began_s = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        took[kind].append(1000.0 * (time.perf_counter() - began_s))
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
    connection.close()
    return took


async def served(server: Server, seconds: float) -> list[float]:
    """Latencies in ms of chat requests at a steady rate."""
    rng = np.random.default_rng()
    return (await open_loop(server.port, [CHAT], PER_S, 1.0, seconds, rng)).latencies_ms


async def while_asked(server: Server, paths: list[tuple[str, str]], seconds: float) -> list[float]:
    """The same, while people look: at most five questions a second."""
    stop = threading.Event()

    def go_on() -> None:
        for one in paths:
            asked(server, [one])
            if stop.wait(PAUSE_S):
                return

    asking = asyncio.create_task(asyncio.to_thread(go_on))
    latencies_ms = await served(server, seconds)
    stop.set()
    await asking
    return latencies_ms


def trimmed(path: Path, days: float) -> dict[str, float]:
    """Delete the oldest day of the log as its own thread does; how long each piece takes."""
    database = open_log(path)
    before_mb = size_mb(database)
    (rows,) = database.execute("SELECT count(*) FROM requests").fetchone()
    (newest_s,) = database.execute("SELECT max(arrival_unix_s) FROM requests").fetchone()
    retention = Retention(keep_s=(days - 1.0) * DAY_S)
    pieces_ms: list[float] = []
    cpu_ms: list[float] = []
    more = True
    while more:
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        more = retention.trim(database, newest_s)
        pieces_ms.append(1000.0 * (time.perf_counter() - began_s))
        cpu_ms.append(1000.0 * (time.thread_time() - began_cpu_s))
        time.sleep(0.001 * REST * pieces_ms[-1])
    (left,) = database.execute("SELECT count(*) FROM requests").fetchone()
    result = {
        "deleted": rows - left,
        "pieces": len(pieces_ms),
        "worst_ms": max(pieces_ms),
        "p99_ms": float(np.percentile(pieces_ms, 99)),
        "worst_cpu_ms": max(cpu_ms),
        "size_mb": before_mb,
        "size_after_mb": size_mb(database),
    }
    database.close()
    return result


def beside_trimming(
    backend: Server, folder: Path, days: float, count: int, seconds: float
) -> list[tuple[list[float], list[float]]]:
    """Pairs of gateways just started, which delete nothing, and a day each."""
    kept_days = days - 1.0  # one day less is left

    async def fresh(*options: str) -> list[float]:
        pin(1)
        with gateway(backend, folder, 64, *QUIET, *options) as server:
            pin(0)
            return await served(server, seconds)

    async def deleting() -> list[float]:
        nonlocal kept_days
        kept_days -= 1.0
        return await fresh("--set", f"log.keep_days={kept_days}")

    return asyncio.run(pairs(fresh, deleting, count))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--log", type=Path, help="made if it is not there")
    parser.add_argument(
        "--pairs", type=int, default=12, help="of windows without and with questions"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each window")
    parser.add_argument("--json", type=Path, default=Path("results/history.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, made = options.log or folder / "made.db", {}
        if not log.exists():
            made = make(log, options.requests, options.days)
            print(made)
        live = make(folder / "minute.db", 20_000, 1 / 1440)
        print(f"rollups, CPU a row: {live['fold_cpu_us_per_row']:.1f} us of a busy minute")
        shutil.copy(log, folder / "requests.db")
        pin(0)
        with fake_backend() as backend:
            pin(1)
            with gateway(backend, folder, 64, *QUIET) as server:
                pin(0)
                first_ms = asked(server, questions(options, 1)[:1])  # starts the reader
                asked(server, questions(options, 1)[:20])  # warm up
                took = asked(server, questions(options, 2))
                paths = questions(options, 3)
                beside = asyncio.run(
                    pairs(
                        lambda: served(server, options.seconds),
                        lambda: while_asked(server, paths, options.seconds),
                        options.pairs,
                    )
                )
            trim = trimmed(folder / "requests.db", options.days)
            trimming = beside_trimming(
                backend, folder, options.days, options.pairs // 2, options.seconds
            )
    print(f"{'':28}{'p50 ms':>9}{'p95 ms':>9}{'worst ms':>9}")
    for kind in sorted(took):
        p50, p95 = np.percentile(took[kind], (50, 95))
        print(f"{kind:28}{p50:9.1f}{p95:9.1f}{max(took[kind]):9.1f}")
    all_ms = {
        what: [ms for kind, each in took.items() if kind.startswith(what) for ms in each]
        for what in ("page", "chart", "one", "costs")
    }
    worst_kind = {
        what: max(
            float(np.percentile(each, 95)) for kind, each in took.items() if kind.startswith(what)
        )
        for what in all_ms
    }
    p99, p99_trimming = pooled_ratio(beside, 99), pooled_ratio(trimming, 99)
    quiet_p99_ms = float(np.percentile(np.concatenate([quiet for quiet, _ in beside]), 99))
    print(f"the first question, which starts the reader: {first_ms}")
    print(f"serving, p99 {quiet_p99_ms:.1f} ms; while asked, over that: {p99}")
    print(f"while a day is deleted, over a fresh gateway's: {p99_trimming}")
    print(f"a day deleted: {trim}; cores: {os.cpu_count()}")
    claims = [
        Claim("p95 of pages, the slowest kind, ms", worst_kind["page"], 300),
        Claim("p95 of charts, the slowest kind, ms", worst_kind["chart"], 300),
        Claim("p95 of single requests, ms", worst_kind["one"], 300),
        Claim("p95 of costs, the slowest kind, ms", worst_kind["costs"], 300),
        Claim("p99 of serving while asked, of the quiet one", p99.median, 1.1),
        Claim("p99 of serving while a day is deleted, of the other", p99_trimming.median, 1.1),
        Claim("longest pause of a day's deletion, ms", trim["worst_ms"], 20),
    ]
    details = {
        "made": made,
        "live": live,
        "trim": trim,
        "took_ms": took,
        "first_ms": first_ms,
        "quiet_p99_ms": quiet_p99_ms,
        "p99_ratio": p99,
        "p99_ratio_trimming": p99_trimming,
        "cores": len(CORES),
        "load": os.getloadavg(),
        "p95_ms": {what: float(np.percentile(each, 95)) for what, each in all_ms.items()},
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
