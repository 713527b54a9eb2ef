"""Published figures of schedulers, simulated: theirs beside ours.

    HEADWAY_DATA=../shared/data python bench/papers.py [--seeds 5]

  burst     2,000 requests at once under the schedulers of vllm-ltr: seconds per token over FCFS's
  trail     TRAIL's gain over FCFS on Alpaca, by load
  online    vllm-ltr and SJF on requests that come one after the other, their gain by load
  dispatch  HexGen-Text2SQL's dispatch to unlike engines, its gain over round robin, by load
bench/papers.md says what differs, and why.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import papers_burst
import papers_dispatch
import papers_online
import papers_trail
from claims import Claim, publish
from headway.machine import usable_cores
from published import show_figures

PAPERS: dict[str, Any] = {
    "burst": papers_burst,
    "trail": papers_trail,
    "online": papers_online,
    "dispatch": papers_dispatch,
}
ALLOWED = 0.25
"""Of a ratio in the burst's table."""

Task = TypeVar("Task")
Found = TypeVar("Found")


def done(run: Callable[[Task], Found], tasks: Sequence[Task]) -> dict[Task, Found]:
    """What `run` found for each of `tasks`, on all cores."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(usable_cores(), mp_context=fork) as pool:
        return dict(zip(tasks, pool.map(run, tasks), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=tuple(PAPERS))
    parser.add_argument("--json", type=Path, default=Path("results/papers.json"))
    options = parser.parse_args()
    claims: list[Claim] = []
    details: dict[str, object] = {}
    for name, paper in PAPERS.items():
        if options.only not in (None, name):
            continue
        runs = done(paper.run, paper.tasks(options.seeds))
        found = paper.figures_of(runs, options.seeds)
        show_figures(paper.TITLE, found)
        if name == "burst":
            claims += [
                Claim(f"{figure.setting}: {figure.name}, off by", figure.off, ALLOWED)
                for figure in found
                if figure.theirs
            ]
        details[name] = {
            "figures": [figure.to_json() for figure in found],
            "runs": [{"task": task, "found": value} for task, value in runs.items()],
        }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
