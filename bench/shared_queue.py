"""What it costs that several gateways share one order through Redis, and what faults do to it.

    python bench/shared_queue.py grants     3 processes, 64 slots, requests that end at once
    python bench/shared_queue.py faults     3 gateways: SIGKILL, Redis restarted, Redis gone
    python bench/shared_queue.py order      3 schedulers in one process, against one that sees all

`grants` drives the scheduler without HTTP: a request is added, starts once its slot is granted, and
ends in the same turn of the event loop. At a light load that is what a grant adds to a request;
with many requests at once it is how many grants there are in a second. The same without Redis is
beside it. Nothing else should run: Redis and three processes take more than two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import uvloop

from shared_queue_faults import faults
from shared_queue_grants import drive, grants
from shared_queue_order import order


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(required=True)
    kind = kinds.add_parser("grants")
    kind.add_argument("--seconds", type=float, default=8.0)
    kind.add_argument("--policy", default="srpt")
    kind.add_argument("--rate", type=float, default=50.0, help="requests a second of a gateway")
    kind.add_argument("--at-once", type=int, default=64, help="requests of a gateway at a time")
    kind.add_argument("--json", type=Path, default=Path("results/shared_queue_grants.json"))
    kind.set_defaults(run=grants)
    kind = kinds.add_parser("faults")
    kind.add_argument("--slots", type=int, default=8)
    kind.add_argument("--takes", type=float, default=0.2, help="seconds of a request")
    kind.add_argument("--gone", type=float, default=30.0, help="seconds without Redis")
    kind.add_argument("--logs", action="store_true", help="print what the gateways said")
    kind.add_argument("--json", type=Path, default=Path("results/shared_queue_faults.json"))
    kind.set_defaults(run=faults)
    kind = kinds.add_parser("order")
    kind.add_argument("--seconds", type=float, default=10.0, help="of each round")
    kind.add_argument("--rounds", type=int, default=4)
    kind.add_argument("--load", type=float, default=0.95)
    kind.add_argument("--json", type=Path, default=Path("results/shared_queue_order.json"))
    kind.set_defaults(run=order)
    kind = kinds.add_parser("drive")
    kind.add_argument("--url")
    kind.add_argument("--policy")
    kind.add_argument("--seconds", type=float)
    kind.add_argument("--rate", type=float)
    kind.add_argument("--at-once", type=int)
    kind.set_defaults(run=lambda options: uvloop.run(drive(options)) or 0)
    options = parser.parse_args()
    done: int = options.run(options)
    return done


if __name__ == "__main__":
    raise SystemExit(main())
