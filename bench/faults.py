"""Two backends behind one gateway, and in turn one of them fails at random in ten ways.

    python bench/faults.py [--minutes 10] [--rate 40] [--json results/faults.json]

The ways: 429, 500, 503, a reset, a hang, a slow answer, garbage, half a stream, wrong JSON, TLS
where plain HTTP is expected (`faulty_backend.py`). A backend fails for `--fail` seconds, with its
probes or without, then both are well for `--heal` seconds, then the other one fails. The official
client sends a Poisson stream of chat and text completions, half of them streamed, and does not try
again by itself. An answer is right if its text is. Recovery is the time from the moment at which a
backend is well again until two seconds begin in which it gets half of its fair share or more.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import openai
from openai.types.chat import ChatCompletionMessageParam

from claims import Claim, publish
from faulty_backend import FaultyBackend, answer_to
from headway.lab.loadtest.server import HeadwayServer

MODEL = "bench"
SLOTS = 32
WINDOW_S = 2.0
"""In which shares are counted."""


@dataclass(frozen=True)
class Call:
    """What became of one request."""

    at_s: float
    """When it was sent, by time.monotonic."""
    latency_s: float
    streamed: bool
    verdict: str
    """`right`, `wrong` (another text, and no error), `hung`, or the error."""


async def ask(client: openai.AsyncOpenAI, number: int, limit_s: float) -> Call:
    """One request of one of four kinds, and what became of it."""
    prompt, at_s = f"p{number}", time.monotonic()
    streamed = number % 2 == 0
    try:
        async with asyncio.timeout(limit_s):
            text = await (chatted if number % 4 < 2 else completed)(client, prompt, streamed)
            verdict = "right" if text == answer_to(prompt) else "wrong"
    except TimeoutError:
        verdict = "hung"
    except openai.APIStatusError as error:
        verdict = f"{error.status_code} {error.code}"
    except openai.APIError as error:
        verdict = f"{type(error).__name__} {error.code}"
    except (AttributeError, TypeError, IndexError, ValueError):
        verdict = "wrong"  # its shape is none that the client knows
    return Call(at_s, time.monotonic() - at_s, streamed, verdict)


async def chatted(client: openai.AsyncOpenAI, prompt: str, streamed: bool) -> str | None:
    """The answer to `prompt` as a chat completion."""
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": prompt}]
    if not streamed:
        answer = await client.chat.completions.create(model=MODEL, messages=messages)
        return answer.choices[0].message.content
    stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def completed(client: openai.AsyncOpenAI, prompt: str, streamed: bool) -> str:
    """The answer to `prompt` as a text completion."""
    if not streamed:
        answer = await client.completions.create(model=MODEL, prompt=prompt)
        return answer.choices[0].text
    stream = await client.completions.create(model=MODEL, prompt=prompt, stream=True)
    return "".join([chunk.choices[0].text or "" async for chunk in stream])


async def alternate(
    backends: list[FaultyBackend], options: argparse.Namespace, chance: random.Random
) -> list[tuple[int, float]]:
    """Let one after the other fail until the time is over; which was well again, and when."""
    healed: list[tuple[int, float]] = []
    end_s = time.monotonic() + options.minutes * 60
    for turn in itertools.count():
        number = turn % 2
        backends[number].failing = options.share
        backends[number].probes_fail = chance.random() < 0.5
        await asyncio.sleep(options.fail)
        backends[number].failing, backends[number].probes_fail = 0.0, False
        healed.append((number, time.monotonic()))
        print(f"turn {turn + 1}: backend {number} is well again", flush=True)
        await asyncio.sleep(options.heal)
        if time.monotonic() >= end_s:
            return healed
    raise AssertionError


def recovery_s(backends: list[FaultyBackend], number: int, at_s: float, within_s: float) -> float:
    """Seconds until that backend has half of its fair share again; infinite if it never has."""
    for tenth in range(int(within_s * 10)):
        begin_s = at_s + tenth / 10
        counts = [
            sum(begin_s <= asked < begin_s + WINDOW_S for asked in backend.asked_s)
            for backend in backends
        ]
        if sum(counts) and counts[number] / sum(counts) >= 0.5 / len(backends):
            return tenth / 10
    return float("inf")


async def measure(
    options: argparse.Namespace,
) -> tuple[list[Call], list[float], list[FaultyBackend], list[str]]:
    """The calls, the recoveries in seconds, the backends, and the gateway's log."""
    chance = random.Random(options.seed)
    backends = [FaultyBackend(MODEL, chance) for _ in range(2)]
    for backend in backends:
        await backend.start()
    endpoints = [
        {"url": backend.url, "name": f"b{number}", "max_concurrency": SLOTS}
        for number, backend in enumerate(backends)
    ]
    calls: list[Call] = []
    async with (
        HeadwayServer({"backends": endpoints, "models": []}) as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):

        async def one(number: int) -> None:
            calls.append(await ask(client, number, options.limit))

        turns = asyncio.create_task(alternate(backends, options, chance))
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if turns.done():
                    break
                group.create_task(one(number))
                await asyncio.sleep(chance.expovariate(options.rate))
        healed = await turns
        log = server.log.splitlines()[-500:]
    for backend in backends:
        backend.stop()
    within_s = options.heal - WINDOW_S
    recoveries = [recovery_s(backends, *each, within_s) for each in healed]
    return calls, recoveries, backends, log


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--share", type=float, default=0.8, help="of its requests that fail")
    parser.add_argument("--fail", type=float, default=20.0, help="seconds that a backend fails")
    parser.add_argument("--heal", type=float, default=15.0, help="seconds that both are well")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds until a request hangs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("results/faults.json"))
    options = parser.parse_args()
    calls, recoveries, backends, log = asyncio.run(measure(options))
    verdicts = Counter(call.verdict for call in calls)
    faults = sum((backend.faults for backend in backends), Counter())
    print(f"{len(calls)} requests; faults met: {dict(faults)}")
    for verdict, count in verdicts.most_common():
        print(f"{count:8} {verdict}")
    latencies_s = sorted(call.latency_s for call in calls)
    claims = [
        Claim("ways to fail that were met", len(faults), 10, at_most=False),
        Claim("answered right, %", 100 * verdicts["right"] / len(calls), 99.9, at_most=False),
        Claim("hung", verdicts["hung"], 0),
        Claim("wrong without an error", verdicts["wrong"], 0),
        Claim("worst recovery, seconds", max(recoveries), 10.0),
    ]
    details = {
        "settings": {name: str(value) for name, value in vars(options).items()},
        "requests": len(calls),
        "verdicts": verdicts,
        "faults": faults,
        "recoveries_s": recoveries,
        "p50_s": latencies_s[len(latencies_s) // 2],
        "p99_s": latencies_s[int(len(latencies_s) * 0.99)],
        "log": log,
        "failed": [vars(call) for call in calls if call.verdict != "right"],
    }
    return publish(claims, details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
