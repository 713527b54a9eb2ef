"""What a range of instances costs and saves, with a real speech recogniser and traffic in bursts.

    python bench/scaled_model.py [--clips 24] [--bursts 3] [--quiet 12]

One gateway after another serves examples/transcribe.py by one instance, by two and by 1..2 of
them. Each gets the same bursts of spoken clips, all at once, with a quiet time after each. Shown
are the latency of a clip, and how many instances there were on average: memory is paid by these.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from statistics import fmean, quantiles

import aiohttp
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from headway.lab.loadtest.server import HeadwayServer
from headway.lab.report.terminal import table_console

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from examples import transcribe_client  # noqa: E402

IDLE_S = 3.0
LOOKS_PER_S = 10
"""How often the number of instances is read."""
ARRANGEMENTS = (1, 2, "1..2")


async def instances(session: aiohttp.ClientSession, url: str) -> float:
    """How many there are now."""
    async with session.get(f"{url}/metrics") as answer:
        text = await answer.text()
    (line,) = [one for one in text.splitlines() if one.startswith("headway_model_instances{")]
    return float(line.split()[-1])


async def watched(session: aiohttp.ClientSession, url: str, seen: list[float]) -> None:
    """Look at the number of instances until cancelled."""
    while True:
        seen.append(await instances(session, url))
        await asyncio.sleep(1.0 / LOOKS_PER_S)


async def timed(session: aiohttp.ClientSession, url: str, clip: np.ndarray) -> float:
    """Seconds until a clip is transcribed."""
    began_s = time.perf_counter()
    await transcribe_client.written(session, url, clip)
    return time.perf_counter() - began_s


async def measured(
    count: int | str, clips: list[np.ndarray], options: argparse.Namespace
) -> tuple[list[float], float]:
    """Latency of each clip, and the mean number of instances."""
    model = {
        "name": "asr",
        "path": f"{ROOT / 'examples/transcribe.py'}:Transcriber",
        "instances": count,
        "instance_idle_s": IDLE_S,
        "max_batch_size": 8,
        "length_aware": True,
        "length_unit": 160,
    }
    latencies_s: list[float] = []
    seen: list[float] = []
    async with HeadwayServer({"models": [model]}) as server, aiohttp.ClientSession() as session:
        url = server.url.removesuffix("/v1")
        await timed(session, url, clips[0])
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(watched(session, url, seen))
            for _ in range(options.bursts):
                latencies_s += await asyncio.gather(*(timed(session, url, one) for one in clips))
                await asyncio.sleep(options.quiet)
            watch.cancel()
    return latencies_s, fmean(seen)


async def main(options: argparse.Namespace) -> None:
    words = transcribe_client.TEXT.split()
    clips = []
    for clip_s in transcribe_client.durations(options.clips):
        spoken = max(1, round(transcribe_client.WORDS_PER_S * clip_s))
        clips.append(transcribe_client.spoken(" ".join(words[:spoken])))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("instances", "mean latency", "p95", "instances on average"):
        table.add_column(heading, justify="right")
    for count in ARRANGEMENTS:
        latencies_s, mean = await measured(count, clips, options)
        p95_s = quantiles(latencies_s, n=20)[-1]
        table.add_row(str(count), f"{fmean(latencies_s):.2f} s", f"{p95_s:.2f} s", f"{mean:.2f}")
    table_console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24, help="in a burst")
    parser.add_argument("--bursts", type=int, default=3)
    parser.add_argument("--quiet", type=float, default=12.0, help="seconds after each burst")
    asyncio.run(main(parser.parse_args()))
