"""Published figures of schedulers, simulated: theirs beside ours.

    HEADWAY_DATA=../shared/data python bench/papers.py [--seeds 5]

  burst  2,000 requests at once under the schedulers of vllm-ltr: seconds per token over FCFS's
  trail  TRAIL's gain over FCFS on Alpaca, by load
docs/papers.md says what differs, and why.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import papers_burst
import papers_trail
from claims import Claim, publish
from published import show_figures

ALLOWED = 0.25
"""Of a ratio in the burst's table."""

Task = TypeVar("Task")
Found = TypeVar("Found")


def done(run: Callable[[Task], Found], tasks: Sequence[Task]) -> dict[Task, Found]:
    """What `run` found for each of `tasks`, on all cores."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=fork) as pool:
        return dict(zip(tasks, pool.map(run, tasks), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("burst", "trail"))
    parser.add_argument("--json", type=Path, default=Path("results/papers.json"))
    options = parser.parse_args()
    claims, details = [], {}
    if options.only in (None, "burst"):
        in_burst = done(papers_burst.run, papers_burst.tasks(options.seeds))
        found = papers_burst.figures_of(in_burst, options.seeds)
        show_figures("vllm-ltr, s/token", found)
        claims += [
            Claim(f"{figure.setting}: {figure.name}, off by", figure.off, ALLOWED)
            for figure in found
            if figure.theirs
        ]
        details["burst"] = [figure.to_json() for figure in found]
        details["burst_s_per_token"] = [[*task, value] for task, value in in_burst.items()]
    if options.only in (None, "trail"):
        of_trail = done(papers_trail.run, papers_trail.tasks(options.seeds))
        found = papers_trail.figures_of(of_trail, options.seeds)
        show_figures("TRAIL, FCFS over it", found)
        details["trail"] = [figure.to_json() for figure in found]
        details["trail_latency_ttft_s"] = [[*task, *value] for task, value in of_trail.items()]
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
