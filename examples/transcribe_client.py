"""Speaks sentences of mixed length with espeak-ng, and has Headway transcribe them.

    apt-get install espeak-ng
    headway serve --config examples/transcribe.yaml
    python examples/transcribe_client.py [--clips 40] [--rate 2] [--url http://127.0.0.1:8080]

With HEADWAY_DATA, clips are as long as segments of real calls (Earnings-21); without, from 1 to 10
seconds. They are sent at random times, as people speak.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import itertools
import json
import os
import random
import subprocess
import time
from pathlib import Path

import aiohttp
import numpy as np

SAMPLE_RATE_HZ = 16_000
WORDS_PER_S = 2.4
"""Speed of espeak-ng with the options used here."""
SHORTEST_S, LONGEST_S = 1.0, 10.0

TEXT = (
    "good morning and welcome to our conference call please transfer five hundred dollars to "
    "my savings account and tell me what is left in it the weather will be fine tomorrow with "
    "a little rain in the evening we expect that sales will grow in the second half of the "
    "year thank you for your question i think that it is too early to say anything about the "
    "next quarter"
)


def durations(clips: int) -> list[float]:
    """Duration of each clip in seconds."""
    chance = random.Random(0)
    data = os.environ.get("HEADWAY_DATA")
    if data is None:
        return [chance.uniform(SHORTEST_S, LONGEST_S) for _ in range(clips)]
    with gzip.open(Path(data) / "audio/earnings21_segments.csv.gz", "rt") as file:
        all_s = [float(row["duration_s"]) for row in csv.DictReader(file)]
    usual_s = [one_s for one_s in all_s if SHORTEST_S <= one_s <= LONGEST_S]
    return chance.sample(usual_s, clips)


def spoken(text: str) -> np.ndarray:
    """Audio of `text`, INT16 (samples,)."""
    made = subprocess.run(
        ["espeak-ng", "--stdout", "-v", "en-us+f3", "-s", "130", text],
        capture_output=True,
        check=True,
    ).stdout
    rate_hz = int.from_bytes(made[24:28], "little")
    audio = np.frombuffer(made[44:], "<i2").astype(float)
    # Resample: leave out the frequencies above half of the new rate.
    count = len(audio) * SAMPLE_RATE_HZ // rate_hz
    fewer = np.fft.irfft(np.fft.rfft(audio)[: count // 2 + 1], count) * count / len(audio)
    return (0.7 * fewer).clip(-32768, 32767).astype("<i2")


async def written(session: aiohttp.ClientSession, url: str, audio: np.ndarray) -> str:
    """Transcribe `audio`, which is sent as a binary tensor."""
    tensor = {"name": "AUDIO", "datatype": "INT16", "shape": [1, len(audio)]}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": audio.nbytes}}]})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    body = head.encode() + audio.tobytes()
    async with session.post(f"{url}/v2/models/asr/infer", data=body, headers=headers) as answer:
        reply = await answer.json()
    if "error" in reply:
        raise SystemExit(reply["error"])
    text: str = reply["outputs"][0]["data"][0]
    return text


async def main(options: argparse.Namespace) -> None:
    words = itertools.cycle(TEXT.split())
    texts = [
        " ".join(itertools.islice(words, max(1, round(WORDS_PER_S * clip_s))))
        for clip_s in durations(options.clips)
    ]
    clips = [spoken(text) for text in texts]
    chance = random.Random(1)
    gaps_s = [chance.expovariate(options.rate) for _ in clips]
    latencies_s = []

    async with aiohttp.ClientSession() as session:

        async def ask(text: str, audio: np.ndarray) -> None:
            began_s = time.perf_counter()
            found = await written(session, options.url, audio)
            latencies_s.append(time.perf_counter() - began_s)
            print(f"{len(audio) / SAMPLE_RATE_HZ:5.1f} s of audio, {latencies_s[-1]:5.2f} s")
            print(f"      said: {text}\n      heard: {found}")

        await written(session, options.url, clips[0])  # until the recogniser is loaded
        async with asyncio.TaskGroup() as all_clips:
            for text, audio, gap_s in zip(texts, clips, gaps_s, strict=True):
                all_clips.create_task(ask(text, audio))
                await asyncio.sleep(gap_s)

    audio_s = sum(map(len, clips)) / SAMPLE_RATE_HZ
    print(
        f"{len(clips)} clips, {audio_s:.0f} s of audio; latency: mean {np.mean(latencies_s):.2f} s,"
        f" median {np.median(latencies_s):.2f} s, p95 {np.quantile(latencies_s, 0.95):.2f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--rate", type=float, default=2.0, help="clips a second")
    asyncio.run(main(parser.parse_args()))
