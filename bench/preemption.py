"""Forced preemptions: is every greedy answer what it would have been without them?

    python bench/preemption.py [--preemptions 200]

One slot: long batch requests run one by one while interactive requests take the slot away at
random moments, until the preemptions are enough; then once more on a fresh engine, uninterrupted.
Every answer must be identical to its uninterrupted one: the text and the number of tokens.

Several slots: all long requests at once. There the make-up of the batch alone changes the last
bits of the logits now and then, so the answers that differ are compared with those that differ
between two uninterrupted runs: preemption off, and slots of their own for the same interactive
requests, so that they come and go in the batch as before but stop nobody. The answers are of
unlike lengths: of one length, uninterrupted ones would go through the engine in step, always
beginning together, and meet less varied company than interrupted ones.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from pathlib import Path
from statistics import median
from string import ascii_letters

from claims import Claim, publish
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import LoadRequest, Workload

EAGER = {"enabled": True, "min_run_s": 0.0, "max_preemptions": 1_000_000}
"""Preemption as often as somebody of a higher tier comes."""

INTRUDERS = 2
"""Interactive requests under way beside several slots, at most."""

UNINTERRUPTED_RUNS = 4
INTERRUPTED_RUNS = 2
"""Of several slots: six pairs of uninterrupted runs, eight of an interrupted one with them."""

Answers = dict[int, tuple[str, int]]
"""Text and output tokens of each request's answer, by the request's number."""


@dataclass(frozen=True)
class Plan:
    """How one run goes."""

    slots: int
    """For the long requests."""
    preempts: bool = True
    """Whether interactive requests take slots away; else they have some of their own."""
    intruders: int = 0
    """Streams of interactive requests, one after another in each."""
    gap_s: float = 1.0
    """Mean time between two of one stream."""
    enough: int = 0
    """Preemptions after which no further long request is sent; 0: all are."""

    @property
    def settings(self) -> dict[str, object]:
        """Those of `headway serve`."""
        settings: dict[str, object] = {"policy": "fcfs", "preemption": EAGER, "slots": self.slots}
        if not self.preempts:
            settings["slots"] = self.slots + self.intruders
            settings["preemption"] = {"enabled": False}
            settings["tiers"] = {"batch": {"max_running": self.slots}}
        return settings


class Failed(Exception):
    """A request was not answered: nothing can be compared."""


def long_requests(count: int, tokens: int, seed: int) -> list[LoadRequest]:
    """Batch requests of exactly half to one and a half times `tokens` output tokens.

    Their prompts are computed whole: what part of a prompt the engine takes from its cache, and
    which batch that was computed in, changes the last bits, too (1 of 30 answers, without any
    preemption). The letters in front keep one of them from taking the cache of another.
    """
    rng = random.Random(seed)
    prompts = rng.sample(load_prompts(), count)
    return [
        LoadRequest(
            at_s=0.0,
            messages=({"role": "user", "content": f"{letters}) {prompt.text}"},),
            max_tokens=rng.randint(tokens // 2, tokens * 3 // 2),
            tier="batch",
            ignore_eos=True,
            cache_prompt=False,
        )
        for letters, prompt in zip(permutations(ascii_letters, 2), prompts, strict=False)
    ]


def intruder(rng: random.Random) -> LoadRequest:
    """A short request of the highest tier."""
    messages = ({"role": "user", "content": f"({rng.randrange(1000)} and 7?"},)
    return LoadRequest(0.0, messages, 3, tier="interactive", ignore_eos=True)


def answer_of(outcome: RequestResult) -> tuple[str, int]:
    if not outcome.ok:
        raise Failed(outcome.error)
    return outcome.text, outcome.output_tokens


async def intrude(client: LoadClient, mean_gap_s: float, rng: random.Random) -> None:
    """Send short interactive requests for ever, one after another, with random gaps."""
    while True:
        await asyncio.sleep(rng.expovariate(1.0 / mean_gap_s))
        answer_of(await client.send(intruder(rng)))


async def run(
    requests: list[LoadRequest], order: list[int], plan: Plan, rng: random.Random
) -> tuple[Answers, int]:
    """Answers of `requests`, sent in `order` to a fresh engine, and how often they were preempted.

    One slot serves them one by one, several serve all at once.
    """
    async with (
        HeadwayServer(plan.settings) as server,
        LoadClient(server.url, "default") as client,
    ):
        intruders = [
            asyncio.create_task(intrude(client, plan.gap_s, random.Random(rng.random())))
            for _ in range(plan.intruders)
        ]
        answers: Answers = {}
        preemptions = 0
        if plan.slots == 1:
            for number in order:
                outcome = await client.send(requests[number])
                answers[number] = answer_of(outcome)
                preemptions += outcome.preemptions
                if plan.enough and preemptions >= plan.enough:
                    break
        else:
            load = Workload(tuple(requests[number] for number in order))
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
    rng = random.Random(options.seed)
    requests = long_requests(options.answers, options.tokens, options.seed)
    interrupted, preemptions = await run(
        requests,
        list(range(len(requests))),
        Plan(1, intruders=1, gap_s=options.gap, enough=options.preemptions),
        rng,
    )
    print(f"one slot: {len(interrupted)} answers, {preemptions} preemptions", flush=True)
    uninterrupted, none = await run(requests, sorted(interrupted), Plan(1, preempts=False), rng)
    assert none == 0, "somebody preempted the uninterrupted run"
    wrong = differences(interrupted, uninterrupted)
    print(f"one slot: {len(wrong)} of {len(interrupted)} differ", flush=True)
    return len(interrupted), len(wrong), preemptions


async def several_slots(options: argparse.Namespace) -> tuple[list[int], list[int], int]:
    """Differences between uninterrupted runs, those of interrupted ones from them, preemptions."""
    rng = random.Random(options.seed)
    requests = long_requests(options.answers, options.tokens, options.seed + 1)
    plan = Plan(options.slots, intruders=INTRUDERS, gap_s=options.gap)
    numbers = range(len(requests))
    uninterrupted, interrupted, preemptions = [], [], 0
    for _ in range(UNINTERRUPTED_RUNS):
        order = rng.sample(numbers, len(numbers))
        answers, none = await run(requests, order, replace(plan, preempts=False), rng)
        assert none == 0, "somebody preempted the uninterrupted run"
        uninterrupted.append(answers)
    print(f"{options.slots} slots: {UNINTERRUPTED_RUNS} uninterrupted runs", flush=True)
    for _ in range(INTERRUPTED_RUNS):
        order = rng.sample(numbers, len(numbers))
        answers, count = await run(requests, order, plan, rng)
        interrupted.append(answers)
        preemptions += count
    pairs = combinations(uninterrupted, 2)
    between = sorted(len(differences(one, two)) for one, two in pairs)
    wrong = sorted(len(differences(*pair)) for pair in product(interrupted, uninterrupted))
    print(
        f"{options.slots} slots, of {len(requests)} answers differ: {wrong} after {preemptions} "
        f"preemptions, {between} between uninterrupted runs"
    )
    return between, wrong, preemptions


async def measure(options: argparse.Namespace) -> int:
    answers, wrong, preemptions = await one_slot(options)
    between, wrong_of_several, preemptions_of_several = await several_slots(options)
    claims = [
        Claim("preemptions on one slot", preemptions, options.preemptions, at_most=False),
        Claim("answers that differ on one slot", wrong, 0),
        Claim(
            f"answers that differ on {options.slots} slots, median",
            median(wrong_of_several),
            median(between),
        ),
    ]
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "one_slot": {"answers": answers, "differ": wrong, "preemptions": preemptions},
        "several_slots": {
            "answers": options.answers,
            "differ_between_uninterrupted": between,
            "differ_interrupted": wrong_of_several,
            "preemptions": preemptions_of_several,
        },
    }
    return publish(claims, details, options.json)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preemptions", type=int, default=200, help="on one slot, at least")
    parser.add_argument("--answers", type=int, default=50, help="long requests to compare")
    parser.add_argument("--tokens", type=int, default=160, help="of each, about")
    parser.add_argument("--gap", type=float, default=0.3, help="mean seconds between intruders")
    parser.add_argument("--slots", type=int, default=4, help="of the second part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/preemption.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
