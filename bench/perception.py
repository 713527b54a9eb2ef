"""The model's own guess of its answer's length, as a rival of the predictor ("perception only").

    HEADWAY_DATA=../shared/data python bench/perception.py [--requests 120]

The model that will answer is asked first how many words the answer will have (Zheng et al. 2023,
"Response length perception"); then it answers. Kendall's tau of its guess with the length of its
answer, and what the guesses cost, against the predictor that ships.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from pathlib import Path

import numpy as np

from claims import publish
from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.prompts import load_prompts
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import LoadRequest, Workload
from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.live.perception import GUESS_TOKENS, QUESTION, words_guessed
from headway.prediction.models.artefact import shipped
from headway.prediction.texts.prompt import Prompt


async def measure(options: argparse.Namespace) -> int:
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data"))
    everything = [p for p in load_prompts(options.prompts, data) if len(p.text) < 1000]
    texts = [p.text for p in random.Random(options.seed).sample(everything, options.requests)]

    def asking(template: str, max_tokens: int) -> Workload:
        requests = [
            LoadRequest(0.0, ({"role": "user", "content": template.format(text)},), max_tokens)
            for text in texts
        ]
        return Workload(tuple(requests))

    settings = {"policy": "fcfs", "slots": options.slots}
    async with (
        HeadwayServer(settings) as server,
        LoadClient(server.url, "default", timeout_s=3600.0) as client,
    ):
        guesses = await client.run(asking(QUESTION, GUESS_TOKENS))
        answers = await client.run(asking("{}", options.max_tokens))
    lengths = np.array([outcome.output_tokens for outcome in answers], float)
    guessed = np.array([words_guessed(outcome.text) or 0.0 for outcome in guesses])
    details = {
        "requests": len(lengths),
        "tau_of_guess": kendall_tau(guessed, lengths),
        "without_a_number": float((guessed == 0.0).mean()),
        "tau_of_shipped_predictor": kendall_tau(
            shipped().model.scores([Prompt(text) for text in texts]), lengths
        ),
        "seconds_of_guesses_over_answers": max(o.latency_s for o in guesses)
        / max(o.latency_s for o in answers),
    }
    for name, value in details.items():
        print(f"{name:32} {value:.3g}")
    return publish([], details, options.json)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", default="alpaca_eval")
    parser.add_argument("--requests", type=int, default=120)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/perception.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
