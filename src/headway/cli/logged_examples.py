"""A gateway's request log as examples to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from headway.prediction.learning.examples import ExamplesError
from headway.prediction.learning.logged import features_of
from headway.prediction.live.censored import cut_off, teaches
from headway.prediction.texts.features import Features
from headway.store.request_log import RequestLogError, newest, read
from headway.store.request_record import RequestRecord

MOST = 100_000
"""Number of requests to read from the log, the newest: older traffic may differ."""


def logged_examples(path: Path, model: str) -> tuple[Features, np.ndarray]:
    """Features and output tokens of the finished requests of `model` in the log at `path`.

    In the order in which they ended. Truncated answers count at their limit only if whole ones
    are usually shorter.

    Raises:
        ExamplesError: there is no such log, it holds no request of `model`, or another version
            of Headway wrote all of them.
    """
    answers: list[tuple[tuple[int, ...], int, bool]] = []
    """Features, output tokens, and whether its own limit cut the answer off."""
    models: set[str] = set()
    for record, output_tokens in _finished(path):
        models.add(record.model)
        if record.model == model:
            truncated = cut_off(output_tokens, record.max_tokens)
            answers.append((record.features, output_tokens, truncated))
    if not answers:
        known = f"; it has {', '.join(sorted(models))}" if models else ""
        raise ExamplesError(f"{path} holds no finished request of {model!r}{known}")
    whole = [tokens for _, tokens, truncated in answers if not truncated]
    usual_tokens = median(whole) if whole else 0.0
    rows, lengths = [], []
    for row, tokens, truncated in answers:
        if not truncated or teaches(tokens, usual_tokens):
            rows.append(row)
            lengths.append(tokens)
    features, chosen = features_of(rows)
    if not chosen:
        kept = "features of another version" if any(rows) else "no features, as of an older version"
        raise ExamplesError(
            f"{path} holds {len(rows)} finished requests of {model!r}, but {kept} of Headway; "
            "serve with this one, and learn from what it writes"
        )
    return features, np.array(lengths, float)[chosen]


def only_model(path: Path) -> str:
    """The model of all finished requests in the log at `path`.

    Raises:
        ExamplesError: there is no such log, or it holds none, or those of several models.
    """
    models = sorted({record.model for record, _ in _finished(path)})
    if not models:
        raise ExamplesError(f"{path} holds no finished request")
    if len(models) > 1:
        raise ExamplesError(
            f"{path} holds requests of several models; pass --target with one of these: "
            f"{', '.join(models)}"
        )
    return models[0]


def _finished(path: Path) -> Iterator[tuple[RequestRecord, int]]:
    """Answered requests, and the output tokens of each."""
    try:
        for _, record in read(path, after=max(0, newest(path) - MOST)):
            if record.outcome == "finished" and record.output_tokens:
                yield record, record.output_tokens
    except RequestLogError as error:
        raise ExamplesError(str(error)) from None
