"""Scheduling by learned lengths: what the first day taught, on the prompts of the second.

    HEADWAY_DATA=../shared/data python bench/learned.py [--first-day 600] [--repeats 3]

First day: real prompts run through the gateway, greedily, and its request log is what
`headway predictor train --log` learns from. Second day, other prompts:
  burst     all at once;
  overload  Poisson arrivals at 1.2 times what the engine can serve;
each under fcfs, ltr and gittins with the learned predictor, and srpt that knows every length.
Last, a predictor made of shuffled lengths, which ranks at random, orders a load of 0.9: from when
it is caught on, requests must not be slower than under fcfs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import nan
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import aiohttp
import numpy as np

from claims import Claim, publish
from headway.cli.logged_examples import logged_examples
from headway.lab.loadtest.client import LoadClient, RequestResult
from headway.lab.loadtest.metrics import mean, variation
from headway.lab.loadtest.prompts import Prompt, load_prompts
from headway.lab.loadtest.remarks import remarks
from headway.lab.loadtest.report import report_html
from headway.lab.loadtest.result import BenchResult, Row
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.solo import SoloTime, warm_up
from headway.lab.loadtest.table import table_of
from headway.lab.loadtest.workload import Workload
from headway.lab.report.terminal import show, table_console
from headway.prediction.learning.training import train_on_log
from headway.prediction.models.artefact import save, shipped_stack
from headway.prediction.texts.words import normal
from headway.store.request_log import read

POLICIES = ("fcfs", "ltr", "gittins", "oracle")
"""The last is srpt that knows every length."""
LOOK_EVERY_S = 0.2
SETS = (
    "alpaca52k_vicuna20k,alpaca_eval,arena_hard_v0.1,flask,just_eval,gpteacher_gpt4,"
    "halueval_chatgpt,zeroeval_gsm,zeroeval_math_l5,zeroeval_crux"
)
REPEAT_PENALTY = 1.1
"""As Ollama sends by default."""


def prompts_of(options: argparse.Namespace) -> tuple[list[Prompt], list[Prompt]]:
    """Those of the first day and those of the second, none on both."""
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data"))
    pool = [
        prompt
        for name in options.sets.split(",")
        for prompt in random.Random(options.seed).sample(load_prompts(name, data), options.of_each)
        if len(prompt.text) <= options.max_characters
    ]
    distinct = list({normal(prompt.text): prompt for prompt in pool}.values())
    random.Random(options.seed).shuffle(distinct)
    return distinct[: options.first_day], distinct[options.first_day :]


def natural(load: Workload) -> Workload:
    """The same answers without the endless loops that small models fall into when greedy."""
    requests = [replace(request, repeat_penalty=REPEAT_PENALTY) for request in load.requests]
    return Workload(tuple(requests))


async def recorded_day(prompts: Sequence[Prompt], options: argparse.Namespace, log: Path) -> None:
    """Send all of them; what came is in the request log at `log`."""
    load = natural(Workload.build(prompts, count=len(prompts), max_tokens=options.max_tokens))
    settings = {
        "policy": "fcfs",
        "slots": options.slots,
        "threads": options.threads,
        "log": {"level": "warning", "requests_db": str(log)},
    }
    async with HeadwayServer(settings) as server, LoadClient(server.url, "default", "", 3600) as c:
        outcomes = await c.run(load)
    failed = [outcome.error for outcome in outcomes if not outcome.ok]
    print(f"a day of {len(outcomes)} requests, {len(failed)} failed {failed[:1]}", flush=True)


def learn(log: Path, out: Path, *, shuffled: bool) -> None:
    """Write a predictor of what `log` holds, or of its lengths in a wrong order."""
    features, lengths = logged_examples(log, model_in(log))
    if shuffled:
        lengths = np.random.default_rng(0).permutation(lengths)
    base = None if shuffled else shipped_stack()
    predictor = train_on_log("second day", log.name, features, lengths, base)
    save(predictor, out)
    print(
        f"{'shuffled' if shuffled else 'learned'}: {len(lengths)} examples, Kendall's tau "
        f"{predictor.card.kendall_tau:.3f} on prompts held back, coefficient of variation of "
        f"lengths {variation(lengths.tolist()):.2f}",
        flush=True,
    )


def model_in(log: Path) -> str:
    """The model that the requests of `log` were sent to."""
    return next(record.model for _, record in read(log) if record.outcome == "finished")


async def second_day(
    name: str, load: Workload, options: argparse.Namespace, predictor: Path
) -> list[Row]:
    """`load` under every policy, `repeats` times; fcfs comes first, for the oracle's lengths."""
    settings = {
        "slots": options.slots,
        "threads": options.threads,
        "prediction": {"predictor": str(predictor)},
        "tiers": {"standard": {"max_wait_s": options.max_wait}},
    }
    runs: dict[str, list[tuple[RequestResult, ...]]] = {policy: [] for policy in POLICIES}
    alone: list[RequestResult] = []
    informed = load
    for repeat in range(options.repeats):
        rest = random.Random(repeat).sample(POLICIES[1:], len(POLICIES) - 1)
        for policy in ("fcfs", *rest):
            of_scheduler = {"policy": "srpt" if policy == "oracle" else policy}
            async with (
                HeadwayServer({**settings, **of_scheduler}) as server,
                LoadClient(server.url, "default") as client,
            ):
                alone += await warm_up(client, load)
                outcomes = await client.run(informed if policy == "oracle" else load)
                async with aiohttp.ClientSession() as session:
                    tau = await metric(session, server, "headway_prediction_kendall_tau")
                    trusted = await metric(session, server, "headway_prediction_trusted")
            runs[policy].append(tuple(outcomes))
            if policy == "fcfs":
                informed = load.expecting([outcome.output_tokens for outcome in outcomes])
            latency_s = mean([outcome.latency_s for outcome in outcomes])
            print(
                f"{name}: {policy}, run {repeat + 1}: mean {latency_s:.1f} s, tau {tau:.2f} of the "
                f"last answers{'' if trusted else ': handed over to fcfs'}",
                flush=True,
            )
    solo = SoloTime.fit(alone)
    return [Row(p, tuple(runs[p]), solo, oracle=p == "oracle") for p in POLICIES]


def claims_of(rows: Sequence[Row], load: str, bound_s: float) -> list[Claim]:
    """What ltr and gittins must achieve on this load."""
    result = BenchResult(tuple(rows), {})
    fcfs = rows[0].summary
    claims = []
    for row in rows[1:3]:
        gain = result.oracle_gain_captured(row) or 0.0
        throughput = row.summary.throughput_tokens_per_s / fcfs.throughput_tokens_per_s
        waits = max(summary.wait_worst_s for summary in row.summaries)
        claims += [
            Claim(f"{load}: {row.label}, oracle gain captured", gain, 0.75, at_most=False),
            Claim(f"{load}: {row.label}, throughput / fcfs", throughput, 0.98, at_most=False),
            Claim(f"{load}: {row.label}, worst wait in s", waits, bound_s),
        ]
    return [*claims, Claim(f"{load}: failed requests", sum(r.summary.errors for r in rows), 0)]


@dataclass
class Watched:
    """One run, and when the predictor lost the scheduler's trust."""

    outcomes: list[RequestResult] = field(default_factory=list)
    caught_after: int | None = None
    """Answers until then; None: it never was."""
    caught_s: float = 0.0


async def metric(session: aiohttp.ClientSession, server: HeadwayServer, name: str) -> float:
    """A number of the gateway's `/metrics`; NaN: it is not there yet."""
    async with session.get(server.url.replace("/v1", "/metrics")) as answer:
        lines = (await answer.text()).splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), nan)


async def watched(load: Workload, settings: dict[str, object]) -> Watched:
    """Run `load`, looking for the hand-over all the time."""
    run = Watched()
    async with HeadwayServer(settings) as server, LoadClient(server.url, "default") as client:
        start_s = asyncio.get_running_loop().time()

        async def look() -> None:
            async with aiohttp.ClientSession() as session:
                while run.caught_after is None:
                    if await metric(session, server, "headway_prediction_trusted") == 0.0:
                        run.caught_after = len(run.outcomes)
                        run.caught_s = asyncio.get_running_loop().time() - start_s
                    await asyncio.sleep(LOOK_EVERY_S)

        looking = asyncio.create_task(look())
        outcomes = await client.run(load, run.outcomes.append)
        looking.cancel()
        run.outcomes = outcomes
    return run


async def random_order(
    prompts: Sequence[Prompt], options: argparse.Namespace, shuffled: Path, rate: float
) -> tuple[list[int], list[float]]:
    """For each repeat: answers until the predictor was caught, and latency / fcfs from then on."""
    caught, costs = [], []
    for repeat in range(options.repeats):
        load = natural(
            Workload.build(
                prompts,
                count=options.caught_within * 3 // 2,
                arrivals=f"poisson:{0.9 * rate}",
                max_tokens=options.max_tokens,
                seed=options.seed + repeat,
            )
        )
        runs = {}
        for policy in random.Random(repeat).sample(["ltr", "fcfs"], 2):
            settings = {"policy": policy, "slots": options.slots, "threads": options.threads}
            runs[policy] = await watched(
                load, {**settings, "prediction": {"predictor": str(shuffled)}}
            )
        bad = runs["ltr"]
        caught.append(bad.caught_after or len(load.requests))
        later = [n for n, request in enumerate(load.requests) if request.at_s > bad.caught_s]
        if bad.caught_after is None or not later:
            costs.append(float("inf"))
            continue
        bad_s, fcfs_s = (
            mean([runs[policy].outcomes[n].latency_s for n in later]) for policy in ("ltr", "fcfs")
        )
        costs.append(bad_s / fcfs_s)
        print(
            f"random order: caught after {caught[-1]} answers; the {len(later)} requests from then "
            f"on took {bad_s:.1f} s, under fcfs {fcfs_s:.1f} s",
            flush=True,
        )
    return caught, costs


async def measure(options: argparse.Namespace, folder: Path) -> int:
    learned_from, tested_on = prompts_of(options)
    log = options.log or folder / "requests.db"
    if not log.exists():
        await recorded_day(learned_from, options, log)
    good, shuffled = folder / "learned.npz", folder / "shuffled.npz"
    learn(log, good, shuffled=False)
    learn(log, shuffled, shuffled=True)
    console = table_console()
    claims: list[Claim] = []
    details: dict[str, object] = {}
    load = natural(Workload.build(tested_on, count=options.requests, max_tokens=options.max_tokens))
    rate = options.rate
    for name in ("burst", "overload"):
        if name not in options.parts:
            continue
        if name == "overload":
            moments = random.Random(options.seed)
            at_s = accumulate(moments.expovariate(1.2 * rate) for _ in load.requests)
            load = Workload(
                tuple(replace(r, at_s=s) for r, s in zip(load.requests, at_s, strict=True))
            )
        rows = await second_day(name, load, options, good)
        fcfs = rows[0].summary
        if name == "burst":
            rate = fcfs.requests / fcfs.duration_s
        result = BenchResult(tuple(rows), {"load": name, "requests_per_s": rate})
        show(console, table_of(result))
        claims += claims_of(rows, name, options.max_wait)
        details[name] = result.to_json()
        page = options.json.with_name(f"{options.json.stem}-{name}.html")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report_html(result, remarks(result)), encoding="utf-8")
    if "random" in options.parts:
        caught, costs = await random_order(tested_on, options, shuffled, rate)
        claims += [
            Claim("random order: answers until it is caught", max(caught), options.caught_within),
            Claim("random order: latency / fcfs from then on, median", median(costs), 1.05),
        ]
        details["random_order"] = {"caught_after": caught, "latency_over_fcfs": costs}
    return publish(claims, details, options.json)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What days are made of, and the engine that they run on."""
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--of-each", type=int, default=160, help="prompts drawn from each set")
    parser.add_argument("--max-characters", type=int, default=1000, help="of a prompt")
    parser.add_argument("--first-day", type=int, default=600, help="requests to learn from")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--max-wait", type=float, default=300.0, help="starvation bound, s")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, help="of the engine; else one a core")
    parser.add_argument("--seed", type=int, default=0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--log", type=Path, help="a first day recorded before: not run again")
    parser.add_argument("--requests", type=int, default=200, help="of the second day")
    parser.add_argument("--parts", default="burst,overload,random", help="of the second day")
    parser.add_argument(
        "--rate", type=float, default=0.8, help="requests/s served, where the burst is left out"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--caught-within", type=int, default=200, help="answers")
    parser.add_argument("--json", type=Path, default=Path("results/learned.json"))
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return asyncio.run(measure(options, Path(folder)))


if __name__ == "__main__":
    raise SystemExit(main())
