"""A request log of a million requests, for measurements: made once, copied for each."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from headway.store import cost_days
from headway.store.history import rollups
from headway.store.history.upkeep import INDEXES
from headway.store.request_log import INSERT, ROW, RequestLog
from headway.store.request_record import FIELDS

DAY_S = 86400.0
TENANTS = [f"team-{number:02d}" for number in range(40)]
MODELS = ["llama-3.1-8b-instruct", "qwen3-32b", "smollm2-135m-instruct"]
TIERS = ["interactive", "standard", "batch"]
OUTCOMES = ["finished", "cancelled", "failed", "rejected"]
LIFE = '["chat/completions",true,"prompt",40,700,[],null,null,null,"","OpenAI/Python 2.9.0"]'
FEATURES = "[" + ",".join(str(100 + place) for place in range(48)) + "]"


def rows(count: int, days: float, until_s: float, seed: int = 1) -> Iterator[tuple[object, ...]]:
    """Requests of so many days, in the order in which they came."""
    draw = random.Random(seed)
    shares = [1 / (place + 1) for place in range(len(TENANTS))]
    choose = list(
        zip(
            *[
                draw.choices(TENANTS, shares, k=count),
                draw.choices(MODELS, (6, 3, 1), k=count),
                draw.choices(TIERS, (5, 3, 2), k=count),
                draw.choices(OUTCOMES, (940, 30, 20, 10), k=count),
            ],
            strict=True,
        )
    )
    for number, (tenant, model, tier, outcome) in enumerate(choose):
        run = number // 20
        if number % 5 == 0:
            tenant = TENANTS[run % len(TENANTS)]
        ran = outcome != "rejected"
        wait_ms = draw.expovariate(1 / 400.0) if ran else None
        ttft_ms = (wait_ms or 0.0) + draw.lognormvariate(4.5, 0.5) if ran else None
        total_ms = (ttft_ms or 0.0) + draw.lognormvariate(7.5, 1.0)
        tokens = int(draw.lognormvariate(5.0, 1.0)) if ran else None
        values = {
            "id": f"req-bench-{number}",
            "arrival_unix_s": until_s - days * DAY_S * (1 - number / count),
            "tier": tier,
            "tenant": tenant,
            "program": f"run-{run}" if number % 5 == 0 else "",
            "model": model,
            "backend": "gpu-1" if ran else "",
            "policy": "srpt",
            "prompt_tokens": draw.randrange(20, 4000),
            "max_tokens": 1024,
            "predicted_tokens": 200.0,
            "output_tokens": tokens,
            "queue_ms": wait_ms,
            "ttft_ms": ttft_ms,
            "total_ms": total_ms,
            "preemptions": 1 if number % 50 == 0 else 0,
            "outcome": outcome,
            "status": 200 if ran else 429,
            "reason": "" if ran else "queue_full",
            "template": f"{draw.getrandbits(60):x}",
            "features": FEATURES,
            "prompt_name": "",
            "step": "",
            "parents": "",
            "key": f"key-{tenant}",
            "batch": "",
            "cost": (tokens or 0) * 1e-6,
        }
        yield (*(values.get(name) for name in FIELDS), LIFE)


def make(path: Path, count: int, days: float) -> dict[str, float]:
    """Write a log; returns what it took and how large it is."""
    RequestLog(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    began_s = time.perf_counter()
    with database:
        database.executemany(INSERT + ROW, rows(count, days, time.time()))
    wrote_s = time.perf_counter()
    for index in INDEXES:
        database.execute(index)
    indexed_s = time.perf_counter()
    rows_mb = size_mb(database)
    began_cpu_s = time.process_time()
    while rollups.advance(database, time.time()) | cost_days.advance(database):
        pass
    folded_cpu_s = time.process_time() - began_cpu_s
    folded_s = time.perf_counter()
    whole_mb = size_mb(database)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return {
        "write_s": wrote_s - began_s,
        "indexes_s": indexed_s - wrote_s,
        "fold_s": folded_s - indexed_s,
        "fold_cpu_us_per_row": folded_cpu_s / count * 1e6,
        "rows_mb": rows_mb,
        "rollups_mb": whole_mb - rows_mb,
    }


def size_mb(database: sqlite3.Connection) -> float:
    """Size of the file, as SQLite counts its pages."""
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    return float(pages * page_bytes / 1e6)
