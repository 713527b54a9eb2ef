"""A gateway's request log as examples to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headway.prediction.examples import ExamplesError
from headway.prediction.features import Features
from headway.prediction.logged import features_of
from headway.store.request_log import RequestLogError, newest, read

MOST = 100_000
"""Requests of the log that are looked at, the newest: older traffic is another."""


def logged_examples(path: Path, model: str) -> tuple[Features, np.ndarray]:
    """Features and output tokens of the finished requests of `model` in the log at `path`.

    In the order in which they ended.

    Raises:
        ExamplesError: there is no such log, or it holds no request of `model`.
    """
    if not path.exists():
        raise ExamplesError(f"there is no request log {path}")
    rows: list[tuple[int, ...]] = []
    lengths: list[int] = []
    models: set[str] = set()
    try:
        for _, record in read(path, after=max(0, newest(path) - MOST)):
            if record.outcome == "finished" and record.output_tokens:
                models.add(record.model)
                if record.model == model:
                    rows.append(record.features)
                    lengths.append(record.output_tokens)
    except RequestLogError as error:
        raise ExamplesError(str(error)) from None
    if not rows:
        known = f"; it has {', '.join(sorted(models))}" if models else ""
        raise ExamplesError(f"{path} holds no finished request of {model!r}{known}")
    features, chosen = features_of(rows)
    return features, np.array(lengths, float)[chosen]
