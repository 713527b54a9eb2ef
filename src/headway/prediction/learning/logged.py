"""Features of prompts as the request log keeps them, to learn lengths without the text.

Words are kept as unordered hashes, their meaning as one mean vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from headway.prediction.texts.buckets import BUCKETS, Buckets
from headway.prediction.texts.features import FeatureMaker, Features, fingerprint
from headway.prediction.texts.prompt import Prompt

STEPS = 64
"""Features are rounded to 1/STEPS."""


class LoggedPrompt(NamedTuple):
    """An OpenAI request for text."""

    kind: str
    fields: Mapping[str, msgspec.Raw]
    """Of the request's body."""


def logged_features(prompts: Sequence[LoggedPrompt]) -> list[tuple[int, ...]]:
    """The features of each prompt, as integers. Never raises.

    A prompt in a batch of 64 costs a tenth of a single one.
    """
    if not prompts:
        return []
    features = _maker().of([Prompt.from_fields(kind, fields) for kind, fields in prompts])
    dense = np.round(features.dense * STEPS).astype(int).tolist()
    return [
        (_made_by(), len(row), *row, *buckets)
        for row, buckets in zip(dense, features.buckets.lists(), strict=True)
    ]


def features_of(rows: Sequence[Sequence[int]]) -> tuple[Features, list[int]]:
    """The features in `rows` as `logged_features` made them, and the numbers of the valid rows.

    Skips rows that are damaged or that another version of Headway made.
    """
    columns = len(_maker().names)
    chosen = [
        number
        for number, row in enumerate(rows)
        if len(row) >= columns + 2
        and row[0] == _made_by()
        and row[1] == columns
        and all(0 <= bucket < BUCKETS for bucket in row[columns + 2 :])
    ]
    dense = [rows[number][2 : columns + 2] for number in chosen]
    return (
        Features(
            np.array(dense, np.float32).reshape(len(chosen), columns) / np.float32(STEPS),
            Buckets.of([rows[number][columns + 2 :] for number in chosen]),
        ),
        chosen,
    )


@cache
def _maker() -> FeatureMaker:
    return FeatureMaker()


@cache
def _made_by() -> int:
    return crc32(fingerprint().encode())
