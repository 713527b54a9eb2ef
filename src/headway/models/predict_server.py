"""A client of servers that take instances and return predictions, as TensorFlow Serving does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from headway.models.remote import Post
from headway.models.signature import Signature


class PredictServer:
    """A model at `…/v1/models/NAME`: TensorFlow Serving's, or KServe's version 1.

    Source: TensorFlow Serving's RESTful API, in rows.
    """

    def signature(self, answer: bytes) -> Signature:
        """It takes any JSON, as the model's status does not describe inputs."""
        versions = json.loads(answer).get("model_version_status")
        if versions is not None and not any(one["state"] == "AVAILABLE" for one in versions):
            raise ValueError("no version of it is available")
        return Signature(task="python", platform="predict")

    async def run(self, post: Post, items: Sequence[Any]) -> Sequence[Any]:
        """Return a prediction for each item."""
        body = msgspec.json.encode({"instances": items}, enc_hook=_listed)
        answer, _ = await post(":predict", body, {"Content-Type": "application/json"})
        predictions = json.loads(answer).get("predictions")
        if not isinstance(predictions, list):
            raise ValueError("it has no list of predictions")
        if len(predictions) != len(items):
            raise ValueError(f"there are {len(predictions)} predictions for {len(items)} instances")
        return predictions


def _listed(value: Any) -> Any:
    """Tensors as JSON lists."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")
