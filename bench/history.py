"""A request log with a million requests: what a page and a chart take, and what serving notices.

    python bench/history.py [--requests 1000000] [--days 30] [--log PATH] [--seconds 6]

Makes such a log (or takes the one at PATH, which is made if it is not there), and serves it with
`headway serve` in front of a fake backend. Pages with any filter, from the newest on and from the
middle, charts of an hour to a month by any dimension, and single requests are asked for one after
another; then the same while chat requests come at a steady rate, in turn with phases in which
nobody asks. At last a day of it is deleted.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
import urllib.parse
from collections import defaultdict
from pathlib import Path

import numpy as np

from claims import Claim, publish
from headway.store.history.retention import Retention
from history_log import DAY_S, MODELS, TENANTS, TIERS, make, size_mb
from http_load import Measured, open_loop
from processes import Server, fake_backend, gateway

HISTORY = "/v1/headway/history"
DRAWS = 25
"""Of each kind of question."""
PER_S = 60.0
"""Chat requests a second."""
PAUSE_S = 0.2
"""Between two questions while requests are served."""
ROUNDS = 3


def questions(options: argparse.Namespace, seed: int) -> list[tuple[str, str]]:
    """Kinds of questions and their paths, in random order."""
    draw = random.Random(seed)
    now_s = time.time()
    found: list[tuple[str, str]] = []

    def ask(kind: str, path: str = "", **query: object) -> None:
        found.append((kind, f"{HISTORY}{path}?{urllib.parse.urlencode(query)}"))

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


def served(server: Server, seconds: float, seed: int) -> Measured:
    """Chat requests at a steady rate."""
    body = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "Hello!"}]})
    port = urllib.parse.urlsplit(server.url).port
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    rng = np.random.default_rng(seed)
    assert port is not None
    return asyncio.run(open_loop(port, [request], PER_S, 1.0, seconds, rng))


def while_asked(
    server: Server, paths: list[tuple[str, str]], seconds: float, seed: int
) -> Measured:
    """The same, while people look: at most five questions a second."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            for one in paths:
                if stop.is_set():
                    return
                asked(server, [one])
                stop.wait(PAUSE_S)

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        return served(server, seconds, seed)
    finally:
        stop.set()
        asking.join()


def trimmed(path: Path, days: float) -> dict[str, float]:
    """Delete the oldest day of the log; how long each piece takes."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = NORMAL")
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
        time.sleep(0.003 * pieces_ms[-1])  # as the log's thread does
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--log", type=Path, help="made if it is not there")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each phase")
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
        with fake_backend() as backend, gateway(backend, folder, 64) as server:
            asked(server, questions(options, 1)[:20])  # warm up
            several = questions(options, 2)
            cpu_s = server.cpu_s
            took = asked(server, several)
            cpu_ms = 1000.0 * (server.cpu_s - cpu_s) / len(several)
            phases: dict[str, list[Measured]] = {"quiet": [], "asked": []}
            paths = questions(options, 3)
            for seed in range(ROUNDS):
                phases["quiet"].append(served(server, options.seconds, seed))
                phases["asked"].append(while_asked(server, paths, options.seconds, seed))
        trim = trimmed(folder / "requests.db", options.days)
    print(f"{'':28}{'p50 ms':>9}{'p95 ms':>9}{'worst ms':>9}")
    for kind in sorted(took):
        p50, p95 = np.percentile(took[kind], (50, 95))
        print(f"{kind:28}{p50:9.1f}{p95:9.1f}{max(took[kind]):9.1f}")
    all_ms = {
        what: [ms for kind, each in took.items() if kind.startswith(what) for ms in each]
        for what in ("page", "chart", "one")
    }
    worst_kind = {
        what: max(
            float(np.percentile(each, 95)) for kind, each in took.items() if kind.startswith(what)
        )
        for what in all_ms
    }
    p99_ms = {label: [one.percentile_ms(99) for one in each] for label, each in phases.items()}
    p50_ms = {label: [one.percentile_ms(50) for one in each] for label, each in phases.items()}
    print(f"CPU of a question: {cpu_ms:.1f} ms on average")
    print(f"serving, p50 and p99 in ms: {p50_ms}, {p99_ms}")
    print(f"a day deleted: {trim}; cores: {os.cpu_count()}")
    ratios = [a / q for a, q in zip(p99_ms["asked"], p99_ms["quiet"], strict=True)]
    claims = [
        Claim("p95 of pages, the slowest kind, ms", worst_kind["page"], 300),
        Claim("p95 of charts, the slowest kind, ms", worst_kind["chart"], 300),
        Claim("p95 of single requests, ms", worst_kind["one"], 300),
        Claim("p99 of serving while asked, of the quiet one", float(np.median(ratios)), 1.1),
        Claim("longest pause of a day's deletion, ms", trim["worst_ms"], 20),
    ]
    details = {
        "made": made,
        "live": live,
        "trim": trim,
        "cpu_ms": cpu_ms,
        "took_ms": took,
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "p95_ms": {what: float(np.percentile(each, 95)) for what, each in all_ms.items()},
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
