"""Prompts whose answers' lengths follow from what they ask for, with some noise."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headway.prediction.learning.examples import Examples
from headway.prediction.learning.logged import LoggedPrompt, logged_features
from headway.prediction.learning.training import train
from headway.prediction.live.history import LengthHistory
from headway.prediction.live.live_predictor import LivePredictor
from headway.prediction.models.artefact import shipped_refinement
from headway.prediction.models.predictor import Predictor
from headway.prediction.texts.prompt import Prompt
from headway.store.request_log import DESCRIBED_AT_ONCE, RequestLog
from headway.store.request_record import RequestRecord

THINGS = ("rivers", "bridges", "apples", "law", "trains", "whales", "music", "glass", "bees")
ASKED = {
    "Name one fact about {}.": 20,
    "Is {} older than paper? Answer yes or no.": 3,
    "List ten tips about {}.": 200,
    "Write a long essay about {} in detail.": 700,
    "Explain {} in two sentences.": 50,
    "Write a Python function that sorts {}.": 120,
}


def examples(count: int, seed: int = 0, name: str = "made-up") -> Examples:
    rng = random.Random(seed)
    prompts, lengths = [], []
    for number in range(count):
        asked, tokens = rng.choice(list(ASKED.items()))
        prompts.append(Prompt(f"{asked.format(rng.choice(THINGS))} ({number})"))
        lengths.append(max(1, round(tokens * rng.lognormvariate(0.0, 0.25))))
    return Examples(name, prompts, np.array(lengths, float), np.empty((count, 0)))


def write_log(path: Path, source: Examples, model: str) -> None:
    """A request log in which `model` finished every example."""
    answered = list(zip(source.prompts, source.lengths, strict=True))
    for first in range(0, len(answered), DESCRIBED_AT_ONCE):  # of more, some get no features
        log = RequestLog(path, make_features=logged_features)
        some = answered[first : first + DESCRIBED_AT_ONCE]
        for number, (prompt, length) in enumerate(some, start=first):
            messages = msgspec.json.encode([{"role": "user", "content": prompt.text}])
            log.write(
                RequestRecord(
                    id=f"r{number}",
                    arrival_unix_s=float(number),
                    tier="standard",
                    model=model,
                    prompt_tokens=10,
                    output_tokens=int(length),
                    outcome="finished",
                    status=200,
                ),
                LoggedPrompt("chat", {"messages": msgspec.Raw(messages)}),
            )
        log.close()


def live_predictor(predictor: Predictor, history: LengthHistory | None = None) -> LivePredictor:
    return LivePredictor(predictor, history or LengthHistory(), shipped_refinement())


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return train("some-model", [examples(300)])
