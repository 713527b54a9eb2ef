"""Forced preemptions: is every greedy answer what it would have been without them?

    python bench/preemption.py [--preemptions 200]

One slot: long batch requests run one by one, first undisturbed, then on a fresh engine with
interactive requests that take the slot away at random moments, until the preemptions are enough.
Every answer must be identical to its undisturbed one, token for token.

Several slots: the same with all of them at once. There the make-up of the batch alone changes the
last bits of the logits now and then, so the answers that differ are compared with those that
differ between undisturbed runs in other orders.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from claims import Claim, publish
from headway.loadtest.client import LoadClient, Outcome
from headway.loadtest.prompts import load_prompts
from headway.loadtest.server import HeadwayServer
from headway.loadtest.workload import LoadRequest, Workload

EAGER = {"enabled": True, "min_run_s": 0.0, "gain_factor": 1.0, "max_preemptions": 1_000_000}
"""Preemption as often as somebody of a higher tier comes."""

Answers = dict[int, tuple[str, int]]
"""Text and output tokens of each request's answer, by the request's number."""


class Failed(Exception):
    """A request was not answered: nothing can be compared."""


def long_requests(count: int, tokens: int, seed: int) -> list[LoadRequest]:
    """Batch requests of exactly `tokens` output tokens each."""
    prompts = random.Random(seed).sample(load_prompts(), count)
    return [
        LoadRequest(0.0, prompt.messages, tokens, tier="batch", ignore_eos=True)
        for prompt in prompts
    ]


def intruder(rng: random.Random) -> LoadRequest:
    """A short request of the highest tier."""
    prompt = rng.choice(load_prompts())
    return LoadRequest(0.0, prompt.messages, 3, tier="interactive", ignore_eos=True)


def answer_of(outcome: Outcome) -> tuple[str, int]:
    if not outcome.ok:
        raise Failed(outcome.error)
    return outcome.text, outcome.output_tokens


async def intrude(client: LoadClient, mean_gap_s: float, rng: random.Random) -> None:
    """Send short interactive requests for ever, one after another, with random gaps."""
    while True:
        await asyncio.sleep(rng.expovariate(1.0 / mean_gap_s))
        answer_of(await client.send(intruder(rng)))


async def run(
    slots: int,
    requests: list[LoadRequest],
    order: list[int],
    *,
    gap_s: float | None = None,
    enough: int = 0,
    seed: int = 0,
) -> tuple[Answers, int]:
    """Answers of `requests`, sent in `order` to a fresh engine, and how often they were preempted.

    One slot serves them one by one; several serve all at once. With `gap_s`, intruders come.
    """
    settings = {"slots": slots, "policy": "fcfs", "preemption": EAGER}
    async with (
        HeadwayServer(settings) as server,
        LoadClient(server.url, "default") as client,
    ):
        intruders = []
        if gap_s is not None:
            rng = random.Random(seed)
            intruders = [
                asyncio.create_task(intrude(client, gap_s, random.Random(rng.random())))
                for _ in range(slots)
            ]
        answers: Answers = {}
        preemptions = 0
        if slots == 1:
            for number in order:
                outcome = await client.send(requests[number])
                answers[number] = answer_of(outcome)
                preemptions += outcome.preemptions
                if enough and preemptions >= enough:
                    break
        else:
            load = Workload(tuple(replace(requests[number], at_s=0.0) for number in order))
            for number, outcome in zip(order, await client.run(load), strict=True):
                answers[number] = answer_of(outcome)
                preemptions += outcome.preemptions
        for task in intruders:
            if task.done():
                task.result()  # raises what ended it early
            task.cancel()
        await asyncio.gather(*intruders, return_exceptions=True)
        return answers, preemptions


def differences(one: Answers, other: Answers) -> list[int]:
    """Numbers of the requests, answered in both, whose answers differ."""
    return [number for number in one if number in other and one[number] != other[number]]


async def one_slot(options: argparse.Namespace) -> tuple[int, int, int]:
    """Answers compared, those that differ, and preemptions."""
    requests = long_requests(options.answers, options.tokens, options.seed)
    order = list(range(len(requests)))
    disturbed, preemptions = await run(
        1, requests, order, gap_s=options.gap, enough=options.preemptions, seed=options.seed
    )
    print(f"one slot, disturbed: {len(disturbed)} answers, {preemptions} preemptions", flush=True)
    undisturbed, none = await run(1, requests, sorted(disturbed))
    assert none == 0, "somebody preempted the undisturbed run"
    wrong = differences(disturbed, undisturbed)
    print(f"one slot: {len(wrong)} of {len(disturbed)} differ")
    return len(disturbed), len(wrong), preemptions


async def several_slots(options: argparse.Namespace) -> tuple[int, int, int]:
    """Most differences between two undisturbed runs, those of the disturbed one, preemptions."""
    requests = long_requests(options.answers, options.tokens, options.seed + 1)
    rng = random.Random(options.seed)
    runs = []
    for number in range(3):
        order = rng.sample(range(len(requests)), len(requests))
        runs.append((await run(options.slots, requests, order))[0])
        print(f"{options.slots} slots, undisturbed: run {number + 1} of 3", flush=True)
    order = rng.sample(range(len(requests)), len(requests))
    disturbed, preemptions = await run(
        options.slots, requests, order, gap_s=options.gap, seed=options.seed
    )
    baseline = max(len(differences(one, other)) for one, other in combinations(runs, 2))
    wrong = sorted(len(differences(disturbed, undisturbed)) for undisturbed in runs)[1]
    print(
        f"{options.slots} slots: {wrong} of {len(disturbed)} differ after {preemptions} "
        f"preemptions, up to {baseline} between undisturbed runs"
    )
    return baseline, wrong, preemptions


async def measure(options: argparse.Namespace) -> int:
    answers, wrong, preemptions = await one_slot(options)
    baseline, wrong_of_several, preemptions_of_several = await several_slots(options)
    claims = [
        Claim("preemptions on one slot", preemptions, options.preemptions, at_most=False),
        Claim("answers that differ on one slot", wrong, 0),
        Claim(f"answers that differ on {options.slots} slots", wrong_of_several, baseline),
    ]
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "one_slot": {"answers": answers, "differ": wrong, "preemptions": preemptions},
        "several_slots": {
            "answers": options.answers,
            "differ_undisturbed_worst_pair": baseline,
            "differ_disturbed_median": wrong_of_several,
            "preemptions": preemptions_of_several,
        },
    }
    return publish(claims, details, options.json)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preemptions", type=int, default=200, help="on one slot, at least")
    parser.add_argument("--answers", type=int, default=70, help="long requests to compare")
    parser.add_argument("--tokens", type=int, default=160, help="of each of them")
    parser.add_argument("--gap", type=float, default=0.3, help="mean seconds between intruders")
    parser.add_argument("--slots", type=int, default=4, help="of the second part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/preemption.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
