"""Servers that speak the Open Inference Protocol, asked with tensors in binary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headway.models.open_inference import BINARY_LENGTH, decode_response, encode_request
from headway.models.remote import Post
from headway.models.signature import BadItem, Signature, TensorSpec
from headway.models.stacked import Tensors, stacks


class OpenInferenceServer:
    """A model at `…/v2/models/NAME`."""

    def __init__(self) -> None:
        self._batched = True

    def signature(self, told: bytes) -> Signature:
        """What the model's metadata say."""
        described = json.loads(told)
        signature = Signature(
            task="tensors",
            platform=str(described.get("platform", "")),
            inputs=tuple(map(_spec, described.get("inputs", ()))),
            outputs=tuple(map(_spec, described.get("outputs", ()))),
        )
        self._batched = signature.batched
        return signature

    async def run(self, post: Post, items: Sequence[Any]) -> Sequence[Any]:
        """The outputs of each item; those of one shape go together."""
        if not self._batched:
            return [await self._batch(post, item) for item in items]
        found: list[Tensors] = [{}] * len(items)
        for places, batch in stacks(items):
            outputs = await self._batch(post, batch)
            for row, place in enumerate(places):
                found[place] = {name: output[row] for name, output in outputs.items()}
        return found

    async def _batch(self, post: Post, batch: Tensors) -> Tensors:
        body, json_bytes = encode_request(batch)
        headers = {BINARY_LENGTH: str(json_bytes), "Content-Type": "application/octet-stream"}
        told, of_answer = await post("/infer", body, headers)
        length = of_answer.get(BINARY_LENGTH)
        try:
            return decode_response(told, None if length is None else int(length))
        except BadItem as error:  # what is bad is the answer
            raise ValueError(str(error)) from None


def _spec(told: dict[str, Any]) -> TensorSpec:
    return TensorSpec(told["name"], told["datatype"], tuple(int(size) for size in told["shape"]))
