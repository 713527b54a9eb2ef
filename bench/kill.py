"""The embedded engine is killed with SIGKILL again and again under load.

    python bench/kill.py [--kills 10]

Streams are kept under way all the time, more than there are slots. No request may be lost or hang:
each is answered in full, or fails with an error that says why. Recovery is the time from the kill
to the first token made after it (IN_FLIGHT_S separates tokens that were already on their way).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from claims import Claim, publish
from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import LoadRequest
from timeline import Timeline

IN_FLIGHT_S = 0.3
"""A token that comes so soon after a kill was made before it."""
TIMEOUT_S = 120.0
"""A request that takes longer hangs."""


def engine_pid(gateway_pid: int) -> int:
    """The gateway's child that holds the model: the largest of them."""
    children = Path(f"/proc/{gateway_pid}/task/{gateway_pid}/children").read_text().split()
    sizes = {int(pid): resident_pages(int(pid)) for pid in children}
    if not sizes:
        raise SystemExit("the gateway has no child process: is its engine embedded?")
    return max(sizes, key=lambda pid: sizes[pid])


def resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0  # it ended just now


async def kill_under_load(options: argparse.Namespace) -> tuple[Timeline, list[float]]:
    """What became of the streams, and when the engine was killed."""
    prompts = cycle(load_prompts())
    async with (
        HeadwayServer({"slots": options.slots}) as server,
        LoadClient(server.url, "default", timeout_s=TIMEOUT_S) as client,
    ):
        timeline = Timeline(client)
        kills_s: list[float] = []
        going = True

        async def one_after_another() -> None:
            while going:
                request = LoadRequest(0.0, next(prompts).messages, options.tokens, ignore_eos=True)
                outcome = await timeline.send(replace(request, tier="standard"))
                if not outcome.ok:
                    await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as group:
            for _ in range(options.streams):
                group.create_task(one_after_another())
            for number in range(options.kills):
                await asyncio.sleep(options.every)
                os.kill(engine_pid(server.pid), signal.SIGKILL)
                kills_s.append(timeline.now_s)
                print(f"kill {number + 1} of {options.kills}", flush=True)
            await asyncio.sleep(options.every)
            going = False
    return timeline, kills_s


def recoveries_s(timeline: Timeline, kills_s: list[float]) -> list[float]:
    """Seconds from each kill to the next token; infinite where none came any more."""
    times_s = timeline.token_times_s()
    return [
        next((at_s for at_s in times_s if at_s > kill_s + IN_FLIGHT_S), float("inf")) - kill_s
        for kill_s in kills_s
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--every", type=float, default=8.0, help="seconds between kills")
    parser.add_argument("--streams", type=int, default=6, help="requests under way")
    parser.add_argument("--tokens", type=int, default=150, help="of each answer")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("results/kill.json"))
    options = parser.parse_args()
    timeline, kills_s = asyncio.run(kill_under_load(options))
    outcomes = timeline.outcomes
    recovered_s = recoveries_s(timeline, kills_s)
    failed = [outcome.error for outcome in outcomes if not outcome.ok]
    hung = [error for error in failed if error.startswith("no complete answer")]
    unclear = [error for error in failed if error.startswith(("connection", "the stream ended"))]
    short = [o for o in outcomes if o.ok and o.output_tokens != options.tokens]
    through = [
        outcome
        for outcome in outcomes
        if outcome.ok
        and any(
            outcome.request.at_s + (outcome.ttft_s or 0.0)
            < kill_s
            < outcome.request.at_s + outcome.latency_s
            for kill_s in kills_s
        )
    ]
    print(
        f"{len(outcomes)} requests: {len(outcomes) - len(failed)} answered in full, of which "
        f"{len(through)} went on through a kill; {len(failed)} failed with an error"
    )
    for error in sorted(set(failed)):
        print(f"  {failed.count(error)} x {error}")
    claims = [
        Claim("kills", len(kills_s), options.kills, at_most=False),
        Claim("requests that hang", len(hung), 0),
        Claim("requests that end without an answer or a clear error", len(unclear), 0),
        Claim("answers of another length than asked for", len(short), 0),
        Claim("worst recovery, seconds", max(recovered_s), 5.0),
    ]
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "requests": len(outcomes),
        "continued_through_a_kill": len(through),
        "errors": failed,
        "recovery_s": recovered_s,
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
