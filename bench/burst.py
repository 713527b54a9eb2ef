"""A burst of varied requests: srpt that knows the lengths against fcfs.

    python bench/burst.py [--requests 120] [--repeats 3]

One greedy pass finds the length of every answer; then both policies serve the same burst in turn,
each on a fresh engine, in random order. Medians over the repeats are compared.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from claims import Claim, publish
from headway.lab.loadtest.compare import Contender, compare
from headway.lab.loadtest.metrics import variation
from headway.lab.loadtest.progress import ProgressBar
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.remarks import remarks
from headway.lab.loadtest.report import report_html
from headway.lab.loadtest.result import BenchResult
from headway.lab.loadtest.table import table_of
from headway.lab.loadtest.workload import Workload
from headway.lab.report.terminal import show, table_console


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=400)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("results/burst.json"))
    options = parser.parse_args()
    load = Workload.build(load_prompts(), count=options.requests, max_tokens=options.max_tokens)
    console = table_console()
    with ProgressBar(console) as bar:
        rows = asyncio.run(
            compare(
                [Contender("fcfs"), Contender("srpt", oracle=True)],
                load,
                bar,
                settings={"slots": options.slots},
                repeats=options.repeats,
            )
        )
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    result = BenchResult(tuple(rows), settings)
    show(console, table_of(result))
    fcfs, srpt = (row.summary for row in rows)
    lengths = [float(outcome.output_tokens) for outcome in rows[0].runs[0]]
    claims = [
        Claim("coefficient of variation of lengths", variation(lengths), 0.8, at_most=False),
        Claim("mean latency, srpt / fcfs", srpt.latency_mean_s / fcfs.latency_mean_s, 0.65),
        Claim(
            "throughput, srpt / fcfs",
            srpt.throughput_tokens_per_s / fcfs.throughput_tokens_per_s,
            0.97,
            at_most=False,
        ),
        Claim("failed requests", fcfs.errors + srpt.errors, 0),
    ]
    status = publish(claims, result.to_json(), options.json)
    options.json.with_suffix(".html").write_text(
        report_html(result, remarks(result)), encoding="utf-8"
    )
    return status


if __name__ == "__main__":
    raise SystemExit(main())
